"""The storage in a directory: a file for each value, which only the user who runs the server can read."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar
from urllib.parse import quote, unquote

from enfilade.acme.storage import KINDS, Kind, StorageError
from enfilade.atomic import replace_file

P = ParamSpec("P")
T = TypeVar("T")

DIRECTORY_MODE = 0o700
_LOCKS = "locks"
_VERSION = "version"
_SAFE = "*:"
"""Of the characters that a name has beyond letters, digits and "_.-~", these stand for themselves in the name of a file."""


def prepare(path: str) -> None:
    """Make the directories. Raises OSError where they cannot be made or written to."""
    for folder in (path, *(os.path.join(path, name) for name in (*KINDS, _LOCKS))):
        os.makedirs(folder, DIRECTORY_MODE, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(f'"{folder}" cannot be written to')
    os.chmod(path, DIRECTORY_MODE)  # keys are inside


class Disk:
    """The `Storage` in the directory `path`, which is prepared. `clock`: seconds since 1970.

    One thread does everything, in order: what was begun for somebody who was cancelled is done before they clean up behind it."""

    def __init__(self, path: str, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "certificates")

    async def version(self) -> object:
        """See `Storage`."""
        return await self._do(self._read, self._file(_VERSION))

    async def list(self, kind: Kind) -> Mapping[str, object]:
        """See `Storage`."""
        return await self._do(self._list, kind)

    async def get(self, kind: Kind, name: str) -> bytes | None:
        """See `Storage`."""
        return await self._do(self._read, self._file(kind, name))

    async def put(self, kind: Kind, name: str, value: bytes) -> None:
        """See `Storage`."""
        await self._do(self._put, self._file(kind, name), value)

    async def delete(self, kind: Kind, name: str) -> None:
        """See `Storage`."""
        await self._do(self._delete, self._file(kind, name))

    async def lock(self, name: str, owner: str, seconds: float) -> bool:
        """See `Storage`."""
        return await self._do(self._lock, self._file(_LOCKS, name), owner, seconds)

    async def unlock(self, name: str, owner: str) -> None:
        """See `Storage`."""
        await self._do(self._unlock, self._file(_LOCKS, name), owner)

    async def close(self) -> None:
        """See `Storage`."""
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **more))

    def _file(self, *names: str) -> str:
        return os.path.join(self._path, *map(_safe, names))

    def _list(self, kind: Kind) -> Mapping[str, object]:
        with _failures(), os.scandir(self._file(kind)) as entries:
            found: dict[str, object] = {}
            for entry in entries:
                if not entry.name.startswith("."):
                    with suppress(FileNotFoundError):  # since then
                        stat = entry.stat()
                        found[unquote(entry.name)] = stat.st_mtime_ns, stat.st_ino, stat.st_size
            return found

    def _read(self, file: str) -> bytes | None:
        with _failures():
            try:
                with open(file, "rb") as found:
                    return found.read()
            except FileNotFoundError:
                return None

    def _put(self, file: str, value: bytes) -> None:
        with _failures():
            replace_file(file, value)
            self._changed()

    def _delete(self, file: str) -> None:
        with _failures():
            with suppress(FileNotFoundError):
                os.unlink(file)
            self._changed()

    def _changed(self) -> None:
        replace_file(self._file(_VERSION), os.urandom(16).hex().encode())

    def _lock(self, file: str, owner: str, seconds: float) -> bool:
        with _failures(), self._alone():
            holder, until = self._holder(file)
            now = self._clock()
            if holder not in ("", owner) and now < until:
                return False
            replace_file(file, json.dumps([owner, now + seconds]).encode())
            return True

    def _unlock(self, file: str, owner: str) -> None:
        with _failures(), self._alone():
            if self._holder(file)[0] == owner:
                os.unlink(file)

    def _holder(self, file: str) -> tuple[str, float]:
        try:
            holder, until = json.loads(self._read(file) or b'["", 0]')
            return str(holder), float(until)
        except (ValueError, TypeError):
            return "", 0.0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Whoever looks at locks does so alone."""
        guard = os.open(os.path.join(self._path, _LOCKS, ".guard"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)


def _safe(name: str) -> str:
    """`name` as that of a file; files whose names begin with a dot are ours."""
    text = quote(name, safe=_SAFE)
    return f"%2E{text[1:]}" if text.startswith(".") else text


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or 'the storage'}: {error.strerror or error}") from None
