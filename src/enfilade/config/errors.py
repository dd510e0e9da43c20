"""What is wrong with a configuration, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

NO_REDIS = 'needs a library that is not there: pip install "enfilade[redis]"'
Path = tuple[str | int, ...]
"""Where something stands in the tables: keys, and indexes of lists."""


class Problem(NamedTuple):
    """`path`: the file; `line`, `column`: from 1, or 0 where there is none; `source`: the text of that line."""

    path: str
    line: int
    column: int
    text: str
    hint: str = ""
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        first = f"{place}: {self.text}" + (f"; {self.hint}" if self.hint else "")
        if not self.source.strip():
            return first
        # Tabs stay, so that the caret stands right however wide the terminal shows them.
        indent = re.sub(r"[^\t]", " ", self.source[: self.column - 1])
        return f"{first}\n    {self.source}\n    {indent}^"


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` has everything that was found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.column))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the word that was probably meant, or "" if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415  # for mistakes only

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def dotted(path: Path) -> str:
    """`path` as one would write it in TOML: `sites."x"."/*"`, `server.http[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # Names that people choose are quoted in any case, so that sites."x" looks the same with and without a dot.
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part) and text != "sites"
            text += ("." if text else "") + (part if bare else f'"{part}"')
    return text
