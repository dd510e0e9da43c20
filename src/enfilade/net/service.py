"""What all HTTP connections of one listener share inside a worker: the handler, the engines, the answers to errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from enfilade.exchange.exchange import Exchange, Match
from enfilade.exchange.response import Response
from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.net.context import ConnectionContext, ConnectionLimits, Tracked
from enfilade.net.refusal import HTTP_REFUSAL
from enfilade.net.trusted import TrustedProxies
from enfilade.observe.metrics import ConnectionMeter
from enfilade.wire.codec import ServerCodec


class Service(ConnectionContext):
    """`find` gives the match of a request; `refused` is where requests belong that no route may see; `error` makes error answers.

    `make_codec(is_http2, now)` builds the engine for a connection.
    `proxies`: those whose word on the client of a request is believed; None: nobody's.
    `h2c`: whoever begins with HTTP/2's preface is answered in HTTP/2 without TLS (RFC 9113 section 3.3).
    `gone`: is told which client's connection has ended, where anybody wants to know.
    """

    __slots__ = ("error", "find", "gone", "h2c", "make_codec", "proxies", "refused")

    refusal = HTTP_REFUSAL

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        find: Callable[[Request, Ends], Match],
        refused: Match,
        error: Callable[[Reason, Exchange], Response],
        make_codec: Callable[[bool, float], ServerCodec],
        limits: ConnectionLimits,
        meter: ConnectionMeter,
        connections: set[Tracked],
        max_connections: int = 0,
        unix_path: str | None = None,
        guarded: bool = True,
        h2c: bool = False,
        proxies: TrustedProxies | None = None,
        gone: Callable[[Ends], None] | None = None,
    ) -> None:
        super().__init__(
            loop=loop, limits=limits, meter=meter, connections=connections, max_connections=max_connections,
            unix_path=unix_path, guarded=guarded,
        )  # fmt: skip
        self.find = find
        self.refused = refused
        self.error = error
        self.make_codec = make_codec
        self.h2c = h2c
        self.proxies = proxies
        self.gone = gone

    def closed(self, connection: Tracked, ends: Ends) -> None:
        super().closed(connection, ends)
        if self.gone is not None:
            self.gone(ends)
