"""What connections of one kind share inside a worker: the loop, the clock, the limits, the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar, Protocol

from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason
from enfilade.observe.metrics import ConnectionMeter

LINGER = 1.0
"""Seconds that are read and dropped before a connection is closed over what its client still sends (nginx: 5)."""


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


class Tracked(Protocol):
    """What a worker asks of whoever holds a connection, from its acceptance to its end: first a TLS handshake, perhaps.
    `received`: bytes that came for the server."""

    received: int

    def sweep(self, now: float) -> None: ...
    def drain(self) -> None: ...
    def dismiss(self) -> None: ...
    def abort(self, why: Reason) -> None: ...
    def close(self) -> None: ...
    @property
    def idle(self) -> bool: ...


class Connections(set[Tracked]):
    """All that are open in this worker, whose number the others are told of: in `mine`, a cell that this worker alone writes.
    `everywhere()`: the sum over all workers, those that still drain among them."""

    def __init__(self, mine: memoryview[int], everywhere: Callable[[], int]) -> None:
        self._mine = mine
        self.everywhere = everywhere

    def add(self, connection: Tracked) -> None:
        super().add(connection)
        self._mine[0] = len(self)

    def discard(self, connection: object) -> None:
        super().discard(connection)
        self._mine[0] = len(self)


class Served(Protocol):
    """What a protocol in front (TLS, the PROXY protocol) hands a connection on to. It is an asyncio.Protocol, too."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def drain(self) -> None: ...


class ConnectionContext:
    """What connections of one kind share inside a worker. `limits` are those that a connection itself applies; `connections` are
    all that are open in this worker, of any kind, and there may be `max_connections` over all workers (0: any number; else they
    are `Connections`). `unix_path` is where we listen if that is a Unix socket.
    `guarded`: the firewall stands in front. `refusals`: how many are just being refused, beyond `max_connections`."""

    __slots__ = (
        "clock",
        "connections",
        "guarded",
        "limits",
        "loop",
        "max_connections",
        "meter",
        "refusals",
        "unix_path",
    )

    refusal: ClassVar[bytes] = b""
    """What is said, without being asked, to who is refused."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        meter: ConnectionMeter,
        connections: set[Tracked],
        max_connections: int = 0,
        unix_path: str | None = None,
        guarded: bool = True,
    ) -> None:
        self.loop = loop
        self.clock: Callable[[], float] = time.monotonic  # not loop.time: uvloop's stands still within a turn
        self.limits = limits
        self.meter = meter
        self.connections = connections
        self.max_connections = max_connections
        self.unix_path = unix_path
        self.guarded = guarded
        self.refusals = 0

    @property
    def full(self) -> bool:
        """No further connection may be taken."""
        connections = self.connections
        return isinstance(connections, Connections) and 0 < self.max_connections <= connections.everywhere()

    def opened(self, connection: Tracked, ends: Ends) -> None:
        self.connections.add(connection)
        self.meter.opened(_protocol(ends))

    def closed(self, connection: Tracked, ends: Ends) -> None:
        self.connections.discard(connection)
        self.meter.closed(_protocol(ends))


def _protocol(ends: Ends) -> int:
    return int(ends.alpn == "h2")
