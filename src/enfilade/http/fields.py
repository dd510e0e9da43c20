"""HTTP fields (RFC 9110 section 5): an ordered, immutable list of name and value.

`Fields` never change once made. That is what makes the server fast: whatever was derived from them once (the index,
the encoded lines) stays true and is remembered on them, so a message that comes again costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

Pair = tuple[bytes, bytes]


class Fields:
    """An ordered list of `(name, value)` pairs of bytes; names are lower case.

    Nothing is validated here: the engines validate what comes in, and what goes out.
    `base`: what they were made from by `adding`; `added` is what they have more. What was derived from the base serves them too.
    `shape`: what they were made from by `filling`: what does not depend on the value filled in is remembered there.
    `encoded_http1`, `encoded_http2` and `encoded_link` belong to the writers in `wire`, which remember there what they encoded;
    `conditional` to `http.conditionals.is_conditional`; `told` to `http.forwarded.told_fields`; `forwarded` to the proxy, which
    remembers there what it makes of an answer's, and `sent_on` of a request's; `asked` to the cache, which remembers there what
    a request's ask of it.
    """

    __slots__ = (
        "_index", "asked", "base", "conditional", "encoded_http1", "encoded_http2", "encoded_link", "forwarded", "pairs",
        "sent_on", "shape", "told",
    )  # fmt: skip

    def __init__(self, pairs: Iterable[Pair] = (), base: Fields | None = None, shape: Fields | None = None) -> None:
        self.pairs: tuple[Pair, ...] = tuple(pairs)
        self.base = base
        self.shape = shape
        self._index: dict[bytes, bytes] | None = None
        self.conditional: bool | None = None
        self.asked: Any = None
        self.forwarded: Fields | None = None
        self.sent_on: Any = None
        self.told: Fields | None = None
        self.encoded_http1: object = None
        self.encoded_http2: object = None
        self.encoded_link: object = None

    def get(self, name: bytes) -> bytes | None:
        """The value of the field `name` (lower case); repeated lines are joined with `, ` (section 5.3), None if absent."""
        index = self._index
        if index is None:
            index = self._build_index()
        return index.get(name)

    def values(self, names: Iterable[bytes]) -> tuple[bytes | None, ...]:
        """What `get` gives for each of `names`."""
        index = self._index
        if index is None:
            index = self._build_index()
        return tuple(map(index.get, names))

    @property
    def names(self) -> Collection[bytes]:
        """Each name once."""
        known = self if self.shape is None else self.shape
        return known._index if known._index is not None else known._build_index()

    def all(self, name: bytes) -> list[bytes]:
        """Every line's value of the field `name`, in order."""
        return [v for n, v in self.pairs if n == name]

    def __contains__(self, name: bytes) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Fields({list(self.pairs)!r})"

    def adding(self, *pairs: Pair) -> Fields:
        """These fields with `pairs` behind them."""
        return Fields(self.pairs + pairs, self)

    def filling(self, at: int, value: bytes) -> Fields:
        """These fields with `value` for that of the pair at position `at`, whose name stands once."""
        pairs = self.pairs
        name = pairs[at][0]
        made = Fields((*pairs[:at], (name, value), *pairs[at + 1 :]), None, self)
        if self._index is not None:
            index = made._index = self._index.copy()
            index[name] = value
        return made

    @property
    def added(self) -> tuple[Pair, ...]:
        """The pairs that `base` does not have."""
        return self.pairs if self.base is None else self.pairs[len(self.base.pairs) :]

    def setting(self, *pairs: Pair) -> Fields:
        """These fields with `pairs` in place of every field of the same names."""
        names = {n for n, _ in pairs}
        return Fields([p for p in self.pairs if p[0] not in names] + list(pairs))

    def without(self, *names: bytes) -> Fields:
        """These fields less every field called one of `names`."""
        return Fields([p for p in self.pairs if p[0] not in names])

    def _build_index(self) -> dict[bytes, bytes]:
        base = self.base
        if base is None:
            index = dict(self.pairs)
            if len(index) == len(self.pairs):  # as nearly always: no name stands twice
                self._index = index
                return index
            index = {}
        else:
            index = (base._index or base._build_index()).copy()
        for name, value in self.added:
            known = index.get(name)
            # Crumbs of one cookie are joined as RFC 9113 section 8.2.3 says.
            index[name] = value if known is None else known + (b"; " if name == b"cookie" else b", ") + value
        self._index = index
        return index


NO_FIELDS = Fields()
