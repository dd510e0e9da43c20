"""A stored answer, and what every store is."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import IntFlag
from typing import Protocol

import msgspec

from enfilade.exchange.response import FileSlice
from enfilade.http.fields import Fields


class Flag(IntFlag):
    """VALIDATE: never used without asking the origin (`no-cache`). STRICT: never used stale (`must-revalidate` and the like).
    GUESSED: nobody said how long it is fresh: the configuration or a heuristic does. AUTHORIZED: the request for it had
    Authorization. IMMUTABLE: while it is fresh, even a reload need not ask (RFC 8246)."""

    VALIDATE = 1
    STRICT = 2
    GUESSED = 4
    AUTHORIZED = 8
    IMMUTABLE = 16


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """On which terms a stored answer may be used. Times are Unix times in seconds.

    - `born`: its Age is the time since then (RFC 9111 section 4.2.3). `fresh_until`: section 4.2.
    - `stale_while`: until then it may be served stale while it is refreshed (RFC 5861 section 3); `stale_error`: until then it
      may be served where the origin fails (section 4). Both are `fresh_until` where nothing allows it.
    """

    born: float
    fresh_until: float
    stale_while: float
    stale_error: float
    flags: int = 0


class Content(Protocol):
    """The body of a stored answer."""

    size: int

    def read(self, start: int, stop: int) -> bytes | FileSlice | None:
        """The bytes from `start` up to `stop`; None: they are gone, and the answer with them."""


class Whole:
    """A body in hand."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, start: int, stop: int) -> bytes:
        return self.data if stop - start == self.size else self.data[start:stop]


class Stored:
    """An answer as it is stored; it is never changed, but replaced.

    - `key`: what it is found by (key.py). `status`: 0 for a signpost, which says how the answers to its key vary (vary.py).
    - `fields`: the answer's, less those that are not stored (RFC 9111 section 3.1). `content`: its body.
    - `terms`: on which it may be used. `names`: places of the names that it can be purged by, `generation`: of the purges
      when it was asked for (purges.py).
    - `memory`: belongs to the filter, which remembers here what it made of it.
    """

    __slots__ = ("content", "fields", "generation", "key", "memory", "names", "status", "terms")

    def __init__(
        self,
        key: bytes,
        status: int,
        fields: Fields,
        terms: Terms,
        names: tuple[int, ...],
        generation: int,
        content: Content,
    ) -> None:
        self.key = key
        self.status = status
        self.fields = fields
        self.terms = terms
        self.names = names
        self.generation = generation
        self.content = content
        self.memory: object = None

    def __repr__(self) -> str:
        return f"<Stored {self.key!r} {self.status}, {self.content.size} bytes>"


class Store(Protocol):
    """What holds stored answers. Nothing here raises for what can happen to a store: a full disk, a server that is away, a torn
    object are misses and one line in the log.

    `largest`: bytes of the longest body that it takes. Stores in memory answer at once, others may have to be awaited.
    """

    largest: int

    def get(self, key: bytes) -> Stored | Awaitable[Stored | None] | None:
        """What was put last under `key`, if it is still there: in one worker the same object each time."""

    def put(self, answer: Stored) -> Awaitable[None] | None:
        """Keep `answer` in place of what its key had. Its content is read at once (bytes)."""

    def remove(self, key: bytes) -> Awaitable[None] | None:
        """Forget it."""


class Writer(Protocol):
    """A body on its way into a store that takes bodies as they come. It ends by `commit` or `abort`."""

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        """Take the next piece; an awaitable: wait before the next."""

    readable: int
    """Bytes from the beginning that `read` can give by now."""

    @property
    def lost(self) -> bool:
        """The store has failed: nothing can be read any more, and `commit` will give None."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, all of them readable; fewer, or none: they are gone."""

    async def commit(self) -> Stored | None:
        """It is whole: from now on `get` finds it. None: it could not be kept."""

    def abort(self) -> None:
        """It will never be whole."""


class StreamingStore(Store, Protocol):
    """A store that takes bodies of any size, piece by piece."""

    def writer(self, answer: Stored) -> Writer:
        """Begin to write `answer`, whose content is not looked at."""
