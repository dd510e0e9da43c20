"""Memory that processes have in common, and the lock over it.

Made in the supervisor, inherited by whatever is forked from it. An application's process is handed the descriptor, and makes
a Shared of that.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading


class Locked:
    """`with` it: nobody else is in there, in no thread of no process. A process that is killed lets go of it.

    Record locks (POSIX `fcntl`) belong to a process, so its threads need another one in front. Never held over a second one.
    Owns `fd`. A process closes none that refers to the same memory while it holds the lock: that would let go of it.
    """

    __slots__ = ("_threads", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._threads = threading.Lock()

    def __del__(self) -> None:
        os.close(self.fd)

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            while True:
                try:
                    fcntl.lockf(self.fd, fcntl.LOCK_EX)
                except OSError as error:
                    # The kernel takes two threads of one process, of which one holds a lock and the other waits for
                    # another, for one that does both, and so may see a deadlock where none is.
                    if error.errno != errno.EDEADLK:
                        raise
                else:
                    return
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()


class Shared:
    """`cells` and `bytes` are the same memory, as signed 64-bit integers and as bytes. `fd`: what it can be attached by; it is
    closed when neither this nor `locked` is needed any more."""

    __slots__ = ("__weakref__", "bytes", "cells", "fd", "locked", "size")

    def __init__(self, fd: int) -> None:
        """All of what `fd` refers to, a multiple of 8 bytes. From now on `fd` belongs to this."""
        self.fd = fd
        self.locked = Locked(fd)
        self.size = os.fstat(fd).st_size
        self.bytes = memoryview(mmap.mmap(fd, self.size))
        self.cells = self.bytes.cast("q")

    @classmethod
    def make(cls, name: str, size: int) -> Shared:
        """`size` bytes of zeros, a multiple of 8. `name` is for people who look into `/proc`. Raises OSError."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create(f"enfilade-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(fd, size)
            # Nobody whom it is handed to can cut it off beneath us (which would be a SIGBUS).
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        else:
            from tempfile import TemporaryFile  # noqa: PLC0415

            with TemporaryFile() as file:
                fd = os.dup(file.fileno())
            _fill(fd, size)
        return cls(fd)

    @classmethod
    def open(cls, path: str, size: int) -> Shared:
        """Memory that outlives us: the file `path`. It is made anew, of zeros, unless it is of `size`. Raises OSError."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size != size:
                os.ftruncate(fd, 0)
                _fill(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)


def _fill(fd: int, size: int) -> None:
    """Zeros that are written, not left out: a page for which the disk has no room later would be a SIGBUS."""
    left = size
    while left:
        left -= os.write(fd, bytes(min(left, 1 << 20)))
