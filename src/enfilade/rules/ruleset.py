"""The rules of a route, compiled: which of them a request hits."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from enfilade.http.request import Request
from enfilade.rules.rule import ALONE, SIZE, Condition, Rule
from enfilade.rules.scanner import Scanner
from enfilade.rules.transform import percent_decoded, read_text

MEMORY = 4096
"""So much that was clean is remembered, in all: beginnings of requests, fields, values."""
MEMORY_KEY = 1024
"""Bytes of the longest that is."""
PIECES = 100
"""So many arguments, and cookies, are looked at one by one; all behind them is looked at as one."""

Found = dict[int, tuple[str, str]]
"""Conditions that hold, by their numbers: where, and for which text."""


class Hit(NamedTuple):
    """`rule` holds; `where` and `text`: a part and its value for which it does, both "" where it is one that is missing."""

    rule: Rule
    where: str
    text: str

    def __str__(self) -> str:
        if not self.where:
            return self.rule.id
        return f"{self.rule.id} at {self.where} {_cut(ascii(self.text))}"


class Ruleset:
    """`rules`, looked for in every argument but `passed_over` (a rule that names one of these looks at it all the same).

    What was clean is remembered as it came in, so that what nearly every request has costs a look into a set."""

    def __init__(self, rules: Sequence[Rule], passed_over: Container[str] = ()) -> None:
        self.rules = rules
        self._passed_over = passed_over
        self._numbers: dict[Condition, int] = {}
        self._by_part: dict[str, dict[int, Condition]] = {}
        # Of each rule: the conditions that must be found, and those that must not.
        self._wanted = [(rule, *self._split(rule)) for rule in rules]
        self._scanners: dict[tuple[str, bool], Scanner | None] = {}
        self._clean: set[tuple[object, ...]] = set()
        self._on_nothing = self._judge({})
        for part in self._by_part:  # now, not with the first request
            self._scanner(*_named(part), part)

    def find(self, request: Request) -> Sequence[Hit]:
        """The rules that `request` hits, in their order."""
        line = (request.method, request.host, request.raw_path, request.query)
        clean = self._clean
        if line in clean and clean.issuperset(request.fields.pairs):
            return self._on_nothing
        found: Found = {}
        if line not in clean:
            self._look(line, _values_of_line(*line), found)
        for pair in request.fields.pairs:
            if pair not in clean:
                self._look(pair, _values_of_field(*pair), found)
        return self._judge(found) if found else self._on_nothing

    def _look(self, whole: tuple[object, ...], values: Iterable[tuple[str, str, str]], found: Found) -> None:
        """Add the conditions that hold for one of `values`, which `whole` has: a kind, a name and a text each."""
        known = len(found)
        for kind, name, text in values:
            where = f"{kind} {name}" if name else kind
            if (where, text) in self._clean:
                continue
            scanner = self._scanner(kind, name, where)
            numbers = () if scanner is None else scanner.longer(int(text)) if kind == SIZE else scanner.scan(text)
            for number in numbers:
                found[number] = where, text
            if not numbers:
                self._remember(where, text)
        if len(found) == known:
            self._remember(*whole)

    def _remember(self, *key: object) -> None:
        if sum(len(one) for one in key if isinstance(one, str | bytes)) <= MEMORY_KEY:
            if len(self._clean) >= MEMORY:
                self._clean.clear()
            self._clean.add(key)

    def _scanner(self, kind: str, name: str, where: str) -> Scanner | None:
        """For what stands at `where`. `name` may be any that a stranger thinks of: only those that rules name are kept."""
        passed = kind == "argument" and name in self._passed_over
        named = where in self._by_part
        key = (where if named or not name else f"{kind} *"), passed
        if key not in self._scanners:
            conditions = {**self._by_part.get(where, {})}
            if name and not passed:
                conditions.update(self._by_part.get(f"{kind} *", {}))
            self._scanners[key] = Scanner(conditions) if conditions else None
        return self._scanners[key]

    def _split(self, rule: Rule) -> tuple[list[int], list[int]]:
        there: list[int] = []
        missing: list[int] = []
        for condition in rule.when:
            number = self._numbers.setdefault(condition, len(self._numbers))
            (missing if condition.negate and not condition.inverts else there).append(number)
            for part in condition.at:
                self._by_part.setdefault(part, {})[number] = condition
        return there, missing

    def _judge(self, found: Found) -> list[Hit]:
        hits = []
        for rule, there, missing in self._wanted:
            if all(number in found for number in there) and not any(number in found for number in missing):
                hits.append(Hit(rule, *(found[there[0]] if there else ("", ""))))
        return hits


def _named(part: str) -> tuple[str, str]:
    """Kind and name of a part as rules write it."""
    return (part, "") if part in ALONE else (part.partition(" ")[0], part.partition(" ")[2])


def _values_of_line(method: str, host: str, raw_path: bytes, query: bytes) -> Iterator[tuple[str, str, str]]:
    """What every request has; arguments as applications take them in: `+` is a space, and percent-encoding is taken off."""
    yield "method", "", method
    yield "host", "", host
    yield "path", "", percent_decoded(raw_path)
    yield "query", "", read_text(query)
    for piece in query.split(b"&", PIECES) if query else ():
        raw_name, _, value = piece.replace(b"+", b" ").partition(b"=")
        name = percent_decoded(raw_name)
        yield "argument names", "", name
        yield "argument", name, percent_decoded(value)


def _values_of_field(raw_name: bytes, raw: bytes) -> Iterator[tuple[str, str, str]]:
    name, value = raw_name.decode("latin-1"), read_text(raw)
    if name == "cookie":
        for piece in value.split(";", PIECES):
            cookie, _, content = piece.partition("=")
            yield "cookie", cookie.strip(), content.strip()
        return
    yield "field", name, value
    if name == "content-type":
        yield name, "", value.partition(";")[0].strip().lower()
    elif name == "content-length":
        yield SIZE, "", value


def _cut(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
