"""Answers on a disk: of any size, shared by all workers, there again after a restart.

What is written goes through one thread, in its order. What is read is read at once where the system has it in memory, else in
another thread; long bodies are not read here at all, but left to whoever sends them (`FileSlice`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from enfilade.cache.record import encode_head
from enfilade.cache.stored import Content, Stored
from enfilade.cache.stores.directory import ANSWER, SIGNPOST, Directory
from enfilade.cache.stores.files import (
    CHUNK,
    SMALL,
    AnswerFile,
    NewFile,
    OnDisk,
    first_read,
    locked_answer,
    note_use,
    open_answer,
    read_answer,
    read_cached,
    read_file,
    rewrite_answer,
)
from enfilade.cache.stores.recent import Recent
from enfilade.cache.stores.tally import Figures, Tally
from enfilade.cache.stores.troubles import Troubles, reason_of
from enfilade.exchange.response import FileSlice

T = TypeVar("T")

AHEAD = 1024 * 1024
"""Bytes of a body that wait to be written before its writer has to wait."""
WAITING = 64 * 1024 * 1024
"""Bytes of whole answers that wait to be written; what comes on top is not kept."""


class Disk:
    """The store in the directory at `path`; `writers` is the number of workers that use it, with one `budget` (bytes) for all.
    `recent`: is to hold what is read whole, where no memory does. `tally`: that of all workers.

    Somebody has to call `sweep` now and then, in a thread of one worker. Raises ForeignDirectory or OSError.
    """

    def __init__(
        self, path: str, budget: int, writers: int = 1, recent: Recent | None = None, tally: Tally | None = None
    ) -> None:
        self.largest = budget // 2
        self.tally = tally or Tally()
        self.directory = Directory(path, budget, writers, self.tally)
        self.troubles = Troubles(self.directory.path, self.tally)
        self._recent = recent
        self._writes = ThreadPoolExecutor(1, "cache-writes")
        self._sweeps = ThreadPoolExecutor(1, "cache-sweep")
        self._sweeping = False
        self._waiting = 0

    # -- reading

    def get(self, key: bytes) -> Stored | Awaitable[Stored | None] | None:
        """See `Store`."""
        try:
            file = open_answer(self.directory.path_of(key))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._cannot_read(error)
            return None
        try:
            state = os.fstat(file.fd)
            data = read_cached(file.fd, first_read(state.st_size))
            if data is not None:
                return self._take(key, file, state, data)
            file.hold()
            return self._read(key, file, state)
        except OSError as error:
            self._cannot_read(error)
            return None
        finally:
            file.release()

    async def _read(self, key: bytes, file: AnswerFile, state: os.stat_result) -> Stored | None:
        try:
            data = await asyncio.to_thread(os.pread, file.fd, first_read(state.st_size), 0)
            return self._take(key, file, state, data)
        except OSError as error:
            self._cannot_read(error)
            return None
        finally:
            file.release()

    def _take(self, key: bytes, file: AnswerFile, state: os.stat_result, data: bytes | bytearray) -> Stored | None:
        answer = read_answer(file, state.st_size, data)
        if answer is None:
            self.in_turn(self._forget_torn, self.directory.path_of(key))
            return None
        if answer.key != key:
            return None  # of another key with the same hash, or moved here
        note_use(file, state)
        if self._recent is not None and state.st_size <= SMALL:
            self._recent.hold(answer, file, state.st_size)
        return answer

    def _cannot_read(self, error: OSError) -> None:
        self.troubles.tell(f"cannot read: {reason_of(error)}")

    # -- writing

    def put(self, answer: Stored) -> Awaitable[None]:
        """See `Store`. It goes on whether it is awaited or not."""
        content = answer.content
        if isinstance(content, OnDisk):
            return self.in_turn(_NewAnswer(self, answer).put, content)
        body = content.read(0, content.size)
        if not isinstance(body, bytes) or len(body) > self.largest:
            if isinstance(body, FileSlice):
                body.close()
            return self.remove(answer.key)
        if self._waiting + len(body) > WAITING:
            self.troubles.tell("cannot write: the disk is too slow")
            return self.remove(answer.key)
        size = len(body)
        self._waiting += size
        done = self.in_turn(_NewAnswer(self, answer).put, body)
        done.add_done_callback(lambda _: self._waited(size))
        return done

    def _waited(self, size: int) -> None:
        self._waiting -= size

    def remove(self, key: bytes) -> Awaitable[None]:
        """See `Store`. It goes on whether it is awaited or not."""
        return self.in_turn(self.forget, self.directory.path_of(key))

    def writer(self, answer: Stored) -> DiskWriter:
        """See `StreamingStore`."""
        return DiskWriter(self, answer)

    def forget(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.troubles.tell(f"cannot remove: {reason_of(error)}")

    def _forget_torn(self, path: str) -> None:
        """Unless it was only written over just then."""
        with contextlib.suppress(OSError), locked_answer(path) as file:
            if read_file(file) is None:
                self.troubles.tell("an answer is torn, and counts as not there")
                self.forget(path)

    def in_turn(self, job: Callable[..., T | None], *arguments: object) -> asyncio.Future[T | None]:
        """What `job` gives, which is done behind all others before it, even if nobody waits for it any more. Once the store is
        closed: None."""
        try:
            done = asyncio.wrap_future(self._writes.submit(job, *arguments))
        except RuntimeError:
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
        else:
            done.add_done_callback(self._sweep_if_due)
        return asyncio.shield(done)

    def _sweep_if_due(self, _: object) -> None:
        if self.directory.wants_sweep() and not self._sweeping:
            self._sweeping = True
            with contextlib.suppress(RuntimeError):  # closed
                self._sweeps.submit(self.sweep)

    # -- keeping it in order

    def sweep(self) -> None:
        """Keep to the budget, and clean up behind workers that died. Blocks: for a thread."""
        try:
            self.directory.sweep()
        finally:
            self._sweeping = False

    def entries(self) -> Iterator[Stored]:
        """All that is stored, as it is found. Blocks: for a thread."""
        for path in self.directory.paths():
            with contextlib.suppress(OSError):
                file = open_answer(path)
                try:
                    answer = read_file(file)
                finally:
                    file.release()
                if answer is not None:
                    yield answer

    def figures(self) -> Figures:
        """As of the last sweep in any worker; `used` counts whole blocks."""
        return self.tally.figures(self.directory.budget)

    def close(self) -> None:
        """Write what waits to be written; nothing is kept from now on. Blocks: for a thread, while the loop still runs."""
        self._writes.shutdown()
        self._sweeps.shutdown()
        if self._recent is not None:
            self._recent.close()


class _NewAnswer:
    """An answer that is written, seen from the thread in which it is. Nothing is left of it once it is `lost`."""

    def __init__(self, disk: Disk, answer: Stored) -> None:
        self._disk = disk
        self._head = encode_head(answer)
        self._mode = ANSWER if answer.status else SIGNPOST
        self._path = disk.directory.path_of(answer.key)
        self._file: NewFile | None = None
        self.body: OnDisk | None = None
        self.lost = False

    def put(self, body: bytes | OnDisk) -> None:
        """A body that is `OnDisk` already stays there, or is lost."""
        with contextlib.suppress(OSError):
            if (not isinstance(body, bytes) or len(body) > SMALL) and rewrite_answer(self._path, self._head, body):
                return
        if isinstance(body, bytes):
            self.append(body)
        self.finish()

    def append(self, data: bytes) -> None:
        if self.lost:
            return
        try:
            if self._file is None:
                self._file = NewFile(self._disk.directory, self._head, self._mode)
                self.body = self._file.content()
            self._file.append(data)
        except OSError as error:
            self._fail(error)

    def finish(self) -> Content | None:
        """From now on it can be found; None: it is lost, and what was there before is removed: it is not what came last."""
        try:
            if self._file is not None:
                self._file.publish(self._path)
                return self._file.content()
        except OSError as error:
            self._fail(error)
        finally:
            self._close()
        self._disk.forget(self._path)
        return None

    def drop(self) -> None:
        self.lost = True
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fail(self, error: OSError) -> None:
        self.drop()
        self._disk.troubles.tell(f"cannot write: {reason_of(error)}")


class DiskWriter:
    """See `Writer`."""

    def __init__(self, disk: Disk, answer: Stored) -> None:
        self._disk = disk
        self._answer = answer
        self._new = _NewAnswer(disk, answer)
        self._size = 0
        self._pieces: list[bytes] = []
        self._held = 0  # bytes in the pieces
        self._ahead = 0  # bytes that wait to be written
        self.readable = 0

    @property
    def lost(self) -> bool:
        """See `Writer`."""
        return self._new.lost

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        """See `Writer`."""
        self._size += len(chunk)
        if self._size > self._disk.largest and not self._new.lost:
            self.abort()
        if self._new.lost:
            return None
        self._pieces.append(chunk)
        self._held += len(chunk)
        return self._flush() if self._held >= CHUNK else None

    def _flush(self) -> Awaitable[None] | None:
        size = self._held
        done = self._disk.in_turn(self._new.append, b"".join(self._pieces))
        done.add_done_callback(lambda _: self._passed(size))
        self._pieces.clear()
        self._held = 0
        self._ahead += size
        return done if self._ahead > AHEAD else None

    def _passed(self, size: int) -> None:
        self._ahead -= size
        self.readable += size

    def read(self, start: int, stop: int) -> bytes:
        """See `Writer`."""
        body = self._new.body
        return b"" if body is None else body.peek(start, stop)

    async def commit(self) -> Stored | None:
        """See `Writer`."""
        self._flush()
        content = await self._disk.in_turn(self._new.finish)
        if content is None:
            return None
        a = self._answer
        return Stored(a.key, a.status, a.fields, a.terms, a.names, a.generation, content)

    def abort(self) -> None:
        """See `Writer`."""
        self._new.lost = True  # what waits to be written need not be
        self.readable = 0
        self._pieces.clear()
        self._disk.in_turn(self._new.drop)
