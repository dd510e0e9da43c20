"""Memcached as a server for the store `Remote`: the three commands of its text protocol that a cache needs.

Names are made by `Remote` of hexadecimal digits, and a value stands behind its length: nothing of a request's can become a
command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, cast

from enfilade.cache.stores.remote import TIMEOUT, Remote
from enfilade.cache.stores.tally import Tally

LARGEST = 1_000_000
"""Bytes of the longest body: an item of 1 MiB, which is what servers take unless told otherwise, also holds its head."""
QUESTIONS = 1024
"""That may wait for an answer on a worker's connection."""
OVERDUE = 5.0
"""Seconds after which a connection that gave no answer is given up."""
_LINE = 2048
_LONGEST_VALUE = 2 * 1024 * 1024


def memcached(address: str, prefix: str = "enfilade", timeout: float = TIMEOUT, tally: Tally | None = None) -> Remote:
    """The store in the Memcached at `address`: `host:port`, or the path of a Unix socket. It connects with the first question."""
    return Remote(MemcachedClient(address), f"Memcached at {address}", prefix, LARGEST, timeout, tally)


class Reply(NamedTuple):
    """`line` is its first, without its end; `value` is what was asked for, None if there is none."""

    line: bytes
    value: bytes | None


class MemcachedClient:
    """See `Client`. All questions go through one connection, and the answers come in their order."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: _Connection | None = None
        self._connecting: asyncio.Future[_Connection] | None = None

    async def get(self, name: bytes) -> bytes | None:
        line, value = await self._ask(b"get %b\r\n" % name)
        if line != b"END" and value is None:
            raise _refused(line)
        return value

    async def set(self, name: bytes, value: bytes, seconds: int) -> None:
        line, _ = await self._ask(b"set %b 0 %d %d\r\n%b\r\n" % (name, seconds, len(value), value))
        if line != b"STORED" and not line.startswith(b"SERVER_ERROR object too large"):  # the old one is gone, too
            raise _refused(line)

    async def delete(self, name: bytes) -> None:
        line, _ = await self._ask(b"delete %b\r\n" % name)
        if line not in (b"DELETED", b"NOT_FOUND"):
            raise _refused(line)

    async def close(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.abort()
            await asyncio.sleep(0)  # its transport says goodbye in the next turn

    async def _ask(self, question: bytes) -> Reply:
        connection = self._connection
        if connection is None or not connection.usable():
            if self._connecting is None or self._connecting.done():
                self._connecting = asyncio.ensure_future(self._connect())
            connection = await asyncio.shield(self._connecting)
        return await connection.ask(question)

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        if "/" in self._address:
            _, connection = await loop.create_unix_connection(_Connection, self._address)
        else:
            host, _, port = self._address.rpartition(":")
            _, connection = await loop.create_connection(_Connection, host.strip("[]"), int(port))
        self._connection = connection
        return connection


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._questions: deque[tuple[float, asyncio.Future[Reply]]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of its kind

    def usable(self) -> bool:
        if self._questions and self._loop.time() - self._questions[0][0] > OVERDUE:
            self.abort()
        return self._transport is not None

    def ask(self, question: bytes) -> asyncio.Future[Reply]:
        if self._transport is None:
            raise ConnectionResetError("the connection was lost")
        if len(self._questions) >= QUESTIONS:
            raise OSError("too many questions wait for an answer")
        answer: asyncio.Future[Reply] = self._loop.create_future()
        self._questions.append((self._loop.time(), answer))
        self._transport.write(question)
        return answer

    def data_received(self, data: bytes) -> None:
        try:
            for reply in self._replies.feed(data):
                _, answer = self._questions.popleft()
                if not answer.done():  # nobody waits for it any more
                    answer.set_result(reply)
        except (ValueError, IndexError):  # it speaks something else, or unasked
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        while self._questions:
            _, answer = self._questions.popleft()
            if not answer.done():
                answer.set_exception(
                    error if isinstance(error, OSError) else ConnectionResetError("the connection was lost")
                )

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self.connection_lost(None)


class Replies:
    """Bytes from the server in, replies out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Raises ValueError at what is no reply."""
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\r\n", 0, _LINE)) >= 0:
            line = bytes(buffer[:end])
            start = end + 2
            if not line.startswith(b"VALUE "):
                del buffer[:start]
                yield Reply(line, None)
                continue
            size = int(line.split(b" ")[3])  # VALUE <name> <flags> <bytes>
            if not 0 <= size <= _LONGEST_VALUE:
                raise ValueError
            stop = start + size
            after = stop + len(_AFTER_VALUE)
            if len(buffer) < after:
                return
            value = bytes(buffer[start:stop])
            if buffer[stop:after] != _AFTER_VALUE:
                raise ValueError
            del buffer[:after]
            yield Reply(line, value)
        if len(buffer) >= _LINE:
            raise ValueError


_AFTER_VALUE = b"\r\nEND\r\n"


def _refused(line: bytes) -> OSError:
    return OSError(line.decode("utf-8", "backslashreplace") or "it answered nothing")
