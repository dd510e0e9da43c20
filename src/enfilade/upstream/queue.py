"""Those who wait for a peer that has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from enfilade.http.reasons import Reason
from enfilade.upstream.later import Later, Timer
from enfilade.upstream.peer import Peer


class Errand(Protocol):
    """What waits for a peer. `key`: what balancers that hash go by; `wanted`: the peer that it goes to if that can be used."""

    key: bytes
    wanted: Peer | None

    def go(self, peer: Peer) -> None:
        """Here is one."""

    def give_up(self, why: Reason) -> None:
        """There is none."""


class Queue:
    """Those who wait for a peer with room, first come first served: `length` of them at most, each `patience` seconds.
    `expired` is told who has waited for too long, `counted` how many wait."""

    def __init__(
        self, length: int, patience: float, later: Later, counted: Callable[[int], None] | None = None
    ) -> None:
        self.waiting: deque[Errand] = deque()
        self._length = length
        self._patience = patience
        self.later = later
        self._timers: dict[Errand, Timer] = {}
        self._counted = counted
        self.expired: Callable[[Errand], None]

    @property
    def full(self) -> bool:
        return len(self.waiting) >= self._length

    def enter(self, errand: Errand) -> bool:
        """False: it is full."""
        if self.full:
            return False
        self.waiting.append(errand)
        self._timers[errand] = self.later(self._patience, partial(self._expire, errand))
        self._count()
        return True

    def leave(self, errand: Errand) -> bool:
        """Whether it was waiting."""
        timer = self._timers.pop(errand, None)
        if timer is None:
            return False
        timer.cancel()
        self.waiting.remove(errand)
        self._count()
        return True

    def _expire(self, errand: Errand) -> None:
        self.leave(errand)
        self.expired(errand)

    def _count(self) -> None:
        if self._counted is not None:
            self._counted(len(self.waiting))
