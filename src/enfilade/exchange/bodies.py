"""Bodies that flow: one bounded channel, used both ways. Its rule is the whole of backpressure:
`write` returns None (go on) or an awaitable (await it first). No unbounded queue exists.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason

HIGH_WATER = 64 * 1024
"""Bytes that a Stream holds before its writer is told to wait (asyncio and nginx buffer the same)."""


class BodyAborted(Exception):
    """The other end of a Stream is gone: `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Stream:
    """A body between one writer and one reader in the same event loop.

    Writer: `write`, then `end` (or `fail`). Reader: `take` and `more`, or `read`; or it sets `on_data`, which is called
    (never from within `take`) whenever there is something new to take. `cancel` is the reader's way to leave.
    `on_taken(size)` tells whoever fills the stream that its reader took so many bytes; 0: that it waits for some.
    """

    __slots__ = (
        "_begun",
        "_chunks",
        "_data",
        "_left",
        "_over",
        "_writers",
        "ended",
        "failure",
        "limit",
        "on_data",
        "on_taken",
        "size",
        "trailers",
    )

    def __init__(self, limit: int = HIGH_WATER, on_taken: Callable[[int], None] | None = None) -> None:
        self.limit = limit
        self.on_taken = on_taken
        self.on_data: Callable[[], None] | None = None
        self.size = 0
        self.ended = False
        self.trailers = NO_FIELDS
        self.failure: Reason | None = None
        self._begun = False
        self._chunks: deque[bytes] = deque()
        self._data: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []
        self._left = -1
        self._over: Reason | None = None

    @classmethod
    def of(cls, data: bytes, trailers: Fields = NO_FIELDS) -> Stream:
        """A body that is all there."""
        stream = cls()
        if data:
            stream._chunks.append(data)
            stream.size = len(data)
        stream.ended = True
        stream.trailers = trailers
        return stream

    @property
    def whole(self) -> bytes | None:
        """All of the body, which stays; None where its end has not come, its reader has begun, or there are trailers."""
        if not self.ended or self._begun or self.failure is not None or self.trailers is not NO_FIELDS:
            return None
        if len(self._chunks) > 1:
            self._chunks = deque((b"".join(self._chunks),))
        return self._chunks[0] if self._chunks else b""

    # -- the writer's end

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        """Hand over `chunk`. Raises BodyAborted if the reader has left."""
        if self.failure is not None:
            raise BodyAborted(self.failure)
        if self._over is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.fail(self._over)
                return None
        if chunk:
            self._chunks.append(chunk)
            self.size += len(chunk)
            self._wake()
        if self.size < self.limit or self.failure is not None:
            return None
        return _Room(self)

    def cap(self, size: int, over: Reason) -> None:
        """Let at most `size` bytes more be written: what goes beyond is dropped, and the body fails with `over`."""
        self._left, self._over = size, over

    def end(self, trailers: Fields = NO_FIELDS) -> None:
        """Nothing more will be written."""
        if not self.ended and self.failure is None:
            self.ended = True
            self.trailers = trailers
            self._wake()

    def fail(self, reason: Reason) -> None:
        """The body cannot be completed: the reader gets what is there, then BodyAborted."""
        if not self.ended and self.failure is None:
            self.failure = reason
            self._release()
            self._wake()

    # -- the reader's end

    def take(self) -> bytes | None:
        """The next piece; `b""` at the end; None if there is nothing now. Raises BodyAborted where the body was cut."""
        if self._chunks:
            chunk = self._chunks.popleft()
            self._begun = True
            self.size -= len(chunk)
            if self._writers and self.size < self.limit:
                self._release()
            if self.on_taken is not None:
                self.on_taken(len(chunk))
            return chunk
        if self.failure is not None:
            raise BodyAborted(self.failure)
        if self.ended:
            return b""
        if self.on_taken is not None:
            self.on_taken(0)
        return None

    async def more(self) -> None:
        """Resolves when `take` would not say None."""
        while not (self._chunks or self.ended or self.failure is not None):
            self._data = asyncio.get_running_loop().create_future()
            await self._data

    async def read(self) -> bytes:
        """The next piece, or `b""` at the end. Raises BodyAborted where the body was cut."""
        while (chunk := self.take()) is None:
            await self.more()
        return chunk

    async def read_all(self) -> bytes:
        """All that is left. The body's size limit was applied on the wire already."""
        pieces: list[bytes] = []
        while chunk := await self.read():
            pieces.append(chunk)
        return b"".join(pieces)

    def cancel(self, reason: Reason) -> None:
        """The reader leaves: what is there is dropped (and counts as taken), the writer's next `write` raises BodyAborted."""
        dropped, self.size = self.size, 0
        self._begun |= dropped > 0  # the shared empty body stays what it is
        self._chunks.clear()
        if not self.ended and self.failure is None:
            self.failure = reason
        self._release()
        self._resolve()  # where it is not the reader itself that ends its reading
        if dropped and self.on_taken is not None:
            self.on_taken(dropped)

    # -- waking the other end

    def _wake(self) -> None:
        if self.on_data is not None:
            self.on_data()
        else:
            self._resolve()

    def _resolve(self) -> None:
        if self._data is not None and not self._data.done():
            self._data.set_result(None)

    def _release(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_result(None)

    def __repr__(self) -> str:
        state = self.failure.name if self.failure else "ended" if self.ended else "open"
        return f"<Stream {state}, {self.size} bytes held>"


class _Room:
    """What a writer awaits: that there is room in `stream`, or that its reader has left. Whoever awaits it waits on a Future of
    its own, so that a writer that is cancelled cancels no other."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __await__(self) -> Generator[Any, None, None]:
        stream = self._stream
        if stream.size >= stream.limit and stream.failure is None:
            writer = asyncio.get_running_loop().create_future()
            stream._writers.append(writer)
            yield from writer


def empty_body() -> Stream:
    """A body that has ended with nothing in it; the same object for everybody, as nothing can change it."""
    return _EMPTY


_EMPTY = Stream.of(b"")
