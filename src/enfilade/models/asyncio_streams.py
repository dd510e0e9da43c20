"""`asyncio_streams`, `uvloop_streams`: one thread, and a coroutine for each client.

What a coroutine does reads like what a thread does, from top to bottom: read, answer, write, wait until it is sent. Where it
says `await`, the others have their turn, and nowhere else; so what lies between two of them is never interrupted, needs no lock,
and must not take long. A client costs a task and a few buffers, some kilobytes in place of a thread's stack, and ten thousand of
them are no trouble. What has come goes through a buffer and wakes a task that waits for it: compared with callbacks
(asyncio_protocol.py), that costs about as much again as everything else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, cast

from enfilade.http.reasons import Reason
from enfilade.models.conversation import HANDLER_FAILED, Conversation
from enfilade.models.handler import Kind
from enfilade.models.on_loop import LoopConnection, run
from enfilade.models.server import CLIENT_GONE, READ, Address, Door, Server

LEFT = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
"""How coroutines hear that their client is gone."""

Outcome = tuple[Reason | None, BaseException | None]


async def serve(server: Server) -> None:
    """Serve until the server is drained."""
    await run(server, Talker, tls=True)


class Talker(LoopConnection, asyncio.StreamReaderProtocol):
    """A connection: what `asyncio.start_server` makes of one, and what is counted of it. `_outcome`: why the coroutine ended, and
    what it raised; None: it goes on."""

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        LoopConnection.__init__(self, server, door, sock, client)
        self._reader = asyncio.StreamReader(server.limits.message)
        asyncio.StreamReaderProtocol.__init__(self, self._reader)
        self._talking: asyncio.Task[Outcome] | None = None
        self._outcome: Outcome | None = None

    # -- the coroutine

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
        handler = self.server.handler
        try:
            if handler.framing is None:
                await handler.function(reader, writer)
                return None, None
            return await self._requests(reader, writer)
        except LEFT as error:
            is_gone = self._ended or not self.is_connected
            return (CLIENT_GONE, None) if is_gone else (HANDLER_FAILED, error)
        except (Exception, SystemExit) as error:
            return HANDLER_FAILED, error

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
        conversation = Conversation(self.server.handler, self.server.limits.message)
        awaited = self.server.handler.kind is Kind.ASYNC_REQUEST
        while not conversation.over and (data := await reader.read(READ)):
            answer = await conversation.answers(data) if awaited else conversation.received(data)
            self.requests = conversation.requests
            if answer:
                writer.write(answer)
                await writer.drain()
        return conversation.why, conversation.error

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.met(cast(asyncio.Transport, transport))
        self._writer = Writer(self, self._reader)  # who closes the transport when it is forgotten
        self._talking = asyncio.get_running_loop().create_task(self._talk(self._reader, self._writer))
        self._talking.add_done_callback(self._talked)

    def data_received(self, data: bytes) -> None:
        if self._until is None:
            self.received += len(data)
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """Whether the transport stays open."""
        self._ended = True
        return super().eof_received() and self._until is None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_connected = False
        if self._outcome is not None:
            self.gone(*self._outcome)
        elif self._talking is not None and self.server.handler.framing is not None:
            self._talking.cancel()  # a session may want to clear up

    # -- the end

    def _talked(self, talking: asyncio.Task[Outcome]) -> None:
        self._outcome = talking.result()
        if self.is_connected:
            self.farewell()
            self.transport.resume_reading()
        else:
            self.gone(*self._outcome)

    def end(self, why: Reason) -> None:
        """See `LoopConnection.end`."""
        super().end(why)
        if self._talking is not None:
            self._talking.cancel()


class Writer(asyncio.StreamWriter):
    """One whose bytes are counted."""

    def __init__(self, talker: Talker, reader: asyncio.StreamReader) -> None:
        super().__init__(talker.transport, talker, reader, asyncio.get_running_loop())
        self._talker = talker

    def write(self, data: Any) -> None:
        """See `StreamWriter.write`."""
        if not self.is_closing():
            self._talker.written += len(data)
            super().write(data)

    def writelines(self, data: Iterable[Any]) -> None:
        """See `StreamWriter.writelines`."""
        self.write(b"".join(data))
