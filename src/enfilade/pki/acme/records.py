"""What an ACME server remembers, in SQLite: a file that all workers share, or memory of the only one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar
from weakref import finalize

import msgspec

BUSY = 10.0
"""Seconds that another worker may take."""
MEMORY = ":memory:"
_TABLE = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, expires REAL NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS by_owner ON record (kind, owner);
CREATE INDEX IF NOT EXISTS by_expires ON record (expires);
"""


class Record(msgspec.Struct, kw_only=True):
    """Something that is remembered until `expires` (Unix time). `owner`: whom it is looked up by, besides."""

    id: str
    owner: str
    expires: float


R = TypeVar("R", bound=Record)


class Transaction:
    """All of it happens, or nothing; nobody else's in between."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, kind: type[R], id: str) -> R | None:
        rows = self._connection.execute("SELECT value FROM record WHERE kind = ? AND id = ?", (kind.__name__, id))
        return next((msgspec.json.decode(value, type=kind) for (value,) in rows), None)

    def owned(self, kind: type[R], owner: str) -> list[R]:
        rows = self._connection.execute("SELECT value FROM record WHERE kind = ? AND owner = ?", (kind.__name__, owner))
        return [msgspec.json.decode(value, type=kind) for (value,) in rows]

    def all(self, kind: type[R]) -> list[R]:
        rows = self._connection.execute("SELECT value FROM record WHERE kind = ?", (kind.__name__,))
        return [msgspec.json.decode(value, type=kind) for (value,) in rows]

    def count(self, kind: type[R], owner: str | None = None) -> int:
        """How many there are, or how many of one owner."""
        rows = self._connection.execute(
            "SELECT count(*) FROM record WHERE kind = ? AND owner = ifnull(?, owner)", (kind.__name__, owner)
        )
        (found,) = next(rows)
        return int(found)

    def put(self, record: Record) -> None:
        row = (type(record).__name__, record.id, record.owner, record.expires, msgspec.json.encode(record))
        self._connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", row)


class Records:
    """Those in the file at `path`, or in MEMORY. Made in the worker: a connection must not be forked. Raises sqlite3.Error."""

    def __init__(self, path: str) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        self.close = finalize(self, self._connection.close)  # by whoever is done, or when nobody has it any more
        self._connection.executescript(_TABLE)

    @contextmanager
    def transaction(self, now: float) -> Iterator[Transaction]:
        """One, without what has expired."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("DELETE FROM record WHERE expires <= ?", (now,))
                yield Transaction(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
