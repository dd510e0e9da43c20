"""Upstreams as a worker has them: peers with their pools, dialers and engines."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from enfilade.assemble.balance import make_upstream
from enfilade.config.checks import is_name
from enfilade.config.schema import Config
from enfilade.config.schema import Peer as PeerTable
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.net.client import CallLimits, ClientContext, Engine
from enfilade.net.context import ConnectionLimits, Tracked
from enfilade.net.dialer import Dialer, client_tls
from enfilade.observe.metrics import ConnectionMeter
from enfilade.upstream.addresses import Address, parse_address
from enfilade.upstream.peer import Peer
from enfilade.upstream.pool import Pool
from enfilade.upstream.upstream import Upstream
from enfilade.wire.codec import ClientCodec
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits


class Upstreams:
    """The upstreams of a configuration in one worker; `connections` are all that they have open."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, meter: ConnectionMeter) -> None:
        self._config = config
        self._loop = loop
        self._meter = meter
        self._made: dict[object, Upstream] = {}
        self.connections: set[Tracked] = set()

    def of(self, to: str | Sequence[str], balance: str | None) -> Upstream:
        """The upstream called `to`, or of the servers with these URLs; whoever says the same shares one."""
        if isinstance(to, str) and is_name(to):
            name, table = to, self._config.upstreams[to]
        else:
            peers = [to] if isinstance(to, str) else list(to)
            name, table = ", ".join(peers), UpstreamTable(peers=list(peers), balance=balance or "round_robin")
        key = (name, table.balance)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(name, table)
        return made

    def sweep(self, now: float) -> None:
        """About once a second."""
        for connection in list(self.connections):
            connection.sweep(now)
        for upstream in self._made.values():
            upstream.tick(now)

    def drain(self) -> None:
        """Keep no connection that has nothing to do."""
        for upstream in self._made.values():
            for peer in upstream.peers:
                peer.pool.retire()
                peer.upgrades.retire()

    def close(self) -> None:
        for connection in list(self.connections):
            connection.close()

    def _make(self, name: str, table: UpstreamTable) -> Upstream:
        upstream = make_upstream(name, table, self._loop.call_later, time.monotonic)
        context = ClientContext(
            loop=self._loop, limits=ConnectionLimits(), meter=self._meter, connections=self.connections
        )
        context.calls = CallLimits(
            head=table.answer_timeout,
            silence=table.silence_timeout,
            total=table.total_timeout,
            keep_alive=table.keep_alive,
        )
        for said in table.peers:
            upstream.join(_peer(PeerTable(url=said) if isinstance(said, str) else said, table, context))
        return upstream


def _peer(said: PeerTable, table: UpstreamTable, context: ClientContext) -> Peer:
    address = parse_address(said.url)
    peer = Peer(address.name, weight=said.weight, tier=said.tier, limit=said.limit)
    peer.authority, peer.tls, peer.http2 = address.authority, address.tls, address.protocol == "h2c"
    dial = partial(_dialer, address, table, context)
    pool = partial(
        Pool, later=context.loop.call_later, most=table.connections, length=table.queue, patience=table.queue_timeout,
        keep=table.keep,
    )  # fmt: skip
    tls = tls_context(table) if address.tls else None
    peer.pool = peer.upgrades = pool(dial(tls), shared=peer.http2)
    if tls is not None:  # whatever the peer prefers, an upgrade is asked for in HTTP/1.1
        peer.upgrades = pool(dial(tls_context(table, ("http/1.1",))))
    return peer


def _dialer(address: Address, table: UpstreamTable, context: ClientContext, tls: ssl.SSLContext | None) -> Dialer:
    return Dialer(
        context,
        address.path or (address.at or address.host, address.port),
        _engine(address.protocol == "h2c", h2=tls is not None, timeout=table.connect_timeout),
        timeout=table.connect_timeout,
        tls=tls,
        server_name=table.tls.name or address.host,
        name=address.name,
    )


def tls_context(table: UpstreamTable, protocols: tuple[str, ...] = ("h2", "http/1.1")) -> ssl.SSLContext:
    """Raises OSError or ssl.SSLError."""
    tls = table.tls
    return client_tls(
        authority=tls.authority, certificate=tls.certificate, key=tls.key, verify=tls.verify, protocols=protocols
    )


def _engine(prior_knowledge: bool, *, h2: bool, timeout: float) -> Engine:
    """What makes engines for connections to a peer: `prior_knowledge` of HTTP/2, or whatever TLS agrees on; `timeout`: for its
    first frame."""
    limits = Http1Limits()
    http2 = _http2_client(timeout) if prior_knowledge or h2 else None

    def make(alpn: str | None) -> tuple[ClientCodec, bool]:
        if http2 is not None and (prior_knowledge or alpn == "h2"):
            return http2(), True
        return Http1Client(limits), False

    return make


def _http2_client(timeout: float) -> Callable[[], ClientCodec]:
    # The tables of HTTP/2 and HPACK cost 10 ms, which only those pay whose peers may speak it.
    from enfilade.wire.http2 import Http2Client, Http2Limits  # noqa: PLC0415

    # Answers may be as slow and as silent as they like: the time-outs of calls are others. One that is not read must not hold
    # up those beside it, and peers may do more often what would be a flood from a stranger: gRPC pings and resets a lot.
    limits = Http2Limits(
        settings_timeout=timeout or inf, idle_timeout=inf, body_timeout=inf, min_rate=0, connection_window=32 << 20,
        budget=100_000, refill=33_000,
    )  # fmt: skip
    return partial(Http2Client, limits)
