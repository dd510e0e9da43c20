"""The file of one answer: how it gets to its place whole, and how it is read."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from zlib import crc32

from enfilade.cache.record import PREFIX_SIZE, decode, decode_head, decode_prefix, encode_prefix, rewrite
from enfilade.cache.stored import Stored
from enfilade.cache.stores.directory import ANSWER, READ, Directory, blocks
from enfilade.exchange.response import FileSlice

SMALL = 64 * 1024
"""Bytes of the longest file that is read whole. Of longer ones the head is; the body, whoever sends it reads."""
HEAD = 4096
"""Bytes in which most heads are."""
CHUNK = 256 * 1024
"""Bytes that are written at once."""
TOUCHED = 60.0
"""Seconds for which one use of an answer stands for all of them, when the least recently used give way."""
SPARE = 256
"""Bytes that a head may grow by when it is written over."""
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class NewFile:
    """An answer on its way into `directory`: `append` pieces of its body, `publish` it, `close` it: what was not published
    leaves nothing. Raises OSError where it cannot be written."""

    def __init__(self, directory: Directory, head: bytes, mode: int = ANSWER) -> None:
        directory.want_free()
        self._room = len(head) + SPARE
        self._body_start = PREFIX_SIZE + self._room
        directory.claim(blocks(self._body_start))
        self._body_size = 0
        self._body_sum = 0
        self._directory = directory
        self._head = head
        self._published = False
        self._path = f"{directory.new}/{os.urandom(16).hex()}"
        self._fd = os.open(self._path, _CREATE, mode)
        try:
            # The sweep of another process may be faster, and hold it for a moment: then it is lost.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(self._fd, bytes(PREFIX_SIZE) + head + bytes(SPARE))
        except OSError:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), CHUNK):
            piece = view[start : start + CHUNK]
            self._directory.claim(len(piece))
            _write(self._fd, piece)
            self._body_sum = crc32(piece, self._body_sum)
        self._body_size += len(data)

    def publish(self, path: str) -> None:
        """From now on it is what is found at `path`."""
        os.pwrite(self._fd, encode_prefix(self._head, self._room, self._body_size, self._body_sum), 0)
        try:
            os.rename(self._path, path)
        except FileNotFoundError:
            second = os.path.dirname(path)
            for parent in (os.path.dirname(second), second):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(parent, 0o700)
            os.rename(self._path, path)
        self._published = True
        fcntl.flock(self._fd, fcntl.LOCK_UN)  # others have the descriptor, too

    def content(self) -> OnDisk:
        """Its body, also when it is closed. Raises OSError."""
        file = AnswerFile(os.dup(self._fd))
        try:
            return OnDisk(file, self._body_start, self._body_size)
        finally:
            file.release()

    def close(self) -> None:
        if not self._published:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        os.close(self._fd)


class AnswerFile:
    """A descriptor of an answer's file, closed when everybody who holds it has released it."""

    __slots__ = ("_holders", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._holders = 1

    def hold(self) -> None:
        self._holders += 1

    def release(self) -> None:
        self._holders -= 1
        if self._holders == 0:
            os.close(self.fd)


class OnDisk:
    """The body that stands at `start` of a file. The file stays open as long as somebody wants it, so it is there even when
    another answer took its place."""

    __slots__ = ("_file", "_start", "size")

    def __init__(self, file: AnswerFile, start: int, size: int) -> None:
        file.hold()
        self._file = file
        self._start = start
        self.size = size

    def __del__(self) -> None:
        self._file.release()

    def read(self, start: int, stop: int) -> FileSlice:
        self._file.hold()
        return FileSlice(self._file.fd, self._start + start, stop - start, self._file.release)

    def is_in(self, state: os.stat_result) -> bool:
        """Whether it is of the file with this `state`."""
        return os.path.samestat(os.fstat(self._file.fd), state)

    def peek(self, start: int, stop: int) -> bytes:
        """Bytes that were written just now, and so are in memory still."""
        try:
            return os.pread(self._file.fd, stop - start, self._start + start)
        except OSError:
            return b""


def open_answer(path: str) -> AnswerFile:
    """Raises OSError."""
    return AnswerFile(os.open(path, READ))


def note_use(file: AnswerFile, state: os.stat_result) -> None:
    """The answer in `file`, whose `state` is known, is used now."""
    if time.time() - state.st_mtime > TOUCHED:
        with contextlib.suppress(OSError):
            os.utime(file.fd)


def first_read(size: int) -> int:
    """Bytes to read at first of a file of `size` bytes."""
    return size if size <= SMALL else HEAD


def read_cached(fd: int, size: int) -> bytes | bytearray | None:
    """The first `size` bytes; None if the disk would have to be asked for them. Raises OSError."""
    data = bytearray(size)
    try:
        return data if os.preadv(fd, (data,), 0, os.RWF_NOWAIT) == size else None
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return os.pread(fd, size, 0)  # tmpfs and the like: always in memory


def read_answer(file: AnswerFile, size: int, data: bytes | bytearray) -> Stored | None:
    """The answer in a file of `size` bytes, `data` being what was read at first. None: it does not add up. Raises OSError."""
    view = memoryview(data)
    if size <= SMALL:
        return decode(view)
    prefix = decode_prefix(view)
    if prefix is None:
        return None
    if size != prefix.body + prefix.body_size:
        return None
    stop = PREFIX_SIZE + prefix.head_size
    head = view[PREFIX_SIZE:stop] if stop <= len(data) else os.pread(file.fd, prefix.head_size, PREFIX_SIZE)
    return decode_head(prefix, head, OnDisk(file, prefix.body, prefix.body_size))


@contextlib.contextmanager
def locked_answer(path: str, flags: int = READ) -> Iterator[AnswerFile]:
    """The file at `path`, over whose head nobody else writes now. Raises OSError."""
    file = AnswerFile(os.open(path, flags))
    try:
        fcntl.flock(file.fd, fcntl.LOCK_EX)
        yield file
    finally:
        file.release()


def read_file(file: AnswerFile) -> Stored | None:
    """The answer in it, wherever it has to be read from. None: it does not add up. Raises OSError."""
    size = os.fstat(file.fd).st_size
    return read_answer(file, size, os.pread(file.fd, first_read(size), 0))


def rewrite_answer(path: str, head: bytes, body: bytes | OnDisk) -> bool:
    """Write `head` over that of the file at `path`. False: it has another body, or no room. Raises OSError."""
    with locked_answer(path, READ | os.O_RDWR) as file:
        state = os.fstat(file.fd)
        prefix = decode_prefix(os.pread(file.fd, PREFIX_SIZE, 0))
        if state.st_size <= SMALL or prefix is None:
            return False  # of a small one those who have read it whole would not know
        if isinstance(body, bytes):
            data = rewrite(prefix, head, len(body), crc32(body))
        else:
            data = rewrite(prefix, head, body.size, prefix.body_sum) if body.is_in(state) else None
        return data is not None and os.pwrite(file.fd, data, 0) == len(data)


def _write(fd: int, data: bytes | memoryview) -> None:
    written = os.write(fd, data)
    if written != len(data):  # the disk is full, or a limit on the size of files is met: the next write would say so
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
