"""The streams of a configuration: what is made of them in the supervisor, and what serves them in a worker."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

import msgspec

from enfilade.assemble.certificates import Certificates, peer_context
from enfilade.assemble.upstream_rows import UpstreamRows, register_upstream
from enfilade.assemble.upstreams import Sources, Upstreams, references
from enfilade.config import schema, units
from enfilade.config.schema import Config, Stream, Upstream
from enfilade.http.addresses import Networks
from enfilade.net.edge import Edge, serving
from enfilade.net.firewall import Guard
from enfilade.net.tls import ListenerContexts
from enfilade.observe.log import LogSink
from enfilade.observe.metrics import ConnectionMeter, StreamMeter, StreamRows, register_stream
from enfilade.process.board import Board, Column
from enfilade.process.sockets import ListenSpec, numbered
from enfilade.route.hosts import compile_hosts
from enfilade.stream.log import FORMATS
from enfilade.stream.probe import StreamProbe
from enfilade.stream.relay import Relay
from enfilade.stream.service import StreamLimits, StreamLog, StreamService
from enfilade.stream.udp import UdpListener
from enfilade.stream.upstream import StreamUpstream, Target
from enfilade.upstream.addresses import Address
from enfilade.upstream.peer import Peer


class _Default(NamedTuple):
    balance: str
    idle_timeout: float


DEFAULTS = {False: _Default("round_robin", 600.0), True: _Default("ip_hash", 30.0)}
"""For TCP, and for UDP: clients of databases keep quiet for minutes, and a DNS server answers at once."""


OVERRIDES = ("balance", "connect_timeout", "send_proxy")
"""What a stream may say in place of the upstream that it names."""


class Destination(NamedTuple):
    """An upstream that a stream goes to."""

    name: str
    table: Upstream
    sources: Sources


class PreparedStream(NamedTuple):
    """`listen`: what is spoken at each of its addresses. `tls`: the context for those with TLS. `destinations`: by the server
    name that clients ask for; the only one is "" where they are not asked."""

    name: str
    stream: Stream
    listen: Mapping[ListenSpec, units.StreamAddress]
    tls: ListenerContexts | None
    rows: StreamRows
    destinations: Mapping[str, Destination]

    @property
    def udp(self) -> bool:
        return is_udp(self.stream)


def prepare_streams(config: Config, board: Board, certificates: Certificates) -> list[PreparedStream]:
    """In the supervisor, before the fork. Raises OSError, ssl.SSLError or BoardFull."""
    prepared = []
    for name, stream in config.streams.items():
        listen, tls = dict(stream_listeners(name, stream)), certificates.of_stream(stream.tls)
        rows = register_stream(board, name)
        prepared.append(PreparedStream(name, stream, listen, tls, rows, destinations(config, name, stream)))
    return prepared


def register_destinations(prepared: Sequence[PreparedStream], board: Board) -> dict[str, UpstreamRows]:
    """The rows of the upstreams that streams go to. Raises BoardFull."""
    return {to.name: register_upstream(board, to.name) for stream in prepared for to in stream.destinations.values()}


def destinations(config: Config, name: str, stream: Stream) -> dict[str, Destination]:
    """See `PreparedStream.destinations`."""
    if stream.handler is not None:
        return {}
    if stream.to:
        return {"": _destination(config, f"streams.{name}", stream, stream.to)}
    return {host: _destination(config, f"streams.{name}.sni.{host}", stream, to) for host, to in stream.sni.items()}


def _destination(config: Config, where: str, stream: Stream, to: str | list[str]) -> Destination:
    """A named upstream that is used for something else, too, or that is to have another balance, say, is one of the stream's own,
    known by `where` it is named."""
    udp = is_udp(stream)
    own = {key: said for key in OVERRIDES if (said := getattr(stream, key)) is not None}
    if isinstance(to, str) and units.is_name(to):
        as_it_is = not own and _only_for(config, to, udp)
        name, called, table = (to if as_it_is else where), to, config.upstreams[to]
    else:
        name = called = where
        table = Upstream(peers=list(units.texts(to)), balance=DEFAULTS[udp].balance, tls=stream.peer_tls)
    return Destination(name, msgspec.structs.replace(table, **own), Sources(called, "udp" if udp else "tcp"))


def _only_for(config: Config, name: str, udp: bool) -> bool:
    """Whether no route uses the upstream called `name`, and no stream over another protocol."""
    streams = [stream for stream in config.streams.values() if name in (stream.to, *stream.sni.values())]
    return name not in [to for to, _ in references(config)] and all(is_udp(stream) is udp for stream in streams)


def is_udp(stream: Stream) -> bool:
    """Whether it listens for datagrams."""
    return any(units.stream_address(text).protocol == "udp" for text in units.texts(stream.listen))


def stream_listeners(name: str, stream: Stream) -> Iterator[tuple[ListenSpec, units.StreamAddress]]:
    """What `stream` listens on, and what is spoken there."""
    found = [units.stream_address(text) for text in units.texts(stream.listen)]
    specs = (ListenSpec(f"streams.{name}", one.kind, one.address.host, one.address.port) for one in found)
    return zip(numbered(specs), found, strict=True)


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
        upstreams: Upstreams,
        guard: Guard | None = None,
    ) -> None:
        self._config = config
        self._edge = edge
        self._column = column
        self._meter = meter
        self._guard = guard
        self._senders = Networks(config.server.proxy_protocol)
        self._by_spec = {spec: stream for stream in prepared for spec in stream.listen}
        self._logs = {stream.name: open_log(stream.stream.log, sink) for stream in prepared}
        self._tls_context = cache(peer_context)
        self._upstreams = upstreams
        self._made: dict[str, StreamUpstream] = {}
        self._services = {stream.name: self._service(stream) for stream in prepared}
        self._udp: list[UdpListener] = []

    def __contains__(self, spec: ListenSpec) -> bool:
        return spec in self._by_spec

    async def listen(self, spec: ListenSpec, sock: socket.socket) -> None:
        """Serve the stream that `spec` belongs to on `sock`."""
        prepared = self._by_spec[spec]
        service = self._services[prepared.name]
        if prepared.udp:
            self._udp.append(UdpListener(service, sock, self._guard))
        else:
            tls = prepared.tls if prepared.listen[spec].protocol == "tls" else None
            make = serving(service, partial(Relay, service), tls=tls, senders=self._senders, guard=self._guard)
            await self._edge.listen(sock, make)

    def stop(self) -> None:
        """Leave the clients of UDP to the next generation; connections live on until the drain ends."""
        for listener in self._udp:
            listener.stop()

    def _service(self, prepared: PreparedStream) -> StreamService:
        stream = prepared.stream
        idle = DEFAULTS[prepared.udp].idle_timeout if stream.idle_timeout is None else stream.idle_timeout
        named = {name: self._upstream(destination) for name, destination in prepared.destinations.items()}
        by_name = None if stream.to else compile_hosts(named)
        return StreamService(
            prepared.name,
            loop=self._edge.loop,
            meter=self._meter,
            stream_meter=StreamMeter(self._column.cells, prepared.rows),
            connections=self._edge.connections,
            limits=StreamLimits(idle, self._config.server.limits.head_timeout, stream.connections or 0),
            max_connections=self._config.server.limits.connections,
            upstream=named[""] if stream.to else None,
            by_name=by_name,
            log=self._logs[prepared.name],
        )

    def _upstream(self, destination: Destination) -> StreamUpstream:
        """Streams that say the same share one."""
        name, table, sources = destination
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._upstreams.make(StreamUpstream, name, table)
            equip = partial(self._equip, made, table)
            self._upstreams.look_after(made, table, sources, equip, partial(StreamProbe, made))
        return made

    def _equip(self, upstream: StreamUpstream, table: Upstream, peer: Peer, address: Address) -> None:
        tls = self._tls_context(table.tls, ()) if address.tls else None
        upstream.targets[peer] = Target(address, tls, table.tls.name or address.host, table.connect_timeout)


def open_log(log: bool | schema.StreamLog, sink: Callable[[str], LogSink]) -> StreamLog | None:
    """Where the log of a stream goes, to a sink that `sink` makes; None: nowhere."""
    if log is False:
        return None
    table = log if isinstance(log, schema.StreamLog) else schema.StreamLog()
    return StreamLog(sink(table.to), FORMATS[table.format])
