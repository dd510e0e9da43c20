"""Links: connections to edge workers that carry the application's exchanges."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable
from typing import cast

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Handler, Match, Route
from enfilade.exchange.response import Response
from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.net.context import ConnectionLimits, Tracked
from enfilade.net.http import HttpConnection
from enfilade.net.service import Service
from enfilade.observe.metrics import ConnectionMeter
from enfilade.wire.link import LinkedRequest, LinkServer

SWEEP = 5.0
"""Seconds between two looks at links that are silent, and need not remember what they have seen."""
HOLD = 0.005
"""Seconds for which answers wait for others at most, to be written together at the end of a turn of the loop. An application that
blocks makes a turn as long as all the answers in it."""
FAREWELL = 0.5
"""Seconds that WebSockets get for their goodbye when the time for a drain is up (net/edge.py: the same)."""

_SHUTTING_DOWN = reason("shutting_down")


class Links(Service):
    """All links of this process. The edge counts, limits and judges; here is only the application."""

    __slots__ = ("_empty", "_handler", "_matches", "_route")

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler) -> None:
        self._handler = handler
        self._route = Route("", "", self._chain)
        self._matches: dict[
            str, Match
        ] = {}  # by mount: there are as many as the configuration has routes to the application
        self._empty: asyncio.Future[None] | None = None
        super().__init__(
            loop=loop,
            find=self._match,
            refused=Match(self._route, {}, ""),
            error=error_response,
            make_codec=lambda is_http2, now: LinkServer(),
            limits=ConnectionLimits(write_timeout=math.inf),
            meter=_Uncounted(),
            connections=set(),
            unix_path="",
        )
        self._sweep()

    async def take(self, sock: socket.socket) -> None:
        """Serve the edge worker at the other end of `sock`."""
        sock.setblocking(False)
        try:
            await self.loop.connect_accepted_socket(lambda: LinkConnection(self), sock)
        except OSError:  # it is gone already
            sock.close()

    async def drain(self, timeout: float) -> None:
        """Take no new requests, and wait until those that are there are answered, for `timeout` seconds at most. WebSockets are
        told to leave then."""
        for connection in list(self.connections):
            connection.drain()
        if await self._emptied(timeout):
            return
        for connection in list(self.connections):
            connection.dismiss()
        await self._emptied(FAREWELL)

    def descriptors(self) -> list[int]:
        """Of the sockets that are open."""
        connections = cast("set[HttpConnection]", self.connections)
        numbers = [connection.transport.get_extra_info("socket").fileno() for connection in connections]
        return [fd for fd in numbers if fd >= 0]

    def abort(self) -> None:
        """End everything now."""
        for connection in list(self.connections):
            connection.abort(_SHUTTING_DOWN)

    def closed(self, connection: Tracked, ends: Ends) -> None:
        super().closed(connection, ends)
        if not self.connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    async def _emptied(self, timeout: float) -> bool:
        if self.connections:
            self._empty = self.loop.create_future()
            await asyncio.wait((self._empty,), timeout=timeout)
        return not self.connections

    def _sweep(self) -> None:
        now = self.clock()
        for connection in list(self.connections):
            connection.sweep(now)
        self.loop.call_later(SWEEP, self._sweep)

    # -- requests

    def _match(self, request: Request, ends: Ends) -> Match:
        mount = cast(LinkedRequest, request).mount
        match = self._matches.get(mount)
        if match is None:
            match = self._matches[mount] = Match(self._route, {}, mount)
        return match

    def _chain(self, x: Exchange) -> Response | Awaitable[Response]:
        x.ends = cast(LinkedRequest, x.request).ends  # the client's, not the link's
        return self._handler(x)


class LinkConnection(HttpConnection):
    """One link. What goes wrong before there is an answer is told by its reason: the edge answers for it, in its own words, with
    the request's id, and counts it. `_hold_until`: answers may be held back."""

    __slots__ = ("_hold_until",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._hold_until = 0.0
        super().connection_made(transport)

    def _answer(self, x: Exchange, response: Response) -> None:
        if response.reason is None:
            super()._answer(x, response)
            now = self.service.clock()
            if now >= self._hold_until:
                self._hold_until = now + HOLD
                self.flush()
        else:
            x.response = response
            self._cut(x.stream, response.reason)


class _Uncounted(ConnectionMeter):
    """The edge counts."""

    __slots__ = ()

    def __init__(self) -> None:
        """There is no board here."""

    def opened(self, protocol: int) -> None: ...
    def closed(self, protocol: int) -> None: ...
    def received(self, size: int) -> None: ...
    def sent(self, size: int) -> None: ...
    def rejected(self, reason: Reason) -> None: ...
