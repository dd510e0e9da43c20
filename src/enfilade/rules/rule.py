"""What a rule is, and the words that it is written with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from enfilade.http.grammar import is_token

Action = Literal["deny", "score", "challenge", "tag", "log"]
Severity = Literal["critical", "error", "warning", "notice"]
POINTS: dict[Severity, int] = {"critical": 5, "error": 4, "warning": 3, "notice": 2}
"""What a rule that scores adds to the score of a request."""

ALWAYS = ("method", "host", "path", "query")
"""Parts that each request has exactly one of."""
ALONE = (*ALWAYS, "content-type", "body size", "argument names")
NAMED = ("argument", "field", "cookie")
"""Parts with a name behind them, or `*` for each of them."""
SIZE = "body size"


class Condition(NamedTuple):
    """Holds where the value of one of the parts `at` has `expression` (RE2's syntax) in it, or more than `longer_than` bytes;
    with `negate`, where none has. `transform`: what is done to a value first (rules/transform.py)."""

    at: tuple[str, ...]
    expression: str = ""
    longer_than: int | None = None
    negate: bool = False
    transform: tuple[str, ...] = ()

    @property
    def inverts(self) -> bool:
        """Whether it can be decided by one value, as there always is just one, that it has not what it must not have."""
        return self.negate and len(self.at) == 1 and self.at[0] in ALWAYS


class Rule(NamedTuple):
    """Hits a request for which each condition of `when` holds. `paranoia`: the level, 1 to 4, from which on it is looked at.
    The first of `tags` is the group that it is counted with."""

    id: str
    why: str
    when: tuple[Condition, ...]
    tags: tuple[str, ...]
    action: Action = "score"
    severity: Severity = "critical"
    paranoia: int = 1

    @property
    def points(self) -> int:
        return POINTS[self.severity] if self.action == "score" else 0


def parse_part(text: str) -> str:
    """The part of a request that `text` names, in the one way of writing it: one of ALONE, or one of NAMED with a name (of a
    field, in lower case) or `*`. ValueError for any other text."""
    kind, _, name = text.partition(" ")
    if text in ALONE:
        return text
    if kind in NAMED and name:
        if kind == "field":
            name = name.lower()
        if kind == "argument" or name == "*" or is_token(name.encode("utf-8", "replace")):
            return f"{kind} {name}"
    words = ", ".join(f'"{part}"' for part in ALONE)
    raise ValueError(
        f'"{text}" is not a part of a request: write {words}, "argument NAME", "field NAME" or "cookie NAME"; * for any name'
    )


def literally(texts: Iterable[str]) -> str:
    """The expression that matches one of `texts`, as a whole."""
    return rf"\A(?:{'|'.join(map(quote, texts))})\z"


def quote(text: str) -> str:
    """The expression that matches `text`."""
    return re.sub(r"[^\w]", lambda m: rf"\x{{{ord(m[0]):x}}}", text)


def excluded(rule: Rule, exclude: Sequence[str]) -> bool:
    """Whether an entry of `exclude` is the rule's id, one of its tags, or a beginning of its id with `*` behind it."""
    return any(is_meant(rule, entry) for entry in exclude)


def is_meant(rule: Rule, entry: str) -> bool:
    return entry == rule.id or entry in rule.tags or (entry.endswith("*") and rule.id.startswith(entry[:-1]))
