"""The event loop of an edge worker: accepts, ticks, and drains."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, cast

import uvloop

from enfilade.http.addresses import Networks
from enfilade.http.dates import format_date
from enfilade.http.reasons import reason
from enfilade.net.context import ConnectionContext, Served, Tracked
from enfilade.net.firewall import Gate, Guard
from enfilade.net.proxy_header import ProxyHeader
from enfilade.net.tls import ListenerContexts
from enfilade.net.tls_transport import TlsTransport
from enfilade.wire.codec import DateStamp

TICK = 1.0
"""Seconds between two looks at deadlines and the Date field: time-outs are exact to a second."""
BACKLOG = 4096
DRAIN_LOOK = 0.05
"""Seconds between two looks at what a drain still waits for."""
FAREWELL = 0.5
"""Seconds that whoever is dismissed at the end of a drain has to answer."""
FIRST_WORD = 0.5
"""Seconds that a drain gives connections that have not said anything: their first request is mostly on its way."""
SHUTTING_DOWN = reason("shutting_down")
# The file of a Unix socket is the supervisor's: the next generation may listen on it. From Python 3.13 on, a server that closes
# would take it along. (uvloop has the option with every Python; its type stubs do not know it.)
_KEEP_FILE: dict[str, Any] = {"cleanup_socket": False}


class EdgeLoop(uvloop.Loop):
    """uvloop's loop; as a Python class it has a `__dict__`, which `exchange.tasks` needs on Python 3.11."""


class _Listener(NamedTuple):
    """`sock` is a copy of what `server` listens on, and outlives it."""

    sock: socket.socket
    server: asyncio.Server
    make: Callable[[], asyncio.Protocol]


class Edge:
    """What runs in one worker; `connections` are all that are open. `on_tick` is called about once a second with the monotonic
    time. `abandoned`: a drain waits for nothing any more."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, date: DateStamp, connections: set[Tracked] | None = None
    ) -> None:
        self.loop = loop
        self.date = date
        self.connections: set[Tracked] = set() if connections is None else connections
        self.on_tick: list[Callable[[float], None]] = []
        self._listeners: list[_Listener] = []
        self.abandoned = False
        self._ticker: asyncio.TimerHandle | None = None
        self.tick()

    async def listen(self, sock: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections on `sock`, which is bound already, and give each to a protocol that `make` makes."""
        if sock.family == socket.AF_UNIX:
            server = await self.loop.create_unix_server(make, sock=sock, backlog=BACKLOG, **_KEEP_FILE)
        else:
            server = await self.loop.create_server(make, sock=sock, backlog=BACKLOG)
        self._listeners.append(_Listener(sock.dup(), server, make))

    def tick(self) -> None:
        now, wall = time.monotonic(), time.time()
        self.date.set(format_date(int(wall)))
        for connection in list(self.connections):
            connection.sweep(now)
        for hook in self.on_tick:
            hook(now)
        # Just behind the full second, so that the Date field changes when the clock does.
        self._ticker = self.loop.call_later(TICK - wall % TICK + 0.001, self.tick)

    async def stop_accepting(self) -> None:
        """Take what waits in the queues, then close: a socket that nobody listens on any more would reset what is in them."""
        for listener in self._listeners:
            listener.server.close()
            with listener.sock:
                await self._empty_queue(listener)
        self._listeners.clear()
        await asyncio.sleep(0)  # who was accepted in this very turn is made known in the next one

    async def _empty_queue(self, listener: _Listener) -> None:
        listener.sock.setblocking(False)
        while True:
            try:
                accepted, _ = listener.sock.accept()
            except OSError:  # BlockingIOError: the queue is empty; anything else: nobody can be accepted
                return
            accepted.setblocking(False)
            try:
                await self.loop.connect_accepted_socket(listener.make, accepted)
            except OSError:  # the client left
                continue

    async def drain(self, timeout: float, *, close_idle: Callable[[], bool]) -> None:
        """Stop accepting and wait until what is in flight is done, for `timeout` seconds at most.

        `close_idle()`: idle connections are closed at once (the server stops for good); otherwise they stay until their next
        answer or their idle time-out, so that a request on its way to us is not lost (the server is reloaded). What has no end of
        its own (WebSockets) is dismissed at once where the server stops, otherwise when the time is up.
        """
        await self.stop_accepting()
        for connection in list(self.connections):
            connection.drain()
        begun = time.monotonic()
        deadline = begun + timeout
        dismissed = False
        while self.connections and not self.abandoned:
            stopping = close_idle()
            if not dismissed and (stopping or time.monotonic() >= deadline):
                dismissed = True
                for connection in list(self.connections):
                    connection.dismiss()
                deadline = max(deadline, time.monotonic() + FAREWELL)
            if time.monotonic() >= deadline:
                break
            if stopping:
                listening = time.monotonic() < begun + FIRST_WORD
                for connection in [c for c in self.connections if c.idle and (c.received or not listening)]:
                    connection.close()
            await asyncio.sleep(DRAIN_LOOK)
        for connection in list(self.connections):
            connection.abort(SHUTTING_DOWN)

    def abandon(self) -> None:
        """Wait no longer: what `drain` still waits for is aborted."""
        self.abandoned = True

    def close(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()


def serving(
    service: ConnectionContext,
    make: Callable[[], Served],
    *,
    tls: ListenerContexts | None = None,
    senders: Networks | None = None,
    guard: Guard | None = None,
) -> Callable[[], asyncio.Protocol]:
    """Makes what stands in front of what `make` makes: TLS, the firewall's `guard`, and the PROXY protocol for
    `senders`, whose clients it is that the firewall sees."""
    if tls is not None:
        make = partial(TlsTransport, service, tls.now, make, tls.validations)
    if guard is not None:
        make = partial(Gate, service, guard, make)
    if senders:
        make = partial(ProxyHeader, service, senders, make)
    return cast(Callable[[], asyncio.Protocol], make)


def run_edge(main: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, None]]) -> None:
    """Run `main(loop)` on a new loop, and close the loop behind it."""
    loop = EdgeLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
