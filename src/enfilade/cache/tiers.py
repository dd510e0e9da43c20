"""Stores one behind the other: memory answers at once, what is behind it holds more, and longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from enfilade.cache.stored import Store, Stored, StreamingStore, Whole, Writer
from enfilade.exchange.response import FileSlice


class QuickStore(Protocol):
    """A store that never has to be awaited."""

    largest: int

    def get(self, key: bytes) -> Stored | None: ...
    def put(self, answer: Stored) -> None: ...
    def remove(self, key: bytes) -> None: ...


class Tiers:
    """`memory`, and `below` it others, the quickest first. `get` asks memory alone; `look` the others, too, and what it finds
    there is put into memory. What is put is put everywhere. `streaming`: the one below that takes bodies of any size."""

    def __init__(
        self, memory: QuickStore, below: Sequence[Store] = (), streaming: StreamingStore | None = None
    ) -> None:
        self._memory = memory
        self._below = below
        self._looks: dict[bytes, asyncio.Future[Stored | None]] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._streaming = streaming
        self.get = memory.get
        self.deep = bool(below)
        self.largest = max(store.largest for store in (memory, *below))
        """Bytes of the longest body that is stored at all."""
        self.most = max(store.largest for store in (memory, *below) if store is not streaming)
        """Bytes of the longest body that is stored otherwise than piece by piece."""

    def look(self, key: bytes) -> Stored | Awaitable[Stored | None] | None:
        """What any store has; those who ask for the same at once share one look."""
        found = self.get(key)
        if found is not None:
            return found
        look = self._looks.get(key)
        if look is not None:
            return asyncio.shield(look)
        for i, store in enumerate(self._below):
            below = store.get(key)
            if isinstance(below, Awaitable):
                look = self._looks[key] = asyncio.ensure_future(self._look(key, below, i))
                look.add_done_callback(lambda _: self._looks.pop(key, None))
                return asyncio.shield(look)
            if below is not None:
                return self._promote(below, self._below[:i])
        return None

    async def _look(self, key: bytes, asked: Awaitable[Stored | None], i: int) -> Stored | None:
        """Go on from the store number `i`, which has to be waited for."""
        found = await asked
        while found is None:
            i += 1
            if i == len(self._below):
                return None
            answer = self._below[i].get(key)
            found = await answer if isinstance(answer, Awaitable) else answer
        return self._promote(found, self._below[:i])

    def _promote(self, found: Stored, above: Sequence[Store]) -> Stored:
        """What is small enough is put into the quicker stores."""
        size = found.content.size
        body = found.content.read(0, size) if size <= self._memory.largest else None
        if isinstance(body, FileSlice):
            body.close()
        elif body is not None:
            found.content = Whole(body)
            self._memory.put(found)
            for store in above:
                self._later(store.put(found))
        return self._memory.get(found.key) or found

    def put(self, answer: Stored) -> None:
        """Keep it in every store. Its content is bytes."""
        self._put(answer, self._below)

    def put_written(self, answer: Stored) -> None:
        """A writer has written it; the other stores may have it, too."""
        self._put(answer, [store for store in self._below if store is not self._streaming])

    def _put(self, answer: Stored, below: Sequence[Store]) -> None:
        self._memory.put(answer)
        for store in below:
            self._later(store.put(answer))

    def remove(self, key: bytes) -> None:
        self._memory.remove(key)
        for store in self._below:
            self._later(store.remove(key))

    def writer(self, answer: Stored) -> Writer | None:
        """For a body that comes piece by piece and may be of any size; None: no store takes such."""
        return None if self._streaming is None else self._streaming.writer(answer)

    def _later(self, working: Awaitable[None] | None) -> None:
        """Nobody waits for it."""
        if working is not None:
            task = asyncio.ensure_future(working)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
