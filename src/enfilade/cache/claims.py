"""What workers tell each other of fetches: who fetches what, so that they do not ask the origin for the same at once; and whose
answers were for nobody else a moment ago, so that nobody waits for one in vain.

A claim is a word to the others, not a lock: who holds one for too long, or is dead, is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import IntEnum

PLACES = 16384
"""Keys at once, over all workers, of which something is known; of two that share a place, the one that was spoken of last."""
_PLACE = 3  # what is spoken of; whose it is, or less than 0: what it is; until when
SIZE = PLACES * _PLACE * 8
"""Bytes of memory that Claims need."""
PATIENCE = 10.0
"""Seconds for which others wait for a fetch (nginx: 5)."""
FLOWING = 0.25
"""Seconds for which others wait for the end of a body whose beginning has come."""
REMEMBERED = 10.0
"""Seconds for which nobody waits for the answer to a key, after one that was not for others (Varnish: 120)."""
FAILING = 1.0
"""The same, where the origin failed: all who waited ask for themselves at once, and soon one asks for all again."""
LOOK = 0.005
"""Seconds between two looks of who waits for another worker."""


class Claim(IntEnum):
    """What is known of a key. FREE: nothing. TAKEN: another worker fetches it. ALONE: its answer was stored, but nobody else's as
    it was, so each asks whether it is still good. PASS: its answer was not stored, so each fetches for itself (hit-for-miss)."""

    FREE = 0
    TAKEN = 1
    ALONE = 2
    PASS = 3


class Claims:
    """Over `cells`, SIZE bytes of zeros that all workers share; who takes or marks has it `locked`. `me`: this worker's number,
    more than 0. `alive`: whether the worker with such a number still runs. `clock`: monotonic, in seconds, the same for all
    workers."""

    def __init__(
        self,
        cells: memoryview[int],
        locked: AbstractContextManager[object],
        me: int,
        alive: Callable[[int], bool],
        clock: Callable[[], float],
    ) -> None:
        self._cells = cells
        self._locked = locked
        self._me = me
        self._alive = alive
        self._clock = clock

    def look(self, key: bytes) -> Claim:
        """Without a lock: what is written meanwhile may be misread for once."""
        cells = self._cells
        what, place = _find(key)
        if cells[place] != what or cells[place + 2] <= self._in(0.0):
            return Claim.FREE
        whose = cells[place + 1]
        if whose < 0:
            return Claim(-whose)
        return Claim.TAKEN if whose != self._me and self._alive(whose) else Claim.FREE

    def take(self, key: bytes) -> Claim:
        """FREE: it is ours to fetch now; else why it is not."""
        with self._locked:
            claim = self.look(key)
            if claim is Claim.FREE:
                self._write(key, self._me, PATIENCE)
        return claim

    def release(self, key: bytes, after: float = 0.0) -> None:
        """Our fetch is over, or others need not wait for it any longer than for `after` seconds. Without a lock: at worst another
        claim, which takes the place in this moment, counts for nothing."""
        what, place = _find(key)
        if self._cells[place] == what and self._cells[place + 1] == self._me:
            self._cells[place + 2] = self._in(after)

    def mark(self, key: bytes, claim: Claim, seconds: float) -> None:
        """Whoever fetched it: it is ALONE or PASS for so long."""
        with self._locked:
            self._write(key, -claim, seconds)

    def _write(self, key: bytes, whose: int, seconds: float) -> None:
        what, place = _find(key)
        self._cells[place] = what
        self._cells[place + 1] = whose
        self._cells[place + 2] = self._in(seconds)

    def _in(self, seconds: float) -> int:
        return int((self._clock() + seconds) * 1e9)


def _find(key: bytes) -> tuple[int, int]:
    """What stands for `key`, and where: as workers are forked from one process, they have one secret of `hash` in common, and
    strangers cannot look for keys that are taken for each other."""
    what = hash(key)
    return what, what % PLACES * _PLACE
