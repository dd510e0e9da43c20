"""Purging: a name's generation is raised, and what was stored under that name before it is not used again.

A name is `all`, a host, a URL, a tag and so on (key.py makes them). It has a *place* in a table; a stored answer carries the
places of all its names. So a purge is two writes, however many answers it concerns, and the table never grows. Two
names of one sort may share a place; then purging one purges the other too, which costs a fetch and is never wrong. Names that
many answers share (all, a host, a directory) share a place with no URL, as each POST purges one, and with no tag.

Generations are times (Unix, in nanoseconds) that never go back: they stay comparable when the memory is made anew, and
between machines. An answer's generation is read *before* it is asked for, so a purge meanwhile concerns it.

Lives in memory that all processes share, an application's own included: this module needs the standard library alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from enum import IntEnum
from hashlib import blake2b
from typing import NamedTuple
from zlib import crc32

PLACES = 65536
"""For each sort of names. More would be memory, fewer would be fetches: of answers with eight tags each, one in a hundred is hit
by chance when 82 other tags are purged while it is stored."""
LONGEST = 500
"""Bytes of a name that are kept as they are; of a longer one a part is a digest."""
RECENT = 1024
"""Purges whose names are remembered, for whoever passes them on."""
TICK = 1_000_000_000
"""Nanoseconds by which the generation of what is asked for may lag behind the clock."""
ALL = b"all"
"""The name that every answer has."""

_CELL = 8
_FORM = int.from_bytes(b"Purges3\0", "little")
_SORTS = {b"url": 1, b"tag": 2, b"group": 2}
"""By what stands before the colon; all others are of sort 0."""
_TABLE = PLACES * (1 + max(_SORTS.values()))
# The cells of the head.
_MADE, _GENERATION, _FLOOR, _COUNT, _SENT, _STREAM, _TIME, _NUMBER, _ASKED = range(9)
_HARD = 16
_SOFT = _HARD + _TABLE
_RECENT = _SOFT + _TABLE
_ENTRY = 2 + -(-LONGEST // _CELL)  # generation; the name's length, negative where the purge is soft; the name
_CELLS = _RECENT + RECENT * _ENTRY
SIZE = _CELLS * _CELL
"""Bytes of memory that Purges need."""
_DIGEST = 32


class State(IntEnum):
    """Of a stored answer. SOFT: as if it were stale."""

    ALIVE = 0
    SOFT = 1
    DEAD = 2


ALIVE, SOFT, DEAD = State


class Purge(NamedTuple):
    generation: int
    name: bytes
    soft: bool


class Position(NamedTuple):
    """Of an entry in the stream by which servers tell each other what is purged (feed.py). `stream`: which one. `time`: Unix, in
    milliseconds, as its server says. `number`: which of that time."""

    stream: int
    time: int
    number: int


class Purges:
    """Over `cells` (SIZE bytes of shared memory), which whoever writes has `locked`. `clock`: Unix time in nanoseconds."""

    __slots__ = ("_bytes", "_cells", "_clock", "_locked")

    def __init__(
        self,
        cells: memoryview[int],
        locked: AbstractContextManager[object],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._cells = cells[:_CELLS]
        self._bytes = self._cells.cast("B")
        self._locked = locked
        self._clock = clock
        with locked:
            if cells[_MADE] != _FORM:
                self._make()

    def _make(self) -> None:
        """New memory, or another form's: nobody knows what was purged before, so all that was stored counts as purged."""
        self._bytes[:] = bytes(SIZE)
        self._cells[_FLOOR] = self._cells[_SENT] = self._cells[_GENERATION] = self._clock()
        self._cells[_MADE] = _FORM

    @property
    def generation(self) -> int:
        """That of the last purge. While it stays, whatever `look` said stays true."""
        return self._cells[_GENERATION]

    def asking(self) -> int:
        """What an answer that is asked for now will carry. It follows the clock, as other servers that share the answer may have
        begun later than we, and know nothing of what was purged before."""
        cells = self._cells
        generation = max(cells[_ASKED], cells[_GENERATION])
        if self._clock() - generation < TICK:
            return generation
        with self._locked:
            generation = cells[_ASKED] = max(cells[_ASKED], cells[_GENERATION], self._clock())
        return generation

    @property
    def count(self) -> int:
        """Purges since the memory was made."""
        return self._cells[_COUNT]

    def look(self, places: Iterable[int], generation: int) -> State:
        """What the purges since `generation` made of an answer with the names of `places`."""
        cells = self._cells
        if generation >= cells[_GENERATION]:
            return ALIVE
        if generation < cells[_FLOOR]:
            return DEAD
        state = ALIVE
        for place in places:
            if cells[_HARD + place] > generation:
                return DEAD
            if cells[_SOFT + place] > generation:
                state = SOFT
        return state

    def purge(self, name: bytes, *, soft: bool = False) -> int:
        """Purge all that has this `name`, in every process at once; its generation."""
        name = _fitting(name)
        cells = self._cells
        with self._locked:
            generation = max(cells[_GENERATION] + 1, cells[_ASKED] + 1, self._clock())
            cells[(_SOFT if soft else _HARD) + _place(name)] = generation
            self._note(generation, name, soft)
            # Last: whoever sees the new generation finds the purge in the table, also where we are killed in between.
            cells[_GENERATION] = generation
        return generation

    def _note(self, generation: int, name: bytes, soft: bool) -> None:
        cells = self._cells
        entry = _RECENT + cells[_COUNT] % RECENT * _ENTRY
        cells[entry] = generation
        cells[entry + 1] = -len(name) if soft else len(name)
        start = (entry + 2) * _CELL
        self._bytes[start : start + len(name)] = name
        cells[_COUNT] += 1

    def since(self, generation: int) -> list[Purge] | None:
        """The purges after `generation`, oldest first; None: too long ago to say."""
        cells = self._cells
        if generation >= cells[_GENERATION]:
            return []
        if generation < cells[_FLOOR]:
            return None
        found = []
        with self._locked:
            count = cells[_COUNT]
            for i in range(count, max(0, count - RECENT), -1):
                purge = self._entry((i - 1) % RECENT)
                if purge.generation <= generation:
                    break
                found.append(purge)
        return found[::-1] if len(found) < RECENT or count == RECENT else None

    def _entry(self, index: int) -> Purge:
        entry = _RECENT + index * _ENTRY
        generation, length = self._cells[entry : entry + 2]
        start = (entry + 2) * _CELL
        return Purge(generation, bytes(self._bytes[start : start + abs(length)]), length < 0)

    # -- with other servers

    @property
    def sent(self) -> int:
        """Others were told of the purges up to this generation."""
        return self._cells[_SENT]

    @sent.setter
    def sent(self, generation: int) -> None:
        self._cells[_SENT] = generation

    @property
    def seen(self) -> Position:
        """The entry that was applied last. Its number is 0, and so is its time, where there was none."""
        return Position(*self._cells[_STREAM : _NUMBER + 1])

    def apply(self, purge: Purge, at: Position) -> None:
        """What others purged, unless it was applied already: for answers of before `purge.generation`, and for all that this
        server asked for until now, whatever the clocks of the others say."""
        with self._locked:
            seen = self.seen
            if at.stream != seen.stream or at > seen:
                self._raise(purge)
                self._see(at)

    def start_over(self, stream: int) -> None:
        """Nobody knows what was purged elsewhere until now: as if all was. `stream` is read from its start."""
        with self._locked:
            self._raise(Purge(0, ALL, False))
            self._see(Position(stream, 0, 0))

    def _raise(self, purge: Purge) -> None:
        cells = self._cells
        generation = max(cells[_GENERATION] + 1, cells[_ASKED] + 1, purge.generation)
        cells[(_SOFT if purge.soft else _HARD) + _place(_fitting(purge.name))] = generation
        cells[_GENERATION] = generation

    def _see(self, at: Position) -> None:
        """After the purge itself: whoever is killed in between applies it once more."""
        self._cells[_STREAM], self._cells[_NUMBER], self._cells[_TIME] = at.stream, at.number, at.time


def places(names: Iterable[bytes]) -> tuple[int, ...]:
    """Where in the table `names` are: the same in every process, on every machine, for ever, since it is stored."""
    return tuple({_place(_fitting(name)): None for name in names})


def _place(name: bytes) -> int:
    return _SORTS.get(name.partition(b":")[0], 0) * PLACES + crc32(name) % PLACES


def _fitting(name: bytes) -> bytes:
    """`name`; a long one with a digest for its end. What fits stays as it is."""
    if len(name) <= LONGEST:
        return name
    return name[: LONGEST - _DIGEST] + blake2b(name, digest_size=_DIGEST // 2).hexdigest().encode()
