"""Where each key and value of a TOML document stands: tomllib says what, this says where.

The scanner follows the grammar (toml.io, version 1.0) only as far as needed to find the ends of things; it is meant for
documents that tomllib has accepted.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple

from enfilade.config.errors import Path

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|' r"'''.*?'{3,5}(?!')|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'",
    re.DOTALL,
)


class Place(NamedTuple):
    """Both from 1."""

    line: int
    column: int


class Places:
    """The places of a document's keys and values. A table's value is where its header or its `{` stands."""

    def __init__(self, text: str) -> None:
        text = text.replace("\r\n", "\n")
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        scanner = _Scanner(text)
        scanner.document()
        self._keys, self._values = scanner.keys, scanner.values

    def __contains__(self, path: Path) -> bool:
        return path in self._keys

    def paths(self) -> set[Path]:
        return set(self._keys)

    def key(self, path: Path) -> Place | None:
        """Where the last key of `path` stands; where there is none, the nearest table around it."""
        return self._find(path, self._keys)

    def value(self, path: Path) -> Place | None:
        """Where the value at `path` begins; where there is none, the nearest table around it."""
        return self._find(path, self._values)

    def source(self, line: int) -> str:
        return self.lines[line - 1]

    def _find(self, path: Path, offsets: dict[Path, int]) -> Place | None:
        while path:
            offset = offsets.get(path, self._keys.get(path))
            if offset is not None:
                line = bisect_right(self._starts, offset)
                return Place(line, offset - self._starts[line - 1] + 1)
            path = path[:-1]
        return None


class _Scanner:
    """One pass over the text; `at` is the offset. Keys and values are noted by path, the first time they appear."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}  # arrays of tables: the index of the last one

    def document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._ahead("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        start = self.at
        array = self._ahead("[[")
        self.at += 2 if array else 1
        table: Path = ()
        parts = self._key()
        for i, (part, offset) in enumerate(parts):
            table = (*table, part)
            self._note(table, offset, start)
            if array and i == len(parts) - 1:
                self._arrays[table] = self._arrays.get(table, -1) + 1
            if table in self._arrays:
                table = (*table, self._arrays[table])
                self._note(table, start, start)
        self.at += 2 if array else 1
        return table

    def _pair(self, table: Path) -> None:
        for part, offset in self._key():
            table = (*table, part)
            self._note(table, offset, offset)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self.values[table] = self.at
        self._value(table)

    def _key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key, each with its offset; stands behind the white space that follows."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self.at
            self._skip(_STRING if self._ahead('"') or self._ahead("'") else _BARE_KEY)
            raw = self.text[start : self.at]
            parts.append((tomllib.loads(f"k={raw}")["k"] if raw[:1] in "\"'" else raw, start))
            self._skip(_SPACE)
            if not self._ahead("."):
                return parts
            self.at += 1

    def _value(self, path: Path) -> None:
        if self._ahead("["):
            self._list(path)
        elif self._ahead("{"):
            self._inline_table(path)
        elif not self._skip(_STRING):
            self._skip(_SCALAR)

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        self._skip(_BLANK)
        while not self._ahead("]"):
            self._note((*path, index), self.at, self.at)
            self._value((*path, index))
            index += 1
            self._comma()
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        self._skip(_BLANK)
        while not self._ahead("}"):
            self._pair(path)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._ahead(","):
            self.at += 1
            self._skip(_BLANK)

    def _note(self, path: Path, key: int, value: int) -> None:
        self.keys.setdefault(path, key)
        self.values.setdefault(path, value)

    def _ahead(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def _skip(self, what: re.Pattern[str]) -> bool:
        found = what.match(self.text, self.at)
        if found is None:
            return False
        self.at = found.end()
        return True
