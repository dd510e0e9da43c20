"""`asyncio_protocol`, `uvloop_protocol`: one thread, and callbacks.

The event loop does what `epoll` does by hand here: it waits for all clients, reads, and keeps what could not be sent; a protocol
is called when something has happened. Nothing stands between the bytes and the handler, so this is the fastest that asyncio has,
most of all on uvloop, whose loop is libuv. A handler that waits must be `async def`; meanwhile its client is not read from.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

from enfilade.models.blocking import Datagram
from enfilade.models.conversation import Conversation
from enfilade.models.encrypted import Encrypted
from enfilade.models.handler import Kind
from enfilade.models.on_loop import LoopConnection, run
from enfilade.models.server import CLIENT_GONE, CONNECTION_LIMIT, FAREWELL, Door, Server, client_of


async def serve(server: Server) -> None:
    """Serve until the server is drained."""
    loop = asyncio.get_running_loop()
    awaited = server.handler.kind is Kind.ASYNC_REQUEST
    transports = [
        (await loop.create_datagram_endpoint(partial(Datagrams, server, door, awaited), sock=door.sock))[0]
        for door in server.doors
        if door.udp
    ]
    await run(server, AwaitingTalker if awaited else Talker)
    for transport in transports:
        transport.close()


class Talker(LoopConnection, asyncio.Protocol):
    """A connection. `_ended`: the client sends nothing more. `_lingers`: nobody wants to know what it sends."""

    __slots__ = ("_conversation", "_ended", "_lingers", "_talk")

    def __init__(self, server: Server, door: Door) -> None:
        super().__init__(server, door)
        self._conversation = Conversation(server.handler, server.limits.message)
        tls = door.tls
        self._talk = self._conversation if tls is None else Encrypted(tls, self._conversation)
        self._ended = self._lingers = False

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lingers = not self.came(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        if not self._lingers:
            self.received += len(data)
            self.say(self._talk.received(data))

    def eof_received(self) -> bool:
        """Whether the transport stays open. What was written is sent in any case."""
        self._ended = True
        return False

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone(self._conversation.why or (CLIENT_GONE if exc else None), self._conversation.error)

    # -- what follows

    def say(self, answer: bytes) -> None:
        """Send an answer, and end if it was the last."""
        if answer:
            self.sent += len(answer)
            self.transport.write(answer)
        if self._conversation.over:
            self._linger()

    def _linger(self) -> None:
        """Say that this is the end, and take what the client still has to say: it would be reset, and its last answer be lost."""
        self._lingers = True
        if self._ended:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(FAREWELL, self.transport.close)

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`."""
        self.requests = self._conversation.requests
        return super().moved()


class AwaitingTalker(Talker):
    """One whose handler is awaited: as long as it is, the client is not read from."""

    __slots__ = ("_answering", "_full")

    def __init__(self, server: Server, door: Door) -> None:
        super().__init__(server, door)
        self._answering: asyncio.Task[None] | None = None
        self._full = False

    def data_received(self, data: bytes) -> None:
        if not self._lingers:
            self.received += len(data)
            self._answering = asyncio.get_running_loop().create_task(self._answer(data))
            self._listen()

    async def _answer(self, data: bytes) -> None:
        answer = await self._talk.answers(data)
        self._answering = None
        self.say(answer)
        if self._ended:
            self.transport.close()
        self._listen()

    def eof_received(self) -> bool:
        """See `Talker.eof_received`."""
        self._ended = True
        return self._answering is not None

    def pause_writing(self) -> None:
        self._full = True
        self._listen()

    def resume_writing(self) -> None:
        self._full = False
        self._listen()

    def _listen(self) -> None:
        """Read from a client that takes its answers, and waits for none."""
        if not self.transport.is_closing():
            if self._full or self._answering is not None:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)


class Datagrams(asyncio.DatagramProtocol):
    """All datagrams of a door."""

    def __init__(self, server: Server, door: Door, awaited: bool) -> None:
        self._server = server
        self._door = door
        self._awaited = awaited
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Any) -> None:
        if self._awaited:
            self._answer_later(data, address)
            return
        answer = self._server.answer(data, client_of(address))
        if answer is not None:
            self._transport.sendto(answer, address)

    def error_received(self, exc: Exception) -> None:
        """One that was sent did not arrive."""

    def _answer_later(self, data: bytes, address: Any) -> None:
        if self._server.full:
            self._server.refuse(CONNECTION_LIMIT)
            return
        datagram = Datagram(self._server, self._door, data, address)
        task = asyncio.get_running_loop().create_task(datagram.serve_awaited())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
