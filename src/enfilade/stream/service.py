"""What all connections of one stream share inside a worker."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason, reason
from enfilade.net.context import ConnectionContext, ConnectionLimits, Tracked
from enfilade.net.dialer import OUR_SHORTAGE
from enfilade.observe.log import LogSink
from enfilade.observe.metrics import ConnectionMeter, StreamMeter
from enfilade.route.hosts import Hosts
from enfilade.stream.log import Record
from enfilade.stream.upstream import StreamUpstream

CONNECT_FAILED = reason("connect_failed")
CONNECT_TIMEOUT = reason("connect_timeout")
NO_SOCKET = reason("no_socket")
UPSTREAM_TLS = reason("upstream_tls")


def reason_of(error: OSError) -> Reason:
    """Why a peer could not be connected to. It is not to blame for what we have not got ourselves."""
    if isinstance(error, TimeoutError):
        return CONNECT_TIMEOUT
    if error.errno in OUR_SHORTAGE:
        return NO_SOCKET
    return UPSTREAM_TLS if isinstance(error, ssl.SSLError) else CONNECT_FAILED


class StreamLimits(NamedTuple):
    """Seconds: `idle` without a byte either way; `hello` for a ClientHello; 0: no limit. `connections`: of this stream in one
    worker at once; 0: any number."""

    idle: float
    hello: float
    connections: int


class StreamLog(NamedTuple):
    """Where its lines go, and what makes one of a `stream.log.Record`."""

    sink: LogSink
    render: Callable[[tuple[Any, ...], float], bytes]


class StreamService(ConnectionContext):
    """`upstream`: who is connected to; `by_name`: the upstreams by the server name in the ClientHello (exactly one of both is
    there)."""

    __slots__ = ("by_name", "log", "name", "open", "stream_limits", "stream_meter", "upstream")

    def __init__(
        self,
        name: str,
        *,
        loop: asyncio.AbstractEventLoop,
        meter: ConnectionMeter,
        stream_meter: StreamMeter,
        connections: set[Tracked],
        limits: StreamLimits,
        max_connections: int = 0,
        upstream: StreamUpstream | None = None,
        by_name: Hosts[StreamUpstream] | None = None,
        log: StreamLog | None = None,
    ) -> None:
        super().__init__(
            loop=loop, limits=ConnectionLimits(handshake_timeout=limits.hello), meter=meter, connections=connections,
            max_connections=max_connections,
        )  # fmt: skip
        self.name = name
        self.stream_limits = limits
        self.stream_meter = stream_meter
        self.upstream = upstream
        self.by_name = by_name
        self.log = log
        self.open = 0

    @property
    def full(self) -> bool:
        return 0 < self.stream_limits.connections <= self.open or self.server_full

    @property
    def server_full(self) -> bool:
        """No further connection may be taken, of whatever stream."""
        return super().full

    def began(self, connection: Tracked) -> None:
        """A connection, or a session, more."""
        self.open += 1
        self.connections.add(connection)
        self.stream_meter.opened()

    def over(
        self, connection: Tracked, ends: Ends, began: float, name: str | None, peer: str | None, received: int, sent: int,
        why: Reason | None,
    ) -> None:  # fmt: skip
        """It has ended, in whatever way: told exactly once."""
        self.open -= 1
        self.connections.discard(connection)
        self.stream_meter.closed()
        if why is not None:
            self.meter.rejected(why)
        if self.log is not None:
            self.log.sink.append(
                Record(
                    self.log.render,
                    began,
                    self.name,
                    ends.client,
                    name,
                    peer,
                    received,
                    sent,
                    self.clock() - began,
                    why,
                )
            )
