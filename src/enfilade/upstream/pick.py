"""Load balancing: which of the peers that can be used gets the next exchange.

`weight * share` is what a peer counts for, in every balancer but `first`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Protocol

from enfilade.upstream.peer import Peer
from enfilade.upstream.rendezvous import arrival, spot

Random = Callable[[], float]
"""As `random.random`: from 0 to 1, without the 1."""
Tiers = Sequence[Sequence[Peer]]

BUCKETS = 8192
"""Keys are told apart by the bucket they fall into: so much is remembered at most, whatever keys strangers send."""
BALANCE = 1.25
"""How much more than its part of the load a peer may get for the sake of its keys."""
_UNKNOWN = 1e6  # seconds: longer than any peer takes


class Balancer(Protocol):
    """Of one upstream: what it remembers is about its peers. A new one is made when their weights change."""

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        """One of `peers`: at least one, of one tier, each of them up and not full. `key`: what those that hash go by; empty where
        there is nothing."""


def tiers(peers: Iterable[Peer]) -> Tiers:
    """`peers` by their tier, the lowest first, otherwise in their order: made anew whenever peers come or go."""
    found: dict[int, list[Peer]] = {}
    for peer in peers:
        found.setdefault(peer.tier, []).append(peer)
    return [found[tier] for tier in sorted(found)]


def candidates(tiers: Tiers, tried: Collection[Peer] = ()) -> Sequence[Peer]:
    """Who can be used now: the peers of the lowest tier that has any up, not full, and not among those `tried` before. Empty:
    there are none."""
    for tier in tiers:
        if not tried:
            for peer in tier:
                if peer.limit or peer.held or not peer.up:
                    break
            else:
                return tier
        found = [peer for peer in tier if peer.up and not peer.full and peer not in tried]
        if found:
            return found
    return ()


class RoundRobin:
    """In turn, and the turns of heavy peers spread among those of light ones (nginx's smooth weighted round robin, 2012)."""

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        best, most, total = peers[0], -inf, 0.0
        for peer in peers:
            weight = peer.weight * peer.share
            total += weight
            peer.turn = turn = peer.turn + weight
            if turn > most:
                best, most = peer, turn
        best.turn = most - total
        return best


class LeastConnections:
    """The least load for its weight; between several, one at random by weight (in one pass: Chao's reservoir, 1982)."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        best, least, total = peers[0], inf, 0.0
        for peer in peers:
            weight = peer.weight * peer.share
            load = peer.load / weight if weight else inf
            if load < least:
                best, least, total = peer, load, weight
            elif load == least:
                total += weight
                if self._random() * total < weight:
                    best = peer
        return best


def relative_load(peer: Peer) -> float:
    """What it has in flight, for its weight."""
    weight = peer.weight * peer.share
    return peer.load / weight if weight else inf


def expected_wait(peer: Peer) -> float:
    """Seconds in which it would answer one more, for its weight (Finagle's Peak EWMA). One that has never answered is worth a
    try, but not a second one before it has. Whoever keeps `latency` lets it fade, or one slow answer would be the last."""
    load, weight = peer.load, peer.weight * peer.share
    return (peer.latency or (_UNKNOWN if load else 0.0)) * (load + 1) / weight if weight else inf


class TwoChoices:
    """The cheaper one of two drawn by weight (Mitzenmacher, 1996): workers who see the same loads do not all run to one peer."""

    def __init__(self, random: Random, cost: Callable[[Peer], float]) -> None:
        self._random = random
        self._cost = cost

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        ends = list(accumulate([peer.weight * peer.share for peer in peers]))
        total, last = ends[-1], len(peers) - 1
        first = bisect_right(ends, self._random() * total, 0, last)
        begin = ends[first - 1] if first else 0.0
        rest = total - (ends[first] - begin)
        if rest <= 0:
            return peers[first]
        at = self._random() * rest  # on the line without the stretch of the first
        second = bisect_right(ends, at if at < begin else at + ends[first] - begin, 0, last)
        one, other = peers[first], peers[second]
        return other if self._cost(other) < self._cost(one) else one


class Hash:
    """The same peer for the same key: rendezvous hashing with bounded loads (Mirrokni, Thorup & Zadimoghaddam, 2016).

    A key whose peer has more than `BALANCE` times its part of the load goes to the next in its own order. Keys are dealt by
    `weight` alone: a `share` lowers the bound, so that they do not move twice when a peer starts. No key: round robin.
    """

    def __init__(self) -> None:
        self._keyless = RoundRobin()
        self._known: frozenset[Peer] = frozenset()
        self._orders: dict[int, Sequence[Peer]] = {}

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        if not key:
            return self._keyless.pick(peers, key)
        if not self._known.issuperset(peers):
            self._known = frozenset(peers)
            self._orders.clear()
        bucket = spot(key) % BUCKETS
        bound = 0.0
        for peer in self._orders.get(bucket) or self._order(bucket):
            if peer in peers:
                load = peer.load
                if not load and peer.share:
                    return peer
                bound = bound or _bound(peers)
                if load < bound * peer.weight * peer.share:
                    return peer
        return peers[0]  # nobody weighs anything

    def _order(self, bucket: int) -> Sequence[Peer]:
        order = sorted(self._known, key=lambda peer: arrival(bucket, peer.name.encode(), peer.weight))
        self._orders[bucket] = order
        return order


def _bound(peers: Sequence[Peer]) -> float:
    """How much each of `peers` may have in flight for a weight of 1, before it gets one more."""
    weight = sum([peer.weight * peer.share for peer in peers])
    return BALANCE * (sum([peer.load for peer in peers]) + 1) / weight if weight else 0.0


class First:
    """The first in the order given, as long as it can be used."""

    def pick(self, peers: Sequence[Peer], key: bytes) -> Peer:
        return peers[0]


BALANCERS: Mapping[str, Callable[[Random], Balancer]] = {
    "round_robin": lambda random: RoundRobin(),
    "least_connections": LeastConnections,
    "random_two": lambda random: TwoChoices(random, relative_load),
    "ip_hash": lambda random: Hash(),
    "hash": lambda random: Hash(),
    "ewma": lambda random: TwoChoices(random, expected_wait),
    "first": lambda random: First(),
}
"""Each by the name that configurations call it. `ip_hash` is `hash` by the client's address, which its key says."""
