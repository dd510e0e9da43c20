"""For models on an event loop: accepting, looking around once a second, and the end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial

from enfilade.http.reasons import Reason
from enfilade.models.server import FAREWELL, IDLE_TIMEOUT, TICK, Connection, Door, Server, client_of
from enfilade.net.connection import close_by_reset
from enfilade.net.listeners import Listeners


async def run(server: Server, make: Callable[[Server, Door], asyncio.Protocol], *, tls: bool = False) -> None:
    """Serve until the server is drained, and everybody who was there has gone. `make` makes who talks to a client of a door;
    `tls`: the loop speaks TLS for it."""
    told = asyncio.Event()
    server.on_drain = told.set
    listeners = Listeners(asyncio.get_running_loop())
    for door in server.doors:
        if not door.udp:
            await listeners.listen(door.sock, partial(make, server, door), door.tls if tls else None)
    while not server.draining:
        await _wait(told, TICK)
        server.look()
    await listeners.close()
    while server.open and not server.aborted:
        await _wait(told, FAREWELL / 10)
        server.look()
    await asyncio.sleep(0)  # those that were aborted say that they have ended


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until it happens once more, `seconds` at most."""
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


class LoopConnection(Connection):
    """One whose socket belongs to a transport of the loop. `_why`: why we ended it."""

    __slots__ = ("_refused", "_why", "transport")

    def __init__(self, server: Server, door: Door) -> None:
        self.server, self.door = server, door
        self._why: Reason | None = None
        self._refused = False

    def came(self, transport: asyncio.Transport) -> bool:
        """Whether the client may come in; else it is reset."""
        self.transport = transport
        sock, client = transport.get_extra_info("socket"), client_of(transport.get_extra_info("peername"))
        super().__init__(self.server, self.door, sock, client)
        found = self.server.enter(client)
        self._refused = isinstance(found, Reason)
        if isinstance(found, Reason):
            self.abort()
        else:
            self.server.began(self, found)
        return not self._refused

    def gone(self, why: Reason | None, error: BaseException | None = None) -> None:
        """The transport is closed."""
        if not self._refused:
            self.server.ended(self, self._why or why, error)

    def dismiss(self) -> None:
        """See `Present.dismiss`. The loop's own sockets cannot be shut down, but a copy can."""
        try:
            with socket.socket(fileno=os.dup(self.sock.fileno())) as copy:
                copy.shutdown(socket.SHUT_RD)
        except OSError:
            self.transport.close()

    def abort(self) -> None:
        """See `Present.abort`."""
        close_by_reset(self.transport)
        self.transport.abort()

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""
        if self.is_idle(now) and self._why is None:
            self._why = IDLE_TIMEOUT
            self.transport.abort()
