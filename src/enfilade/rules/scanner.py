"""Many expressions in one pass over a value, in time linear in its length: RE2 knows no other way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import re2

from enfilade.rules.rule import Condition
from enfilade.rules.transform import is_untouched, transformed

_PROBE = "\0enfilade\0"
"""A text that each set finds, or it has too little memory to find anything."""


class Scanner:
    """Looks for several conditions in one value. `conditions` by their numbers."""

    def __init__(self, conditions: Mapping[int, Condition]) -> None:
        chains: dict[tuple[str, ...], dict[int, Condition]] = {}
        untouched: dict[tuple[str, ...], dict[int, Condition]] = {}
        for number, condition in conditions.items():
            words = condition.transform
            chains.setdefault(words, {})[number] = condition
            untouched.setdefault(("lowercase",) if "lowercase" in words else (), {})[number] = condition
        self._views = [(words, _View(found)) for words, found in chains.items()]
        # The same, in fewer passes.
        self._untouched = [(words, _View(found)) for words, found in untouched.items()]
        self._inverted = {number for number, condition in conditions.items() if condition.inverts}

    def scan(self, text: str) -> set[int]:
        """The numbers of those that hold for `text`."""
        views = self._untouched if is_untouched(text) else self._views
        found = {number for words, view in views for number in view.scan(transformed(text, words))}
        return found ^ self._inverted

    def longer(self, size: int) -> list[int]:
        """The numbers of those that `size` bytes are too many for."""
        return [number for _, view in self._views for number in view.longer(size)]


class _View:
    """Conditions that look at the same thing."""

    def __init__(self, conditions: Mapping[int, Condition]) -> None:
        self._lengths = [(c.longer_than, n) for n, c in conditions.items() if c.longer_than is not None]
        self._numbers = [number for number, c in conditions.items() if c.longer_than is None]
        self._set = None if not self._numbers else _compile(conditions[number].expression for number in self._numbers)

    def scan(self, text: str) -> list[int]:
        found = [] if self._set is None else [self._numbers[i] for i in self._set.Match(text) or ()]
        return found + self.longer(len(text.encode())) if self._lengths else found

    def longer(self, size: int) -> list[int]:
        return [number for longest, number in self._lengths if size > longest]


def _compile(expressions: Iterable[str]) -> re2.Set:
    options = _options()
    made = re2.Set.SearchSet(options)
    last = -1
    for expression in expressions:
        last = made.Add(expression)
    made.Add(r"\A\x00enfilade\x00\z")
    made.Compile()
    if made.Match(_PROBE) is None:
        raise ValueError(f"{last + 1} expressions are too much for one set")
    return made


def check_expression(expression: str) -> None:
    """ValueError where RE2 cannot read it: it has neither look-around nor references back."""
    try:
        re2.compile(expression, _options())
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(
            f"not an expression that RE2 reads: {said.decode() if isinstance(said, bytes) else said}"
        ) from None


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    return options
