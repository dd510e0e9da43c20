"""The directory of the disk store: where each answer lies, how it gets there whole, and what keeps it within its budget.

    DIRECTORY/enfilade-cache-1   says whose the directory is, and of which form
    DIRECTORY/new/NAME           is being written; locked by its writer, as long as that lives
    DIRECTORY/a/b/NAME           an answer or a signpost, under the hash of its key; who counts tells them by their modes

Any number of processes use it at once. There is no index: the directory is the truth, and a rename makes an answer appear
whole. Nothing is synced to the disk: what a power failure tears does not add up when it is read (record.py). All of this blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from enfilade.cache.stores.tally import Tally

MARKER = "enfilade-cache-1"
"""Another form gets another number."""
FULL = 0.9
"""Of the budget: what a sweep leaves at most."""
RESERVE = 0.05
"""Of the file system: what is left free for others, but never more than `LARGEST_RESERVE`."""
LARGEST_RESERVE = 1024 * 1024 * 1024
RESCUE = 10.0
"""Seconds from one sweep to the next that others make necessary who fill the file system."""
BLOCK = 4096
"""Bytes of a file system's block: the least that a file takes."""
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""How files are opened: a fifo in the place of one keeps nobody waiting."""
ANSWER, SIGNPOST = 0o600, 0o400
"""Modes of their files."""
_NAME_SIZE = 38
_HEX = "0123456789abcdef"
_DIGITS = frozenset(_HEX)


class ForeignDirectory(OSError):
    """The directory holds something else, or others may write to it: nothing in it was touched."""


class Directory:
    """The directory at `path`, shared by `writers` processes which together keep at most `budget` bytes in it; `tally`:
    of what is in it.

    Raises ForeignDirectory, or OSError where it cannot be made.
    """

    def __init__(self, path: str, budget: int, writers: int = 1, tally: Tally | None = None) -> None:
        self.path = os.path.abspath(path)
        self.new = f"{self.path}/new"
        self.budget = budget
        self._tally = tally or Tally()
        self._writers = writers
        self._written = 0  # bytes so far; when it is at one of these two, another sweep is due, or must have ended
        self._due = 0
        self._limit = 0
        self._next_rescue = 0.0
        self._lock = threading.Lock()
        _prepare(self.path)

    def path_of(self, key: bytes) -> str:
        name = blake2b(key, digest_size=20).hexdigest()
        return f"{self.path}/{name[0]}/{name[1]}/{name[2:]}"

    def wants_sweep(self) -> bool:
        """Half of what may be written before the next sweep is written."""
        return self._written > self._due

    def claim(self, size: int) -> None:
        """Before so many bytes are written. Raises OSError (ENOSPC) where there is no room to be had."""
        if self._written + size > self._limit:
            self.sweep(size)
            if self._written + size > self._limit:
                raise OSError(errno.ENOSPC, "there is no room left for it")
        self._written += size

    def sweep(self, room: int = 0) -> None:
        """Forget what was not used for longest, until `FULL` of the budget is left, room for `room` more bytes, and the
        reserve of the file system is free; and what writers that died left unfinished."""
        with self._lock:
            written = self._written
            if room and written + room <= self._limit:
                return  # another sweep made it meanwhile
            self._sweep_new()
            ages: Counter[int] = Counter()
            answers = held = 0
            for _, state in self._files():
                answers += _is_answer(state)
                held += blocks(state.st_size)
                ages[int(state.st_mtime)] += blocks(state.st_size)
            held += sum(blocks(state.st_size) for _, state in _entries(self.new))
            budget = max(min(self.budget, held + self._free()), 0)  # of a full file system we have what we hold
            most = min(int(budget * FULL), budget - room * self._writers)
            gone = 0
            if held > most:
                gone, freed = self._evict(ages, held - most)
                held -= freed
            self._tally.counted(answers - gone, held, gone)
            allowance = max(budget - held, 0) // self._writers
            self._due = written + allowance // 2
            self._limit = written + allowance

    def _evict(self, ages: Counter[int], excess: int) -> tuple[int, int]:
        """Remove the oldest of them; how many answers, and of how many bytes."""
        last = 0
        rest = excess  # bytes to remove of those of the second `last`
        for last in sorted(ages):
            if ages[last] >= rest:
                break
            rest -= ages[last]
        gone = freed = 0
        for path, state in self._files():
            used = int(state.st_mtime)
            if used < last or (used == last and rest > 0):
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    gone += _is_answer(state)
                    freed += blocks(state.st_size)
                    rest -= blocks(state.st_size) if used == last else 0
        return gone, freed

    def _sweep_new(self) -> None:
        for path, _ in _entries(self.new):
            try:
                fd = os.open(path, READ)
            except OSError:
                continue
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it: its writer is dead
                os.unlink(path)
            os.close(fd)

    def free(self) -> int:
        """Bytes of the file system that may still be used; less than 0: the reserve is touched. Raises OSError."""
        system = os.statvfs(self.path)
        reserve = min(int(system.f_blocks * RESERVE) * system.f_frsize, LARGEST_RESERVE)
        return system.f_bavail * system.f_frsize - reserve

    def want_free(self) -> None:
        """Raises OSError (ENOSPC) where the reserve is touched, and a sweep does not help."""
        if self.free() < 0:
            now = time.monotonic()
            if now >= self._next_rescue:
                self._next_rescue = now + RESCUE
                self.sweep()
            if self.free() < 0:
                raise OSError(errno.ENOSPC, "the file system is nearly full")

    def _free(self) -> int:
        try:
            return self.free()
        except OSError:
            return 0

    def paths(self) -> Iterator[str]:
        """Those of all answers."""
        return (path for path, _ in self._files())

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for first in _HEX:
            for second in _HEX:
                yield from _entries(f"{self.path}/{first}/{second}")


def blocks(size: int) -> int:
    """Bytes of the blocks that `size` bytes take."""
    return -(-size // BLOCK) * BLOCK


def _is_answer(state: os.stat_result) -> bool:
    return stat.S_IMODE(state.st_mode) != SIGNPOST


def _prepare(path: str) -> None:
    """Make the directory if it is missing. Nothing in it is touched unless it is ours."""
    os.makedirs(path, 0o700, exist_ok=True)
    state = os.stat(path)
    if state.st_uid not in (os.geteuid(), 0) or stat.S_IMODE(state.st_mode) & 0o022:
        raise ForeignDirectory(
            f"{path} may be written to by others; the cache wants a directory of its own (chmod 700)"
        )
    names = set(os.listdir(path)) - {"lost+found"}
    if names and MARKER not in names:
        raise ForeignDirectory(f"{path} is not empty, and no cache of this form; name an empty directory")
    os.close(os.open(f"{path}/{MARKER}", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with contextlib.suppress(FileExistsError):
        os.mkdir(f"{path}/new", 0o700)


def _entries(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files in it that have a name of ours."""
    try:
        with os.scandir(path) as found:
            for entry in found:
                if len(entry.name) in (_NAME_SIZE, 32) and _DIGITS.issuperset(entry.name):
                    with contextlib.suppress(OSError):
                        state = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(state.st_mode):
                            yield entry.path, state
    except OSError:
        return
