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
from enfilade.models.conversation import HANDLER_FAILED
from enfilade.models.encrypted import Tls
from enfilade.models.handler import Kind
from enfilade.models.on_loop import LoopConnection, run
from enfilade.models.server import CLIENT_GONE, READ, TLS_ERROR, Address, Door, Server

LEFT = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError)
"""How coroutines hear that their client is gone."""

Outcome = tuple[Reason | None, BaseException | None]


async def serve(server: Server) -> None:
    """Serve until the server is drained."""
    await run(server, Talker)


class Talker(LoopConnection, asyncio.StreamReaderProtocol):
    """A connection: what `asyncio.start_server` makes of one, and what is counted of it. `_outcome`: why the coroutine ended, and
    what it raised; None: it goes on."""

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        LoopConnection.__init__(self, server, door, sock, client)
        self._reader = asyncio.StreamReader(READ if server.handler.framing else server.limits.message)
        asyncio.StreamReaderProtocol.__init__(self, self._reader)
        self._tls = None if door.tls is None else Tls(door.tls)
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
        conversation = self.server.conversation()
        awaited = self.server.handler.kind is Kind.ASYNC_REQUEST
        while not conversation.over:
            data = None if conversation.waiting else await reader.read(READ)
            if data == b"":
                break
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
        if self._tls is None:
            self._begin()

    def data_received(self, data: bytes) -> None:
        tls = self._tls
        if self._until is not None:
            return
        if tls is not None:
            data = tls.decrypt(data)
            self.send(b"")
            if tls.shaken and self._talking is None:
                self._begin()
        if data:
            self.received += len(data)
            super().data_received(data)
        if tls is not None and tls.over:
            self._why = tls.why
            self.eof_received()

    def eof_received(self) -> bool:
        """Whether the transport stays open."""
        self._ended = True
        if self._talking is None:
            self._why = TLS_ERROR
            self.transport.close()
        super().eof_received()
        return self._until is None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_connected = False
        if self._talking is None:
            self.gone(CLIENT_GONE)
        elif self._outcome is not None:
            self.gone(*self._outcome)
        elif self.server.handler.framing is not None:  # a session may want to clear up
            self._talking.cancel()

    # -- what goes out

    def send(self, data: bytes) -> None:
        """Send it, in whatever way is spoken here."""
        records = data if self._tls is None else self._tls.encrypt(data)
        if records and not self.transport.is_closing():
            self.written += len(data)
            self.transport.write(records)

    def bid_farewell(self) -> None:
        """TLS has an end of its own, in front of that of the connection."""
        if self._tls is not None and (records := self._tls.close()) and not self.transport.is_closing():
            self.transport.write(records)

    def farewell(self) -> None:
        """See `LoopConnection.farewell`."""
        self.bid_farewell()
        super().farewell()

    # -- the end

    def _begin(self) -> None:
        self._talking = asyncio.get_running_loop().create_task(self._talk(self._reader, self._writer))
        self._talking.add_done_callback(self._talked)

    def _talked(self, talking: asyncio.Task[Outcome]) -> None:
        self._outcome = (CLIENT_GONE, None) if talking.cancelled() else talking.result()  # before it had begun
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
    """One whose bytes are counted, and encrypted where TLS is spoken: that of the loops themselves knows no half-close, and would
    lose the answer to whoever says farewell right behind the question."""

    def __init__(self, talker: Talker, reader: asyncio.StreamReader) -> None:
        super().__init__(talker.transport, talker, reader, asyncio.get_running_loop())
        self._talker = talker

    def write(self, data: Any) -> None:
        """See `StreamWriter.write`."""
        self._talker.send(data)

    def writelines(self, data: Iterable[Any]) -> None:
        """See `StreamWriter.writelines`."""
        self.write(b"".join(data))

    def write_eof(self) -> None:
        """See `StreamWriter.write_eof`."""
        self._talker.bid_farewell()
        super().write_eof()

    def close(self) -> None:
        """See `StreamWriter.close`."""
        self._talker.bid_farewell()
        super().close()
