"""Which of a site's patterns a request belongs to: compiled once into a tree of segments.

A pattern is `[METHOD ]/path`. Paths are written as people read them, not percent-encoded. `{name}` stands for one whole
segment, `*` at the end for all the rest, also the empty one. A method in front limits the pattern to it; GET serves HEAD too.

The most specific pattern wins, as in Go's ServeMux: the one whose requests are a proper part of the other's. Two patterns that
share requests without one being more specific are an error at compile time, so the order in which they are written never
matters. Beyond what it says, `/api/*` also answers `/api`, where no pattern without `*` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

REST = "*"
_METHOD = re.compile(r"[A-Z][A-Z0-9-]*")
_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NO_PARAMS: Mapping[str, str] = {}


class RouteError(ValueError):
    """A pattern that cannot be compiled, or two that cannot stand together; `patterns` names them."""

    def __init__(self, text: str, *patterns: str) -> None:
        super().__init__(text)
        self.patterns = patterns


class Found(Generic[T]):
    """What a request belongs to. `params`: what each `{name}` stood for; `mount`: the path before the part that `*` stood for."""

    __slots__ = ("mount", "params", "target")

    def __init__(self, target: T, params: Mapping[str, str], mount: str) -> None:
        self.target = target
        self.params = params
        self.mount = mount

    def __repr__(self) -> str:
        return f"Found({self.target!r}, {dict(self.params)!r}, {self.mount!r})"


class Refused:
    """The path is known, but not with this method: 405, with `allow` for the Allow field (RFC 9110 section 15.5.6)."""

    __slots__ = ("allow",)

    def __init__(self, allow: tuple[str, ...]) -> None:
        self.allow = allow

    def __repr__(self) -> str:
        return f"Refused({self.allow!r})"


class _Pattern(Generic[T]):
    """`segments` of the path, `{}` for a parameter; `names`: the segment of each parameter; `rest`: it ends in `*`."""

    __slots__ = ("fixed", "method", "names", "rest", "segments", "target", "text")

    def __init__(self, text: str, target: T) -> None:
        self.text = text
        self.target = target
        method, _, path = text.rpartition(" ")
        self.method = method.strip()
        if self.method and not _METHOD.fullmatch(self.method):
            raise RouteError(
                f"{text!r}: {self.method!r} is not a method; write it in capitals, as in 'GET /path'", text
            )
        if not path.startswith("/"):
            raise RouteError(f"{text!r}: a path starts with '/'", text)
        segments = path[1:].split("/")
        self.rest = segments[-1] == REST
        if self.rest:
            segments.pop()
        self.names: dict[str, int] = {}
        for i, segment in enumerate(segments):
            self._check(segment, last=i == len(segments) - 1 and not self.rest)
            if (name := _PARAM.fullmatch(segment)) and self.names.setdefault(name[1], i) != i:
                raise RouteError(f"{text!r}: {segment} stands twice", text)
        self.segments = ["{}" if _PARAM.fullmatch(s) else s for s in segments]
        # Where nothing depends on the request, what is found is always the same object.
        mount = "".join(f"/{s}" for s in segments) if self.rest else ""
        self.fixed = None if self.names else Found(target, _NO_PARAMS, mount)

    def _check(self, segment: str, last: bool) -> None:
        if segment in (".", "..") or (not segment and not last):
            raise RouteError(f"{self.text!r}: no request has such a path: they are normalised first", self.text)
        if not _PARAM.fullmatch(segment) and set(segment) & set("*{}?#"):
            raise RouteError(
                f"{self.text!r}: '*' stands only at the end, as '/*', and '{{name}}' for a whole segment", self.text
            )

    def found(self, parts: list[str]) -> Found[T]:
        """What this pattern makes of the path whose segments are `parts`."""
        if self.fixed is not None:
            return self.fixed
        params = {name: parts[i] for name, i in self.names.items()}
        return Found(self.target, params, "/" + "/".join(parts[: len(self.segments)]) if self.rest else "")


class _Node(Generic[T]):
    """One place in the tree of segments: the patterns that end here, with and without `*`, by method ("": any)."""

    __slots__ = ("any", "children", "ends", "rests")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None
        self.ends: dict[str, _Pattern[T]] = {}
        self.rests: dict[str, _Pattern[T]] = {}


class Table(Generic[T]):
    """The compiled patterns of one site."""

    __slots__ = ("_root",)

    def __init__(self, patterns: Iterable[_Pattern[T]]) -> None:
        """Raises RouteError for two patterns that cannot stand together."""
        self._root: _Node[T] = _Node()
        for p in patterns:
            for other in _near(self._root, p, 0):
                _refuse_tie(other, p)
            self._add(p)

    def _add(self, p: _Pattern[T]) -> None:
        node = self._root
        for segment in p.segments:
            if segment == "{}":
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.children.setdefault(segment, _Node())
        row = node.rests if p.rest else node.ends
        row[p.method] = p
        if p.method == "GET":  # it serves HEAD, unless HEAD has a pattern of its own
            row.setdefault("HEAD", p)

    def find(self, method: str, path: str) -> Found[T] | Refused | None:
        """What the request belongs to; None: nothing is at this path. `path` is the normalised, decoded one."""
        if path[:1] != "/":
            return None  # `OPTIONS *` and CONNECT belong to no route
        parts = path[1:].split("/")
        allowed: list[str] = []
        ends: list[_Row[T]] = []
        rests: list[_Row[T]] = []
        _collect(self._root, parts, 0, ends, rests)
        for row in ends + rests:
            pattern = row.get(method) or row.get("")
            if pattern is not None:
                return pattern.fixed or pattern.found(parts)
            allowed += row
        return Refused(tuple(sorted(set(allowed)))) if allowed else None


def compile_routes(routes: Iterable[tuple[str, T]]) -> Table[T]:
    """The table of `routes`, pairs of a pattern and what it leads to. Raises RouteError."""
    return Table([_Pattern(text, target) for text, target in routes])


_Row = dict[str, _Pattern[T]]


def _collect(node: _Node[T], parts: list[str], i: int, ends: list[_Row[T]], rests: list[_Row[T]]) -> None:
    """Append the rows that match `parts` from segment `i` on, most specific first: never more than there are patterns.
    Those without `*` are always more specific than those with it, or the table would not have been compiled."""
    if i == len(parts):
        if node.ends:
            ends.append(node.ends)
        return
    child = node.children.get(parts[i])
    any_child = node.any if parts[i] else None
    if child is not None:
        _collect(child, parts, i + 1, ends, rests)
    if any_child is not None:
        _collect(any_child, parts, i + 1, ends, rests)
    if i == len(parts) - 1:
        # `/api/*` answers `/api` as well: behind every pattern without `*`, before the shorter ones with it.
        rests += [below.rests for below in (child, any_child) if below is not None and below.rests]
    if node.rests:
        rests.append(node.rests)


# -- which of two patterns is more specific


def _near(node: _Node[T], p: _Pattern[T], i: int) -> Iterator[_Pattern[T]]:
    """The patterns below `node` that may share requests with `p` from its segment `i` on: all that do, and few others."""
    yield from node.rests.values()
    past = i >= len(p.segments)
    if past:
        yield from node.ends.values()
        if not p.rest:
            return
    children = [] if node.any is None else [node.any]
    if past or p.segments[i] == "{}":
        children += node.children.values()
    elif p.segments[i] in node.children:
        children.append(node.children[p.segments[i]])
    for child in children:
        yield from _near(child, p, i + 1)


def _refuse_tie(a: _Pattern[T], b: _Pattern[T]) -> None:
    wider = _compare(a, b)
    if wider == (False, False):
        raise RouteError(f"{a.text!r} and {b.text!r} match the same requests", a.text, b.text)
    if wider == (True, True):
        raise RouteError(
            f"{a.text!r} and {b.text!r} share requests such as {_shared(a, b)!r}, and neither is more specific",
            a.text,
            b.text,
        )


def _compare(a: _Pattern[T], b: _Pattern[T]) -> tuple[bool, bool] | None:
    """(`a` matches something that `b` does not, and the other way round); None if they share nothing."""
    path = _compare_paths(a, b)
    method = _compare_methods(a.method, b.method)
    if path is None or method is None:
        return None
    return path[0] or method[0], path[1] or method[1]


def _compare_methods(a: str, b: str) -> tuple[bool, bool] | None:
    if a == b:
        return False, False
    if a == "" or (a == "GET" and b == "HEAD"):
        return True, False
    if b == "" or (b == "GET" and a == "HEAD"):
        return False, True
    return None


def _compare_paths(a: _Pattern[T], b: _Pattern[T]) -> tuple[bool, bool] | None:
    a_wider = b_wider = False
    for one, other in zip(a.segments, b.segments, strict=False):
        if one == other:
            continue
        if "{}" not in (one, other) or "" in (one, other):
            return None
        a_wider |= one == "{}"
        b_wider |= other == "{}"
    more = len(a.segments) - len(b.segments)
    if (more > 0 and not b.rest) or (more < 0 and not a.rest) or (more == 0 and a.rest != b.rest):
        return None
    return a_wider or (a.rest and (more < 0 or not b.rest)), b_wider or (b.rest and (more > 0 or not a.rest))


def _shared(a: _Pattern[T], b: _Pattern[T]) -> str:
    """A request that both match."""
    longer, shorter = (a.segments, b.segments) if len(a.segments) >= len(b.segments) else (b.segments, a.segments)
    other = shorter + longer[len(shorter) :]
    path = "/".join("x" if s == o == "{}" else o if s == "{}" else s for s, o in zip(longer, other, strict=True))
    method = max(a.method, b.method, key=lambda m: (m != "", m == "HEAD")) or "GET"
    return f"{method} /{path}" + ("/" if a.rest and b.rest else "")
