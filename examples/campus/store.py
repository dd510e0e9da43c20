"""The data tier: SQLite, reached from threads, one short transaction a request.

- one to one: a student and their card
- one to many: a teacher and their courses
- many to many: students and courses, by enrolments, each with a grade or none yet

Triggers write every change into the table `changes`, so whatever changes the data, by whichever worker, is told to all.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_CHANGES = 1000

TABLES = (
    "teachers (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    """courses (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
        credits INTEGER NOT NULL, teacher_id INTEGER NOT NULL REFERENCES teachers(id), version INTEGER NOT NULL DEFAULT 1)""",
    """students (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL DEFAULT 1)""",
    """cards (student_id INTEGER PRIMARY KEY REFERENCES students(id) ON DELETE CASCADE,
        number TEXT NOT NULL UNIQUE, valid_until TEXT NOT NULL)""",
    """enrolments (student_id INTEGER NOT NULL REFERENCES students(id) ON DELETE CASCADE,
        course_id INTEGER NOT NULL REFERENCES courses(id), grade INTEGER, PRIMARY KEY (student_id, course_id))""",
    "changes (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, kind TEXT NOT NULL, key INTEGER NOT NULL)",
)

KEYS = {"courses": "id", "students": "id", "cards": "student_id", "enrolments": "student_id"}

TEACHERS = ["Emmy Noether", "Alan Turing", "Marie Curie"]
COURSES = [
    ("ALG1", "Abstract algebra", 6, 1), ("LOG1", "Computability", 6, 2), ("NET1", "Networks", 4, 2),
    ("PHY1", "Radiation", 5, 3), ("CHE1", "Chemistry in the laboratory", 3, 3),
]  # fmt: skip
STUDENTS = [
    "Ada Lovelace", "Blaise Pascal", "Carl Friedrich Gauss", "Dorothy Hodgkin", "Évariste Galois", "Fatima al-Fihri",
    "Grace Hopper", "Hypatia", "Isaac Newton", "Johannes Kepler", "Katherine Johnson", "Lise Meitner",
]  # fmt: skip


def default_path() -> str:
    """Where the database is: `CAMPUS_DB`, or a folder of this user's under the temporary directory."""
    if path := os.environ.get("CAMPUS_DB"):
        return path
    folder = Path(tempfile.gettempdir()) / f"enfilade-campus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return str(folder / "campus.sqlite")


class Store:
    """The database at `path`. `create` makes and fills it if it is empty; several workers may do so at once."""

    def __init__(self, path: str) -> None:
        self.path = path

    @contextmanager
    def transaction(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction: committed at the end, rolled back if an exception passes."""
        db = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # which rolls back what was not committed

    def create(self) -> None:
        with self.transaction(write=True) as db:
            for table in TABLES:
                db.execute(f"CREATE TABLE IF NOT EXISTS {table}")
            for trigger in _triggers():
                db.execute(f"CREATE TRIGGER IF NOT EXISTS {trigger}")
            if db.execute("SELECT count(*) FROM teachers").fetchone()[0] == 0:
                _seed(db)

    def changes_after(self, seen: int) -> list[dict[str, object]]:
        """The changes that came after number `seen`, oldest first."""
        with self.transaction() as db:
            return [dict(row) for row in db.execute("SELECT * FROM changes WHERE id > ? ORDER BY id", (seen,))]

    def last_change(self) -> int:
        """The number of the latest change."""
        with self.transaction() as db:
            return last_change(db)


def last_change(db: sqlite3.Connection) -> int:
    """The number of the latest change that this transaction sees."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM changes").fetchone()[0])


def _triggers() -> Iterator[str]:
    for table, key in KEYS.items():
        for kind, row in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD")):
            yield f"""{table}_{kind} AFTER {kind} ON {table} BEGIN
                INSERT INTO changes (what, kind, key) VALUES ('{table}', '{kind}', {row}.{key});
                DELETE FROM changes WHERE id <= (SELECT max(id) FROM changes) - {KEPT_CHANGES};
            END"""


def _seed(db: sqlite3.Connection) -> None:
    db.executemany("INSERT INTO teachers (name) VALUES (?)", [(name,) for name in TEACHERS])
    db.executemany("INSERT INTO courses (code, title, credits, teacher_id) VALUES (?, ?, ?, ?)", COURSES)
    for i, name in enumerate(STUDENTS, 1):
        email = f"{name.split()[0].lower().replace('é', 'e')}@campus.example"
        db.execute("INSERT INTO students (name, email) VALUES (?, ?)", (name, email))
        db.execute("INSERT INTO cards VALUES (?, ?, ?)", (i, f"C-{1000 + i}", "2030-09-30"))
        for course in {i % 5 + 1, i * 3 % 5 + 1}:
            db.execute("INSERT INTO enrolments VALUES (?, ?, ?)", (i, course, 60 + i * 7 % 41 if i % 3 else None))
