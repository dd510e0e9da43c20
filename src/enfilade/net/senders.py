"""What pushes a body that flows from its source into the engine, as long as the peer's window and the socket have room."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.response import FileSlice
from enfilade.http.reasons import Reason, reason
from enfilade.wire.codec import Codec, LocalError

T = TypeVar("T")

FILE_CHUNK = 256 * 1024
FILE_CHANGED = reason("file_changed")
APPLICATION_LENGTH = reason("application_length")


class Outlet(Protocol):
    """What a sender needs of its connection."""

    paused: bool

    @property
    def codec(self) -> Codec: ...
    def flush(self) -> None: ...
    def sent(self, sender: Sender) -> None: ...
    def cut(self, sender: Sender, why: Reason) -> None: ...


class Sender(Protocol):
    """`size` is the number of body bytes handed over so far."""

    stream: int
    size: int

    def pump(self) -> None:
        """Hand over what there is room for."""

    def leave(self, why: Reason) -> None:
        """The answer will not be completed, or has no body: let go of the source."""


_together: dict[Outlet, None] | None = None


def together(do: Callable[[T], None], what: T) -> None:
    """`do(what)`, and write then what senders have to say to each outlet: once, not for each piece of a body."""
    global _together
    if _together is not None:
        do(what)
        return
    outlets = _together = {}
    try:
        do(what)
    finally:
        _together = None
        for outlet in outlets:
            outlet.flush()


class StreamSender:
    """Sends what a Stream's writer writes, in the turn in which it is written."""

    __slots__ = ("_held", "_outlet", "_source", "size", "stream")

    def __init__(self, outlet: Outlet, stream: int, source: Stream) -> None:
        self._outlet = outlet
        self._source = source
        self._held = b""
        self.stream = stream
        self.size = 0
        source.on_data = self.pump

    def pump(self) -> None:
        try:
            ended = self._push()
        except BodyAborted as e:
            self._outlet.cut(self, e.reason)
            return
        except LocalError:
            self._outlet.cut(self, APPLICATION_LENGTH)
            return
        if ended:
            self._source.on_data = None
            self._outlet.sent(self)
        if _together is None:
            self._outlet.flush()
        else:
            _together[self._outlet] = None

    def _push(self) -> bool:
        """Move what can be moved; True when that was the end."""
        outlet, codec, stream = self._outlet, self._outlet.codec, self.stream
        while not outlet.paused:
            chunk = self._held or self._source.take()
            if chunk is None:
                return False
            if not chunk:
                codec.end(stream, self._source.trailers)
                return True
            room = codec.window(stream)
            self._held = chunk[room:] if room < len(chunk) else b""
            if room <= 0:
                return False
            if self._held:
                chunk = chunk[:room]
            codec.data(stream, chunk)
            self.size += len(chunk)
        return False

    def leave(self, why: Reason) -> None:
        self._source.on_data = None
        self._source.cancel(why)


class FileSender:
    """Sends a part of an open file: from the page cache at once, from the disk through a thread (never mmap: a file that
    is truncated meanwhile would kill the process)."""

    __slots__ = ("_file", "_left", "_offset", "_outlet", "_waiting", "size", "stream")

    def __init__(self, outlet: Outlet, stream: int, file: FileSlice) -> None:
        self._outlet = outlet
        self._file: FileSlice | None = file
        self._offset = file.offset
        self._left = file.length
        self._waiting = False
        self.stream = stream
        self.size = 0

    def pump(self) -> None:
        outlet, codec, stream = self._outlet, self._outlet.codec, self.stream
        while self._file is not None and not self._waiting and not outlet.paused:
            room = min(codec.window(stream), self._left, FILE_CHUNK)
            if self._left and room <= 0:
                return
            chunk = read_cached(self._file.fd, room, self._offset) if room else b""
            if chunk is None:
                self._read_in_thread(self._file.fd, room)
                return
            self._send(chunk)

    def _send(self, chunk: bytes) -> None:
        if not chunk and self._left:
            self._outlet.cut(self, FILE_CHANGED)
            return
        size = len(chunk)
        self._offset += size
        self._left -= size
        self.size += size
        if chunk:
            self._outlet.codec.data(self.stream, chunk)
        if self._left == 0:
            self._close()
            self._outlet.codec.end(self.stream)
            self._outlet.sent(self)
        self._outlet.flush()

    def _read_in_thread(self, fd: int, room: int) -> None:
        self._waiting = True
        future = asyncio.get_running_loop().run_in_executor(None, os.pread, fd, room, self._offset)
        future.add_done_callback(self._was_read)

    def _was_read(self, future: asyncio.Future[bytes]) -> None:
        self._waiting = False
        if self._file is None or self._left < 0:
            self._close()
            return
        try:
            self._send(future.result())
        except OSError:
            self._outlet.cut(self, FILE_CHANGED)
            return
        self.pump()

    def leave(self, why: Reason) -> None:
        self._left = -1
        if not self._waiting:  # a thread may still read from the descriptor
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_cached(fd: int, size: int, offset: int) -> bytes | None:
    """Up to `size` bytes of the file at `offset`; None if the disk would have to be asked.

    Read-ahead fills the page cache forwards, so the last byte's page stands for those before it: cheaper than reading all
    of them through `preadv`, which would have to be copied once more.
    """
    try:
        os.preadv(fd, [_PROBE], offset + size - 1, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    except OSError as e:
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # tmpfs and the like: always in memory
            raise
    return os.pread(fd, size, offset)


_PROBE = bytearray(1)
