"""The peers that a stream goes to, and which of them is next."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from typing import NamedTuple

from enfilade.http.reasons import Reason, reason
from enfilade.upstream.addresses import Address
from enfilade.upstream.health import Health
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import Balancer, candidates
from enfilade.upstream.queue import Queue
from enfilade.upstream.upstream import Policy, Upstream

_BUSY = reason("upstream_busy")
_NO_PEER = reason("no_peer")


class Target(NamedTuple):
    """Where a peer is; `tls`: the context to speak TLS with it, None if it speaks none, and `server_name`: its name there.
    `timeout`: seconds for a connection, TLS included; 0: no limit."""

    address: Address
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    timeout: float = 0.0


class StreamUpstream(Upstream):
    """An `Upstream` whose peers are passed bytes: an exchange is a connection, or a session, and nobody waits for one in a queue.
    Who takes a peer says `connected` or `failed`, and lets it go when it is over. `targets`: where each peer is."""

    __slots__ = ("targets",)

    def __init__(
        self, name: str, balancer: Balancer, queue: Queue, health: Health, clock: Callable[[], float], policy: Policy
    ) -> None:
        super().__init__(name, balancer, queue, health, clock, policy)
        self.targets: dict[Peer, Target] = {}

    def take(self, client_ip: str, tried: Collection[Peer] = ()) -> Peer | None:
        """A peer for this client that is none of those `tried`; None if there is no other."""
        found = candidates(self._tiers, tried)
        if not found:
            return None
        peer = self._balancer.pick(found, client_ip.encode())
        peer.took()
        return peer

    @property
    def nobody(self) -> Reason:
        """Why there is none."""
        return _BUSY if any(peer.up for peer in self.peers) else _NO_PEER

    def connected(self, peer: Peer, seconds: float) -> None:
        """It took so long. What it says, and how the connection ends, is no news of its health."""
        self.health.succeeded(peer, 0, seconds, self.clock())

    def failed(self, peer: Peer, why: Reason) -> None:
        """The connection could not be had: the peer is let go."""
        peer.let_go()
        self.health.failed(peer, why, self.clock())

    def leave(self, peer: Peer) -> None:
        """See `Upstream.leave`."""
        super().leave(peer)
        del self.targets[peer]

    def retire(self, peer: Peer) -> None:
        """See `Upstream.retire`: there is none."""
