"""The peers that a stream goes to, and which of them is next."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping
from typing import NamedTuple

from enfilade.http.reasons import Reason
from enfilade.upstream.addresses import Address
from enfilade.upstream.health import Health
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import Balancer, candidates, tiers


class Target(NamedTuple):
    """Where a peer is; `tls`: the context to speak TLS with it, None if it speaks none, and `server_name`: its name there."""

    address: Address
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


class Group:
    """`targets`: where each peer is. Who takes a peer says `connected` or `failed`, and lets it go when it is over."""

    __slots__ = ("_balancer", "_tiers", "health", "targets")

    def __init__(self, targets: Mapping[Peer, Target], balancer: Balancer, health: Health, now: float) -> None:
        self.targets = targets
        self.health = health
        self._balancer = balancer
        self._tiers = tiers(targets)
        for peer in targets:
            health.joined(peer, now)

    def take(self, client_ip: str, tried: Collection[Peer] = ()) -> Peer | None:
        """A peer for this client that is none of those `tried`; None if there is no other."""
        found = candidates(self._tiers, tried)
        if not found:
            return None
        peer = self._balancer.pick(found, client_ip.encode())
        peer.took()
        return peer

    def connected(self, peer: Peer, seconds: float, now: float) -> None:
        """It took so long. What it says, and how the connection ends, is no news of its health."""
        self.health.succeeded(peer, 0, seconds, now)

    def failed(self, peer: Peer, why: Reason, now: float) -> None:
        """The connection could not be had: the peer is let go."""
        peer.let_go()
        self.health.failed(peer, why, now)
