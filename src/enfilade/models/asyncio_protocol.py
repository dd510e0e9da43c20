"""`asyncio_protocol`, `uvloop_protocol`: one thread, and callbacks.

The event loop does what `epoll` does by hand here: it waits for all clients, reads, and keeps what could not be sent; a protocol
is called when something has happened. Nothing stands between the bytes and the handler, so this is the fastest that asyncio has,
most of all on uvloop, whose loop is libuv. All clients share the thread: a plain handler that takes its time, or waits for
something, holds up everybody. One that waits must be `async def`; then a task is made for it, and others are served meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from enfilade.models.encrypted import Encrypted
from enfilade.models.handler import Kind
from enfilade.models.on_loop import LoopConnection, run
from enfilade.models.server import (
    CLIENT_GONE,
    READ,
    Address,
    Door,
    Server,
)


async def serve(server: Server) -> None:
    """Serve until the server is drained."""
    await run(server, AwaitingTalker if server.handler.kind is Kind.ASYNC_REQUEST else Talker)


class Talker(LoopConnection):
    """A connection. `_full`: the client does not take its answers, so we do not listen to it."""

    __slots__ = ("_conversation", "_full", "_talk")

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        super().__init__(server, door, sock, client)
        self._conversation = server.conversation()
        tls = door.tls
        self._talk = self._conversation if tls is None else Encrypted(tls, self._conversation)
        self._full = False

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.met(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        if self._until is None:
            self.say(self._talk.received(data))

    def eof_received(self) -> bool:
        """Whether the transport stays open. What was written is sent in any case."""
        self._ended = True
        if self._until is None:
            self.say(self._talk.ended())
        return False

    def pause_writing(self) -> None:
        self._full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self.transport.resume_reading()
        self.say(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone(self._conversation.why or (CLIENT_GONE if exc else None), self._conversation.error)

    # -- what follows

    def say(self, answer: bytes) -> None:
        """Send an answer, and those to what else has been asked; end if it was the last."""
        conversation = self._conversation
        if answer:
            self.transport.write(answer)
        while conversation.waiting and not self._full and not self.transport.is_closing():
            self.transport.write(self._talk.received(None))
        if conversation.over and self._until is None:
            self.farewell()

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`."""
        conversation = self._conversation
        self.received, self.written, self.requests = conversation.heard, conversation.said, conversation.requests
        return super().moved()


class AwaitingTalker(Talker):
    """One whose handler is awaited. `_waiting`: what the client has said meanwhile; it is read from all the time, as far as that
    is bounded, because we would not hear of its going away otherwise."""

    __slots__ = ("_answering", "_waiting")

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        super().__init__(server, door, sock, client)
        self._answering: asyncio.Task[bytes] | None = None
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        if self._until is None:
            self._waiting += data
            self._go_on()

    def eof_received(self) -> bool:
        """See `Talker.eof_received`."""
        if self._answering is not None:
            self._ended = True
            return True
        return super().eof_received()

    def pause_writing(self) -> None:
        self._full = True
        self._go_on()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    def say(self, answer: bytes) -> None:
        """Send an answer, and end if it was the last."""
        if answer:
            self.transport.write(answer)
        if self._conversation.over:
            self.farewell()

    def _go_on(self) -> None:
        """Answer what was said, one after the other; and read from a client that takes its answers and does not run ahead."""
        conversation = self._conversation
        if conversation.over:
            self._waiting = b""
        elif (self._waiting or conversation.waiting) and self._answering is None and not self._full:
            self._answering = asyncio.get_running_loop().create_task(self._talk.answers(self._waiting or None))
            self._answering.add_done_callback(self._answered)
            self._waiting = b""
        if self._full or len(self._waiting) >= READ:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _answered(self, answering: asyncio.Task[bytes]) -> None:
        self._answering = None
        if not self.is_connected:
            return
        if answering.cancelled():  # by the handler itself
            self._conversation.fail(asyncio.CancelledError())
        self.say(b"" if answering.cancelled() else answering.result())
        if self._ended and not self._waiting and not self._conversation.waiting:
            self.say(self._talk.ended())
        else:
            self._go_on()
