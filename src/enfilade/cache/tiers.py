"""Stores one behind the other: memory answers at once, what is behind it holds more, and longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from enfilade.cache.stored import Store, Stored, StreamingStore, Whole, Writer
from enfilade.exchange.response import FileSlice


class Memory(Protocol):
    """A store that never has to be awaited."""

    largest: int

    def get(self, key: bytes) -> Stored | None: ...
    def put(self, answer: Stored) -> None: ...
    def remove(self, key: bytes) -> None: ...


class Tiers:
    """`memory`, and `below` it others, the quickest first. `get` asks memory alone; `look_below` the others, and what it finds
    there is put into memory. What is put is put everywhere. `streaming`: the one below that takes bodies of any size."""

    def __init__(self, memory: Memory, below: Sequence[Store] = (), streaming: StreamingStore | None = None) -> None:
        self._memory = memory
        self._below = below
        self._looks: dict[bytes, asyncio.Future[Stored | None]] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self._streaming = streaming
        self.get = memory.get
        self.deep = bool(below)
        self.largest = max(store.largest for store in (memory, *below))
        """Bytes of the longest body that can be put whole."""

    async def look_below(self, key: bytes) -> Stored | None:
        """What a store below memory has; those who ask for the same at once share one look."""
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = asyncio.ensure_future(self._look(key))
            look.add_done_callback(lambda _: self._looks.pop(key, None))
        return await asyncio.shield(look)

    async def _look(self, key: bytes) -> Stored | None:
        for i, store in enumerate(self._below):
            found = store.get(key)
            if isinstance(found, Awaitable):
                found = await found
            if found is not None:
                await self._promote(found, self._below[:i])
                return self._memory.get(key) or found
        return None

    async def _promote(self, found: Stored, above: Sequence[Store]) -> None:
        body = found.content.read(0, found.content.size)
        if isinstance(body, FileSlice):
            body.close()
        elif body is not None:
            found.content = Whole(body)
            self._memory.put(found)
            for store in above:
                await _settled(store.put(found))

    def put(self, answer: Stored, *, but: Store | None = None) -> None:
        """Keep it in every store but one. Its content is bytes."""
        self._memory.put(answer)
        for store in self._below:
            if store is not but:
                self._later(store.put(answer))

    def remove(self, key: bytes) -> None:
        self._memory.remove(key)
        for store in self._below:
            self._later(store.remove(key))

    def writer(self, answer: Stored) -> Writer | None:
        """For a body that comes piece by piece and may be of any size; None: no store takes such."""
        return None if self._streaming is None else self._streaming.writer(answer)

    def put_written(self, answer: Stored) -> None:
        """`answer` was written by a writer: the other stores may have it, too."""
        self.put(answer, but=self._streaming)

    def _later(self, working: Awaitable[None] | None) -> None:
        """Nobody waits for it."""
        if working is not None:
            task = asyncio.ensure_future(working)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _settled(working: Awaitable[None] | None) -> None:
    if working is not None:
        await working
