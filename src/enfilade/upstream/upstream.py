"""An upstream in one worker: which of its peers gets a request, who waits until one has room, and what is learnt from answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from enfilade.exchange.bodies import empty_body
from enfilade.exchange.call import Call
from enfilade.http.reasons import Reason, Source, reason
from enfilade.upstream.peer import Peer

IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods that do the same if done twice (RFC 9110 section 9.2.2)."""

_BUSY = reason("upstream_busy")
_NO_PEER = reason("no_peer")


class Balancer(Protocol):
    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer | None: ...


class Errand(Protocol):
    """What waits for a peer."""

    key: bytes

    def go(self, peer: Peer) -> None:
        """Here is one."""

    def give_up(self, why: Reason) -> None:
        """There is none."""


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
"""`later(seconds, what)`: call `what` then, unless it is cancelled."""


class Queue:
    """Those who wait for a peer with room, first come first served: `length` of them at most, each `patience` seconds."""

    def __init__(self, length: int, patience: float, later: Later) -> None:
        self.waiting: deque[Errand] = deque()
        self._length = length
        self._patience = patience
        self._later = later
        self._timers: dict[Errand, Timer] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def enter(self, errand: Errand) -> bool:
        """False: it is full."""
        if len(self.waiting) >= self._length:
            return False
        self.waiting.append(errand)
        self._timers[errand] = self._later(self._patience, lambda: self._expire(errand))
        return True

    def leave(self, errand: Errand) -> bool:
        """Whether it was waiting."""
        timer = self._timers.pop(errand, None)
        if timer is None:
            return False
        timer.cancel()
        self.waiting.remove(errand)
        return True

    def _expire(self, errand: Errand) -> None:
        self.leave(errand)
        errand.give_up(_BUSY)


def candidates(peers: Sequence[Peer]) -> Sequence[Peer]:
    return [peer for peer in peers if peer.up and not peer.full]


class _First:
    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer | None:
        return peers[0]


class Upstream:
    """A group of peers, each with a `Pool` of its connections. `patient`: its peers come by themselves (an application's
    workers, which are still starting), so that it is worth waiting while there is none."""

    def __init__(self, name: str, balance: str, queue: Queue, *, retries: int = 1, patient: bool = False) -> None:
        self.name = name
        self.peers: list[Peer] = []
        self._balancer: Balancer = _First()
        self._queue = queue
        self._patient = patient
        self._retries = retries

    def join(self, peer: Peer) -> None:
        """From now on it gets requests."""
        self.peers = [*self.peers, peer]
        self._serve_queue()

    def leave(self, peer: Peer) -> None:
        """It gets no new requests; those that it has are seen through."""
        self.peers = [p for p in self.peers if p is not peer]
        peer.pool.retire()

    def send(self, errand: Errand, *, but: Peer | None = None) -> None:
        """Find a peer for `errand`, another one than `but` where there is one."""
        usable = candidates(self.peers)
        if len(usable) > 1 and but is not None:
            usable = [peer for peer in usable if peer is not but]
        if len(usable) == 1:
            errand.go(usable[0])
        elif usable:
            errand.go(self._balancer.pick(usable, errand.key) or usable[0])
        elif not self._patient and not any(peer.up for peer in self.peers):
            errand.give_up(_NO_PEER)
        elif not self._queue.enter(errand):
            errand.give_up(_BUSY)

    def carry(self, peer: Peer, call: Call) -> None:
        """Have `call` answered by `peer`; its caller says `finished` when it is over."""
        peer.took()
        peer.pool.carry(call)

    def cancel(self, peer: Peer, call: Call, why: Reason) -> None:
        """See `Channel.cancel`."""
        peer.pool.cancel(call, why)

    def finished(self, peer: Peer, call: Call, why: Reason | None) -> None:
        """The call is over: how it went tells something about the peer, which has room for another one now."""
        peer.let_go()
        if self._queue.waiting:
            self._serve_queue()

    def may_retry(self, call: Call, why: Reason, tries: int) -> bool:
        """Whether the failed call may be tried again: for the `tries`-th time it was not answered."""
        if tries > self._retries or why.source is not Source.UPSTREAM:
            return False
        return not call.sent or (call.request.method in IDEMPOTENT and call.body is empty_body())

    def dismiss(self, errand: Errand) -> bool:
        """Nobody waits for it any more. False: it was not waiting for a peer."""
        return self._queue.leave(errand)

    def _serve_queue(self) -> None:
        while self._queue.waiting:
            usable = candidates(self.peers)
            if not usable:
                return
            errand = self._queue.waiting[0]
            self._queue.leave(errand)
            errand.go(self._balancer.pick(usable, errand.key) or usable[0])
