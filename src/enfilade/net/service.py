"""What all connections of one listener share inside a worker: the handler, the engines' limits, the clock, the books."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from enfilade.exchange.bodies import BodyAborted
from enfilade.exchange.exchange import Exchange, Match, Peer
from enfilade.exchange.response import Response
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.observe.metrics import ConnectionMeter
from enfilade.wire.codec import ServerCodec

log = logging.getLogger("enfilade.net")
INTERNAL = reason("internal")
CONNECTION_LIMIT = reason("connection_limit")


class Connection(Protocol):
    """What a worker asks of a connection. `received`: bytes that came."""

    received: int

    def sweep(self, now: float) -> None: ...
    def drain(self) -> None: ...
    def dismiss(self) -> None: ...
    def abort(self, why: Reason) -> None: ...
    def close(self) -> None: ...
    @property
    def idle(self) -> bool: ...


class ConnectionLimits:
    """How slowly a client may read: less than `min_rate` bytes a second over `write_timeout` seconds ends the connection.
    `request_timeout`: how long one exchange may take in all; 0: as long as it likes. `handshake_timeout`: the same for TLS's."""

    __slots__ = ("handshake_timeout", "min_rate", "request_timeout", "write_timeout")

    def __init__(
        self,
        *,
        write_timeout: float = 30.0,
        min_rate: int = 240,
        request_timeout: float = 0.0,
        handshake_timeout: float = 10.0,
    ) -> None:
        self.handshake_timeout = handshake_timeout
        self.write_timeout = write_timeout
        self.min_rate = min_rate
        self.request_timeout = request_timeout


class Service:
    """`find` gives the match of a request; `refused` is where requests belong that no route may see; `error` makes error answers.

    `make_codec(is_http2, now)` builds the engine for a connection; `limits` are those that the connection itself applies.
    `h2c`: whoever begins with HTTP/2's preface is answered in HTTP/2 without TLS (RFC 9113 section 3.3).
    """

    __slots__ = (
        "clock", "connections", "error", "find", "h2c", "limits", "loop", "make_codec", "max_connections", "meter", "refused",
        "unix_path",
    )  # fmt: skip

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        find: Callable[[Request, Peer], Match],
        refused: Match,
        error: Callable[[Reason, Exchange], Response],
        make_codec: Callable[[bool, float], ServerCodec],
        limits: ConnectionLimits,
        meter: ConnectionMeter,
        connections: set[Connection],
        max_connections: int = 0,
        unix_path: str | None = None,
        h2c: bool = False,
    ) -> None:
        self.loop = loop
        self.clock: Callable[[], float] = time.monotonic  # not loop.time: uvloop's stands still within a turn
        self.find = find
        self.refused = refused
        self.error = error
        self.make_codec = make_codec
        self.limits = limits
        self.meter = meter
        self.connections = connections
        self.max_connections = max_connections
        self.unix_path = unix_path
        self.h2c = h2c

    def opened(self, connection: Connection, peer: Peer) -> None:
        self.connections.add(connection)
        self.meter.opened(_protocol(peer))
        if self.max_connections and len(self.connections) > self.max_connections:
            connection.abort(CONNECTION_LIMIT)

    def closed(self, connection: Connection, peer: Peer) -> None:
        self.connections.discard(connection)
        self.meter.closed(_protocol(peer))

    def failed(self, x: Exchange, e: BaseException) -> Response:
        """The answer where the chain of `x` raised `e`: one log line with the traceback, unless it was the client who left."""
        if isinstance(e, BodyAborted):
            return self.error(e.reason, x)
        if not isinstance(e, asyncio.CancelledError):
            log.error("%s %s failed", x.request.method, x.request.target, exc_info=e)
        return self.error(INTERNAL, x)


def _protocol(peer: Peer) -> int:
    return int(peer.alpn == "h2")
