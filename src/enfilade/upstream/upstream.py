"""An upstream in one worker: which of its peers gets a request, who waits until one has room, and what is learnt from answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from enfilade.exchange.call import Call
from enfilade.exchange.key import Key
from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason, Source, reason
from enfilade.upstream.breaker import Breaker
from enfilade.upstream.budget import IDEMPOTENT, RetryBudget, may_retry
from enfilade.upstream.deaths import Deaths
from enfilade.upstream.health import Health
from enfilade.upstream.latency import Percentile
from enfilade.upstream.later import Timer
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import Balancer, Tiers, candidates, tiers
from enfilade.upstream.queue import Errand, Queue
from enfilade.upstream.sticky import Sticky

_UNREACHABLE = tuple(map(reason, ("connect_failed", "connect_timeout", "upstream_tls")))
"""What counts against a peer although nothing was sent to it. A stream that it refuses does not: so it goes out of service."""
_BROKEN = reason("upstream_broken")
_BUSY = reason("upstream_busy")
_DEAD = reason("application_gone")
_NO_PEER = reason("no_peer")

LOOK = 0.015
"""Seconds between two looks for room that other workers have made, while somebody waits."""
DEEP = 8
"""So many for each peer wait where it does not matter any more which of them goes to whom."""


class Policy(NamedTuple):
    """`retries`: how often a failed request is tried again, paid from a `budget`, as is asking twice what is later than `hedge`
    says. `breaker`: leaves all of the peers alone for a while. `wake`: called when a request waits and there is no peer at all,
    because peers come by themselves (an application's workers, which are still starting): without it, such a request has no
    chance. `busy`, `nobody`: why a request is given up. `deaths`: of peers that a request can kill."""

    retries: int = 1
    budget: RetryBudget | None = None
    breaker: Breaker | None = None
    hedge: Percentile | None = None
    wake: Callable[[], None] | None = None
    busy: Reason = _BUSY
    nobody: Reason = _NO_PEER
    deaths: Deaths | None = None


class Upstream:
    """A group of peers, each with a `Pool` of its connections.

    `peers` is never changed, but replaced: whoever walks through it is not disturbed. `key`: what balancing by hash goes by;
    `sticky`: brings clients back to the peer that served them before. `hedges`: whether late requests are asked for twice.
    `announce`: what peers are told, before each connection, of the client's (None: it is our own). `retries`: those made so far.
    """

    __slots__ = (
        "_balancer", "_looks", "_only", "_policy", "_queue", "_tiers", "announce", "clock", "health", "hedges", "key", "name",
        "peers", "retries", "sticky",
    )  # fmt: skip

    def __init__(
        self, name: str, balancer: Balancer, queue: Queue, health: Health, clock: Callable[[], float], policy: Policy
    ) -> None:
        self.name = name
        self.peers: Sequence[Peer] = ()
        self._tiers: Tiers = ()
        self._only: Peer | None = None  # the one peer, where there is nothing to choose
        self.health = health
        self.key: Key | None = None
        self.sticky: Sticky | None = None
        self.announce: Callable[[Ends | None], bytes] | None = None
        self.clock = clock
        self.retries = 0
        self._balancer = balancer
        self._queue = queue
        self._looks = False
        self._policy = policy
        self.hedges = policy.hedge is not None
        queue.expired = self._expired

    # -- who belongs to it

    def join(self, peer: Peer, row: int | None = None) -> None:
        """From now on it gets requests. `row`: the first of its rows on the board, if it has any."""
        self.health.joined(peer, self.clock(), row)
        self.arrange((*self.peers, peer))
        self._serve_queue()

    def leave(self, peer: Peer) -> None:
        """It gets no new requests; those that it has are seen through."""
        self.arrange(tuple(p for p in self.peers if p is not peer))
        self.health.left(peer, self.clock())
        self.retire(peer)

    def retire(self, peer: Peer) -> None:
        """Keep no connection to it that has nothing to do."""
        peer.pool.retire()
        peer.upgrades.retire()

    def arrange(self, peers: Sequence[Peer]) -> None:
        """The peers are these, in this order; their weights, tiers and limits may be others than before."""
        self.peers = peers
        self._tiers = tiers(peers)
        self._only = peers[0] if len(peers) == 1 and not peers[0].limit else None

    def tick(self, now: float) -> None:
        """About once a second."""
        self.health.tick(now)
        if self._policy.breaker is not None:
            self._policy.breaker.tick(now)
        self._serve_queue()

    @property
    def waiting(self) -> int:
        """How many requests wait for a peer."""
        return len(self._queue.waiting)

    def breaker_open(self, now: float) -> bool:
        """Whether the circuit breaker keeps requests from all peers."""
        return self._policy.breaker is not None and self._policy.breaker.refuses(now)

    # -- peers that are held (upstream/late.py is the other half)

    @property
    def alone(self) -> bool:
        """There is only one peer."""
        return len(self.peers) < 2

    def freed(self) -> bool:
        """A peer is held no more: it gets its part of those who wait. Whether others still do."""
        waiting = self._queue.waiting
        if waiting:
            self._serve_queue(max(1, len(waiting) // max(1, len(self.peers))))  # it may be the last that leaves
        return bool(waiting)

    def _let_go(self) -> bool:
        """Where very many wait, or no more can, nobody is held. Whether anybody was."""
        queue = self._queue
        if not queue.full and len(queue.waiting) < DEEP * len(self.peers):
            return False
        held = [peer for peer in self.peers if peer.held]
        for peer in held:
            peer.held = False
        return bool(held)

    # -- requests

    def send(self, errand: Errand) -> None:
        """Find a peer for `errand`, now or when one has room."""
        policy = self._policy
        if policy.budget is not None:
            policy.budget.requests += 1
        if policy.breaker is not None and not policy.breaker.admits(self.clock()):
            errand.give_up(_BROKEN)
            return
        peer = self._only
        if peer is None or not peer.up:
            peer = self._choose(errand)
        if peer is not None:
            errand.go(peer)
        else:
            self._enqueue(errand)

    def again(self, errand: Errand, call: Call, why: Reason, but: Peer, tries: int, *, replayable: bool) -> bool:
        """Try a failed call again if that may be, elsewhere if there is another peer. False: it may not. `replayable`: its body
        can be sent once more."""
        policy = self._policy
        if policy.budget is None or why.source is not Source.UPSTREAM:
            return False
        if call.sent and policy.deaths is not None and policy.deaths.too_many(self.clock()):
            return False
        if not may_retry(
            call.request.method,
            sent=call.sent,
            answered=call.status > 0,
            replayable=replayable,
            attempts=policy.retries - tries,
            budget=policy.budget,
            now=self.clock(),
        ):
            return False
        self.retries += 1
        peer = self._choose(errand, but)
        if peer is None:
            self._enqueue(errand)
        else:
            errand.go(peer)
        return True

    def hedge_later(self, call: Call, what: Callable[[], None]) -> Timer | None:
        """`what` is called when the answer to `call` is late: later than nearly all others. None: it may not be made twice, or
        it is not known yet what is late."""
        late = None if self._policy.hedge is None else self._policy.hedge.value
        if late is None or call.request.method not in IDEMPOTENT:
            return None
        return self._queue.later(late, what)

    def hedge(self, errand: Errand, but: Peer) -> None:
        """Ask another peer than `but` too, where there is one and the budget allows it."""
        usable = candidates(self._tiers, (but,))
        budget = self._policy.budget
        if usable and budget is not None and budget.take(self.clock()):
            errand.go(self._balancer.pick(usable, errand.key))

    def carry(self, peer: Peer, call: Call) -> None:
        """Have `call` answered by `peer`; its caller says `finished` when it is over."""
        peer.took()
        pool = peer.pool if call.request.protocol is None else peer.upgrades
        pool.carry(call)

    def cancel(self, peer: Peer, call: Call, why: Reason) -> None:
        """See `Channel.cancel`."""
        pool = peer.pool if call.request.protocol is None else peer.upgrades
        pool.cancel(call, why)

    def answered(self, peer: Peer, call: Call) -> None:
        """The head of the answer is here. How long the rest takes says more of its size, and of its reader, than of the peer."""
        now, status = call.heard_at, call.status
        seconds = now - call.began
        self.health.succeeded(peer, status, seconds, now)
        policy = self._policy
        if policy.hedge is not None:
            policy.hedge.add(seconds)
        if policy.breaker is not None:
            if 502 <= status <= 504:
                policy.breaker.failed(now)
            else:
                policy.breaker.succeeded(now)

    def finished(self, peer: Peer, call: Call, why: Reason | None) -> None:
        """The call is over: the peer has room for another one now."""
        peer.let_go()
        if why is not None:
            self._failed(peer, call, why)
        if self._queue.waiting:
            self._serve_queue()

    def dismiss(self, errand: Errand) -> bool:
        """Nobody waits for it any more. False: it was not waiting for a peer."""
        if not self._queue.leave(errand):
            return False
        self._abandon()
        return True

    # -- inside

    def _choose(self, errand: Errand, but: Peer | None = None) -> Peer | None:
        usable = candidates(self._tiers) if but is None else candidates(self._tiers, (but,)) or candidates(self._tiers)
        if len(usable) > 1:
            wanted = errand.wanted
            return wanted if wanted in usable and wanted is not None else self._balancer.pick(usable, errand.key)
        return usable[0] if usable else None

    def _enqueue(self, errand: Errand) -> None:
        policy = self._policy
        if self._let_go():
            self._serve_queue()
            peer = self._choose(errand)
            if peer is not None:
                errand.go(peer)
                return
        if policy.wake is None and not any(peer.up or peer.trial for peer in self.peers):
            self._give_up(errand, policy.nobody)
        elif not self._queue.enter(errand):
            self._give_up(errand, policy.busy)
        elif policy.wake is not None and not self.peers:
            policy.wake()
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        """Answers that other workers got make room, too, and nobody tells."""
        if not self._looks and any(peer.has_others for peer in self.peers):
            self._looks = True
            self._queue.later(LOOK, self._look)

    def _look(self) -> None:
        self._looks = False
        self._serve_queue()
        if self._queue.waiting:
            self._look_soon()

    def _expired(self, errand: Errand) -> None:
        self._give_up(errand, self._policy.busy if self.peers else self._policy.nobody)

    def _give_up(self, errand: Errand, why: Reason) -> None:
        self._abandon()
        errand.give_up(why)

    def _abandon(self) -> None:
        """A request that was let through ends without having asked anybody: it cannot decide whether the breaker closes."""
        if self._policy.breaker is not None:
            self._policy.breaker.abandoned(self.clock())

    def _serve_queue(self, most: float = inf) -> None:
        while self._queue.waiting and most > 0:
            most -= 1
            errand = self._queue.waiting[0]
            peer = self._choose(errand)
            if peer is None:
                return
            self._queue.leave(errand)
            errand.go(peer)

    def _failed(self, peer: Peer, call: Call, why: Reason) -> None:
        now = self.clock()
        counts = call.status or call.sent or why in _UNREACHABLE
        self.health.failed(peer, why if counts else _BUSY, now)
        deaths, breaker = self._policy.deaths, self._policy.breaker
        if deaths is not None and why is _DEAD and call.sent:
            deaths.died(peer, now)
        if breaker is None or call.status:
            return
        if why.source is Source.UPSTREAM:
            breaker.failed(now)
        else:
            breaker.abandoned(now)
