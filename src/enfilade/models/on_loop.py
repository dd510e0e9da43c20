"""For models on an event loop: accepting, datagrams, looking around once a second, and the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from enfilade.http.reasons import Reason
from enfilade.models.batches import Batches, answer_batch, batches_of
from enfilade.models.blocking import AT_LAST, AT_ONCE, Datagram
from enfilade.models.handler import Kind
from enfilade.models.server import (
    CLIENT_GONE,
    CONNECTION_LIMIT,
    FAREWELL,
    IDLE_TIMEOUT,
    READ,
    SHUTTING_DOWN,
    TICK,
    Address,
    Connection,
    Door,
    Server,
)


async def run(server: Server, make: Make[L]) -> None:
    """Serve until the server is drained, and everybody who was there has gone. `make` makes the protocol that talks to a
    client."""
    told = asyncio.Event()
    server.on_drain = told.set
    entrance = _Entrance(server, make)
    while not server.draining:
        await _wait(told, TICK)
        server.look()
    entrance.close()
    while server.open and not server.aborted:
        await _wait(told, FAREWELL / 10)
        server.turn()
    for _ in range(10):  # who was aborted says so in one of the next turns
        if server.open:
            await asyncio.sleep(0.01)
    for door in server.doors:
        door.sock.close()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until it happens once more, `seconds` at most."""
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def read_less(transport: asyncio.BaseTransport) -> None:
    """asyncio's own transports make room for 256 KB before each read, which malloc has from the system each time, and gives back:
    three system calls beside the two of a short request. uvloop's do not."""
    if hasattr(transport, "max_size"):
        transport.max_size = READ


class LoopConnection(Connection, asyncio.Protocol):
    """One whose socket belongs to a transport of the loop, as soon as there is one. `written`: bytes that the transport was
    given; those that have left it are `sent`. `_why`: why we ended it. `_ended`: the client sends nothing more.
    `_until`: we send nothing more, and this is how long we wait for the client's end."""

    __slots__ = ("_ended", "_until", "_why", "is_connected", "transport", "written")

    transport: asyncio.Transport

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        super().__init__(server, door, sock, client)
        sock.setblocking(False)
        self.written = 0
        self.is_connected = self._ended = False
        self._until: float | None = None
        self._why: Reason | None = None

    def met(self, transport: asyncio.Transport) -> None:
        """The loop has made the transport."""
        self.transport = transport
        self.is_connected = True
        read_less(transport)

    def gone(self, why: Reason | None, error: BaseException | None = None) -> None:
        """The transport is closed, or was never made."""
        self.is_connected = False
        self.server.ended(self, self._why or why, error)

    def farewell(self) -> None:
        """Say that this is the end, and take what the client still has to say: it would be reset, and its last answer be lost."""
        if self._ended:
            self.transport.close()
        elif not self.transport.is_closing():
            self._until = self.server.clock() + FAREWELL
            try:
                self.transport.write_eof()
            except OSError:  # it is gone
                self.transport.close()

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`."""
        held = self.transport.get_write_buffer_size() if self.is_connected else 0
        self.sent = max(0, self.written - held)  # to which TLS has added something
        return super().moved()

    def abort(self) -> None:
        """See `Present.abort`."""
        super().abort()
        self.end(SHUTTING_DOWN if self.server.aborted else CLIENT_GONE)

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""
        if self._until is not None and now >= self._until and self.sent == self.written:
            self.transport.close()
        elif self.is_idle(now):
            self.end(IDLE_TIMEOUT)

    def end(self, why: Reason) -> None:
        """End now, because of `why`."""
        self._why = self._why or why
        if self.is_connected:
            self.transport.abort()
        else:  # whoever makes the transport will see it
            super().abort()


L = TypeVar("L", bound=LoopConnection)
Make = Callable[[Server, Door, socket.socket, Address], L]


class _Entrance(Generic[L]):
    """Takes who waits at the doors, in the same way as models without a loop: asyncio's own servers would not count who is turned
    away, and with no descriptor left they try, and log, as many times as their queue is long; its transports take datagrams one
    by one."""

    def __init__(self, server: Server, make: Make[L]) -> None:
        self._server = server
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        for door in server.doors:
            if not door.udp:
                self._loop.add_reader(door.sock, self._accept, door)
            elif server.handler.kind is Kind.ASYNC_REQUEST:
                self._loop.add_reader(door.sock, self._answer_later, door, batches_of(door.sock))
            else:
                self._loop.add_reader(door.sock, answer_batch, server, batches_of(door.sock), server.conversation())

    def _accept(self, door: Door, at_most: int = AT_ONCE) -> None:
        for _ in range(at_most):
            connection = self._server.take(door, self._make)
            if connection is None:
                return
            self._begin(self._enter(connection))

    async def _enter(self, connection: L) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, connection.sock)
        except OSError:
            connection.gone(CLIENT_GONE)
            connection.sock.close()

    def _answer_later(self, door: Door, batches: Batches) -> None:
        for number, data in enumerate(batches.receive()):
            if self._server.full:
                self._server.refuse(CONNECTION_LIMIT)
            else:
                datagram = Datagram(self._server, door, data, batches.address(number))
                self._server.open.add(datagram)
                self._begin(datagram.serve_awaited())

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Take who has waited, and no more; the next generation may have the same sockets. Answers to datagrams are still to be
        sent."""
        for door in self._server.doors:
            self._loop.remove_reader(door.sock)
            if not door.udp:
                self._accept(door, at_most=AT_LAST)
                door.sock.close()
