"""The streams of a configuration: what is made of them in the supervisor, and what serves them in a worker."""

from __future__ import annotations

import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from enfilade.assemble.certificates import internal, peer_context, read_context
from enfilade.config import schema, units
from enfilade.config.peers import wanted_of
from enfilade.config.schema import Config, PeerTls, Stream, Tls, Upstream
from enfilade.http.addresses import Networks
from enfilade.net.edge import Edge, serving
from enfilade.net.tls import context_for
from enfilade.observe.log import LogSink
from enfilade.observe.metrics import ConnectionMeter, StreamMeter, StreamRows, register_stream
from enfilade.process.board import Board, Column
from enfilade.process.plan import StartError
from enfilade.process.sockets import ListenSpec
from enfilade.route.hosts import compile_hosts
from enfilade.stream.group import Group, Target
from enfilade.stream.log import FORMATS
from enfilade.stream.relay import Relay
from enfilade.stream.service import StreamLimits, StreamLog, StreamService
from enfilade.stream.udp import UdpListener
from enfilade.upstream.addresses import Address
from enfilade.upstream.health import Health, Policy
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import BALANCERS

POLICY = Policy(slow_start=0.0)
"""Of the peers of streams: a connection says nothing of how much a peer that has come back can bear."""


class _Default(NamedTuple):
    balance: str
    idle_timeout: float


DEFAULTS = {False: _Default("round_robin", 600.0), True: _Default("ip_hash", 30.0)}
"""For TCP, and for UDP: clients of databases keep quiet for minutes, and a DNS server answers at once."""


class PreparedStream(NamedTuple):
    """`listen`: what is spoken at each of its addresses. `tls`: the context for those with TLS."""

    name: str
    stream: Stream
    listen: Mapping[ListenSpec, units.StreamAddress]
    tls: ssl.SSLContext | None
    rows: StreamRows

    @property
    def udp(self) -> bool:
        return any(address.protocol == "udp" for address in self.listen.values())


def prepare_streams(config: Config, board: Board) -> list[PreparedStream]:
    """In the supervisor, before the fork. Raises OSError, ssl.SSLError or BoardFull."""
    return [
        PreparedStream(
            name, stream, dict(stream_listeners(name, stream)), _server_tls(stream.tls), register_stream(board, name)
        )
        for name, stream in config.streams.items()
    ]


def stream_listeners(name: str, stream: Stream) -> Iterator[tuple[ListenSpec, units.StreamAddress]]:
    """What `stream` listens on, and what is spoken there."""
    for text in _texts(stream.listen):
        found = units.stream_address(text)
        yield ListenSpec(f"streams.{name}", found.kind, found.address.host, found.address.port), found


def _server_tls(tls: Tls | str | None) -> ssl.SSLContext | None:
    """Without ALPN: what is spoken inside is no affair of ours."""
    if tls is None:
        return None
    return read_context(tls, ()) if isinstance(tls, Tls) else context_for(internal(), ())


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class Streams:
    """All streams of one worker."""

    def __init__(
        self,
        prepared: Sequence[PreparedStream],
        config: Config,
        edge: Edge,
        column: Column,
        meter: ConnectionMeter,
        sink: Callable[[str], LogSink],
    ) -> None:
        self._config = config
        self._edge = edge
        self._column = column
        self._meter = meter
        self._senders = Networks(config.server.proxy_protocol)
        self._by_spec = {spec: stream for stream in prepared for spec in stream.listen}
        self._logs = {stream.name: _log(stream.stream.log, sink) for stream in prepared}
        self._tls_context = cache(peer_context)
        self._services: dict[str, StreamService] = {}
        self._udp: list[UdpListener] = []

    def __contains__(self, spec: ListenSpec) -> bool:
        return spec in self._by_spec

    async def listen(self, spec: ListenSpec, sock: socket.socket) -> None:
        """Serve the stream that `spec` belongs to on `sock`. Raises StartError."""
        prepared = self._by_spec[spec]
        service = self._services.get(prepared.name)
        if service is None:
            service = self._services[prepared.name] = await self._service(prepared)
        if prepared.udp:
            self._udp.append(UdpListener(service, sock))
        else:
            tls = prepared.tls if prepared.listen[spec].protocol == "tls" else None
            await self._edge.listen(sock, serving(service, partial(Relay, service), tls=tls, senders=self._senders))

    def stop(self) -> None:
        """Leave the clients of UDP to the next generation; connections live on until the drain ends."""
        for listener in self._udp:
            listener.stop()

    async def _service(self, prepared: PreparedStream) -> StreamService:
        stream, default = prepared.stream, DEFAULTS[prepared.udp]
        limits = StreamLimits(
            connect=stream.connect_timeout,
            idle=default.idle_timeout if stream.idle_timeout is None else stream.idle_timeout,
            hello=self._config.server.limits.head_timeout,
            connections=stream.connections,
        )
        named = {name: await self._group(prepared, to) for name, to in stream.sni.items()}
        return StreamService(
            prepared.name,
            loop=self._edge.loop,
            meter=self._meter,
            stream_meter=StreamMeter(self._column.cells, prepared.rows),
            connections=self._edge.connections,
            limits=limits,
            group=await self._group(prepared, stream.to) if stream.to else None,
            by_name=compile_hosts(named) if named else None,
            send_proxy=stream.send_proxy,
            log=self._logs[prepared.name],
        )

    async def _group(self, prepared: PreparedStream, to: str | list[str]) -> Group:
        stream, default = prepared.stream, DEFAULTS[prepared.udp].balance
        if isinstance(to, str) and units.is_name(to):
            table = self._config.upstreams[to]
        else:
            table = Upstream(peers=list(_texts(to)), balance=default, tls=stream.peer_tls)
        targets = {}
        for said in table.peers:
            address, weight, tier, limit = wanted_of(said)
            peer = Peer(address.name, weight=weight, tier=tier, limit=limit)
            targets[peer] = await self._target(prepared, address, table.tls)
        health = Health(POLICY)
        self._edge.on_tick.append(health.tick)
        return Group(targets, BALANCERS[stream.balance or table.balance](random.random), health, time.monotonic())

    async def _target(self, prepared: PreparedStream, address: Address, tls: PeerTls) -> Target:
        if prepared.udp and not address.is_literal:  # a datagram cannot wait for DNS
            try:
                found = await self._edge.loop.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
            except OSError as error:
                what = f"{address.host} is not known: {error.strerror or error}"
                raise StartError(f"streams.{prepared.name}: {what}") from error
            return Target(address._replace(at=str(found[0][4][0])))
        return Target(address, self._tls_context(tls, ()), tls.name or address.host) if address.tls else Target(address)


def _log(log: bool | schema.StreamLog, sink: Callable[[str], LogSink]) -> StreamLog | None:
    if log is False:
        return None
    table = log if isinstance(log, schema.StreamLog) else schema.StreamLog()
    return StreamLog(sink(table.to), FORMATS[table.format])
