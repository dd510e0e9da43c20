"""Looking into a store: what is in it, on which terms, and by what it is found and purged."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from math import floor
from typing import NamedTuple, TypedDict

from enfilade.cache.invalidate import groups, tags
from enfilade.cache.key import purge_names
from enfilade.cache.purges import Purges, State, places
from enfilade.cache.stored import Stored
from enfilade.cache.vary import signpost_names

SLICE = 64
"""Answers that are looked at before somebody else has a turn."""


class Listed(TypedDict):
    """One answer. `state`: fresh, stale, or purged. Seconds: `age`, and `ttl`, which is less than 0 where it is stale. `varies`:
    what the request had in the fields that Vary names, as it is part of the key."""

    store: str
    url: str
    status: int
    size: int
    age: int
    ttl: int
    state: str
    varies: dict[str, str | None]
    tags: list[str]


ORDERS: dict[str, Callable[[Stored], float]] = {
    "size": lambda stored: stored.content.size,
    "age": lambda stored: stored.terms.born,
}
"""What comes first in a list: the largest, the youngest."""


class Asked(NamedTuple):
    """What is looked for. `name`: only what is purged by it (key.py); None: all. At most `top` of it, by a row of ORDERS."""

    name: bytes | None
    order: str
    top: int


class Search:
    """Looks through one `store`, whose answers `entries` are. `found`: how many are meant, of `size` bytes in all."""

    def __init__(self, store: str, entries: Iterable[Stored], asked: Asked) -> None:
        self.found = 0
        self.size = 0
        self._store = store
        self._entries = entries
        self._asked = asked
        self._place = None if asked.name is None else places([asked.name])[0]
        self._best: list[tuple[float, int, Stored]] = []

    def run(self) -> Iterator[None]:
        """Do it in slices."""
        order = ORDERS[self._asked.order]
        for number, stored in enumerate(self._entries, 1):
            if stored.status and self._is_meant(stored):
                self.found += 1
                self.size += stored.content.size
                heapq.heappush(self._best, (order(stored), number, stored))
                if len(self._best) > self._asked.top:
                    heapq.heappop(self._best)
            if number % SLICE == 0:
                yield

    def _is_meant(self, stored: Stored) -> bool:
        name = self._asked.name
        # A look at the places is quick, and rules most answers out; two names may have the same place.
        return name is None or (self._place in stored.names and name in names_of(stored))

    def listed(self, purges: Purges, now: float) -> list[Listed]:
        """The first of them."""
        return [self._listed(stored, purges, now) for _, _, stored in sorted(self._best, reverse=True)]

    def _listed(self, stored: Stored, purges: Purges, now: float) -> Listed:
        terms = stored.terms
        purged = purges.look(stored.names, stored.generation)
        ttl = floor(terms.fresh_until - now)
        state = "purged" if purged is State.DEAD else "stale" if purged is State.SOFT or ttl < 0 else "fresh"
        return Listed(
            store=self._store,
            url=_text(url_of(stored)),
            status=stored.status,
            size=stored.content.size,
            age=max(0, floor(now - terms.born)),
            ttl=ttl,
            state=state,
            varies=varies_by(stored),
            tags=[_text(tag) for tag in tags(stored.fields) or ()],
        )


def names_of(stored: Stored) -> Iterator[bytes]:
    """All that it can be purged by."""
    return purge_names(b"\0".join(_address(stored)), tags(stored.fields) or (), groups(stored.fields) or ())


def url_of(stored: Stored) -> bytes:
    scheme, host, path, query = _address(stored)
    return scheme + b"://" + host + path + (b"?" + query if query else b"")


def varies_by(stored: Stored) -> dict[str, str | None]:
    names = signpost_names(stored.fields)
    if not names:
        return {}
    pairs = [part.partition(b"\0") for part in stored.key.split(b"\1")[-len(names) :]]
    return {_text(name): _text(value) if there else None for name, there, value in pairs}


def _address(stored: Stored) -> list[bytes]:
    """Scheme, host, path and query. The parts of a key have NUL between them, and \\1 before those of its variants."""
    *first, query = stored.key.split(b"\0")[:4]
    return [*first, query.partition(b"\1")[0]]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\2", "#")
