"""A body on its way from the origin, which several clients take while it comes, each at its own pace, and which may be stored."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable

from enfilade.cache.stored import Writer
from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.http.fields import NO_FIELDS
from enfilade.http.reasons import Reason, reason

WINDOW = 1024 * 1024
"""Bytes that stay in memory where a writer has them all: who is farther behind reads them from there."""
_ENDLESS = 1 << 62
_GONE = reason("client_gone")
_LOST = reason("file_changed")


class Download:
    """Takes `source` and hands it to readers.

    What has come is kept: in memory up to `most` bytes, or without a limit by `writer`. A body that grows beyond that is kept
    no more (`kept` turns False): it goes on at the pace of its slowest reader, nobody can join, and without readers it is
    cancelled.
    `over(download)` is called once, when all has come (`failure` None) or will never come.
    """

    __slots__ = ("_most", "_over", "_pieces", "_readers", "_source", "_starts", "_waiting", "ended", "failure", "kept", "size",
                 "trailers", "writer")  # fmt: skip

    def __init__(self, source: Stream, most: int, writer: Writer | None, over: Callable[[Download], None]) -> None:
        self._source = source
        self._most = most
        self._over = over
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        self._readers: list[Reader] = []
        self._waiting: asyncio.Future[None] | None = None
        self.writer = writer
        self.kept = True
        self.size = 0
        self.ended = False
        self.failure: Reason | None = None
        self.trailers = NO_FIELDS
        source.on_data = self._pump

    def begin(self) -> None:
        """Take what is there already; readers may be there, too."""
        self._pump()

    @property
    def joinable(self) -> bool:
        """Whether a new reader would get everything."""
        return self.failure is None and (self.kept or self._starts[:1] in ([], [0]))

    def read(self, start: int = 0, stop: int = _ENDLESS) -> Stream:
        """The bytes from `start` up to `stop`, as they come."""
        reader = Reader(self, start, stop)
        self._readers.append(reader)
        reader.pump()
        return reader.stream

    def whole(self) -> bytes:
        """All of it, where memory kept it."""
        return b"".join(self._pieces)

    # -- what comes

    def _pump(self) -> None:
        while self._waiting is None and not self.ended and self.failure is None and not self._too_far_ahead():
            try:
                chunk = self._source.take()
            except BodyAborted as e:
                self._fail(e.reason)
                return
            if chunk is None:
                return
            if not chunk:
                self._end()
                return
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        self._starts.append(self.size)
        self._pieces.append(chunk)
        self.size += len(chunk)
        if self.writer is not None:
            busy = self.writer.write(chunk)
            if busy is not None:
                self._wait(busy)
            if self.writer.lost:
                self._do_without(self.writer)
        if self.writer is None and self.size > self._most:
            self.kept = False
        self._pump_readers()
        self._trim()
        if not self.kept and not self._readers and self.failure is None:
            self.cancel(_GONE)

    def _do_without(self, writer: Writer) -> None:
        """It has failed: memory keeps what it still has all of."""
        writer.abort()
        self.writer = None
        self.kept = self._starts[0] == 0

    def _wait(self, busy: Awaitable[None]) -> None:
        self._waiting = asyncio.ensure_future(busy)
        self._waiting.add_done_callback(self._go_on)

    def _go_on(self, _: object) -> None:
        self._waiting = None
        if self.writer is not None and self.writer.lost:
            self._do_without(self.writer)
            self._trim()
        self._pump()

    def _end(self) -> None:
        self.ended = True
        self.trailers = self._source.trailers
        self._pump_readers()
        self._over(self)

    def _fail(self, why: Reason) -> None:
        self.failure = why
        self._pump_readers()
        self._over(self)

    def _too_far_ahead(self) -> bool:
        """Nothing keeps what is not taken: the slowest reader sets the pace."""
        return not self.kept and self.size - min((r.at for r in self._readers), default=self.size) >= WINDOW

    def _trim(self) -> None:
        """Forget what no reader needs from memory."""
        if self.kept and self.writer is None:
            return
        if self.kept and self.writer is not None:
            keep = min(self.size - WINDOW, self.writer.readable)
        else:
            keep = min((r.at for r in self._readers), default=self.size)
        gone = max(0, bisect_right(self._starts, keep) - 1)
        if gone:
            del self._pieces[:gone], self._starts[:gone]

    # -- who takes it

    def _pump_readers(self) -> None:
        for reader in tuple(self._readers):
            reader.pump()

    def piece(self, at: int, stop: int) -> bytes | None:
        """Some of the bytes from `at` on, none from `stop` on; None: they have not come; none at all: they are lost."""
        stop = min(stop, self.size)
        if at >= stop:
            return None
        i = bisect_right(self._starts, at) - 1
        if i < 0:
            if self.writer is None or self.writer.lost:
                return b""  # it was there, and is no more
            return self.writer.read(at, min(stop, at + WINDOW, self._starts[0] if self._starts else stop))
        piece, start = self._pieces[i], self._starts[i]
        return piece if start == at and start + len(piece) <= stop else piece[at - start : stop - start]

    def left(self, reader: Reader) -> None:
        """It has all that it wanted, or its client is gone."""
        if reader in self._readers:
            self._readers.remove(reader)
        if self.ended or self.failure is not None or self.kept:
            return
        if self._readers:
            self._pump()  # it may have been the slowest
        else:
            self.cancel(_GONE)

    def cancel(self, why: Reason) -> None:
        """Nobody wants it any more."""
        self._source.cancel(why)
        self._fail(why)


class Reader:
    """One client's `stream`. `at`: up to where it has the body."""

    __slots__ = ("_download", "_gone", "_stop", "at", "stream")

    def __init__(self, download: Download, start: int, stop: int) -> None:
        self._download = download
        self._stop = stop
        self._gone = False
        self.at = start
        self.stream = Stream(on_taken=self._taken)

    def _taken(self, size: int) -> None:
        """There is room. Whoever is about to get `size` bytes must not be told of the next ones before it has them: it looks for
        them by itself."""
        stream = self.stream
        told = stream.on_data
        if size:
            stream.on_data = None
        self.pump()
        if not self._download.kept:
            self._download._pump()
        if size:
            stream.on_data = told

    def pump(self) -> None:
        """Hand on what there is and has room. Writing may lead back here, by way of whoever takes it."""
        download, stream = self._download, self.stream
        while not self._gone:
            if stream.failure is not None:
                self._leave()
            elif self.at >= self._stop or (download.ended and self.at >= download.size):
                self._leave()
                stream.end(download.trailers if self.at >= download.size else NO_FIELDS)
            elif stream.size >= stream.limit:
                return
            else:
                piece = download.piece(self.at, self._stop)
                if piece:
                    self.at += len(piece)
                    stream.write(piece)
                elif piece is not None:  # it was on the disk, and is no more
                    self._leave()
                    stream.fail(_LOST)
                elif download.failure is not None:
                    self._leave()
                    stream.fail(download.failure)
                else:
                    return

    def _leave(self) -> None:
        self._gone = True
        self._download.left(self)
