"""Records in shared memory: two rings that one process at a time writes, and everybody reads without a lock.

    head | ghosts | kinds | hits | small ring | main ring

A ring is a journal: records are appended at its `tail`, and leave at its `head`; both only ever grow. Memory is counted in
*units*; a record takes whole ones, side by side, and a *position* is a number of units since the beginning of time. For each
unit there are two bytes: the *kind* of the record that begins there, which writers write, and its *hits*, which readers write.

Each step of a writer leaves the arena whole, so one that is killed anywhere leaves nothing to repair: a record is written before
`tail` says so; what its key had before is GONE before it is there; `head` goes on before bytes are written over. So whoever has
read bytes looks at `head` then: if it has not passed, the bytes were not touched.

Which record leaves and which goes on is S3-FIFO's decision (Yang et al., "FIFO queues are all you need for cache eviction",
SOSP 2023). What comes is put into the small ring, a tenth. What was hit there goes on to the main ring, and so does all while
there is room; of the rest a *ghost* remains. What comes while there is a ghost of it is put into the main ring at once. What was
hit there goes round again.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

Buffer = bytes | memoryview

UNIT = 128
"""Bytes."""
MOST_HITS = 3
"""More are not counted."""
_ENOUGH_HITS = 2
"""With so many it goes from the small ring on to the main ring."""
_PATIENCE = 16
"""While a record is brought in, so many times its size may go round again in the main ring; then what is next leaves."""
_MOST_AGAIN = (64 << 20) // UNIT
"""But not more units than these: others wait for the lock."""
_PER_GHOST = 8
"""Units for each ghost."""
_GHOST_AGE = 2
"""A ghost is there until records of one such part of the main ring's size have left the small ring."""
_MARK = 1 << 16
_CELL = 8
_HEAD_CELLS = 32
_HEADER = struct.Struct("<qqqII")
HEADER_SIZE = _HEADER.size

# Kinds. A record that MOVED is as good as one that is LIVE while it can still be read, but there is another now. A SIGN is LIVE,
# but not counted: it only leads to others.
# The rest of the byte says how often it was written over: who sees another number has to read it again.
GONE, MOVED, LIVE, SIGN = range(4)
REWRITTEN = 4

# Cells of the head; of each ring its head and its tail.
CHANGES, EVICTED, _SMALL, _MAIN = 0, 1, 2, 4


class Ring:
    """`units` from the unit `first` on. Its head is in the cell `head`, its tail in the cell `tail`."""

    __slots__ = ("first", "head", "number", "tail", "units")

    def __init__(self, number: int, head: int, first: int, units: int) -> None:
        self.number = number
        self.head = head
        self.tail = head + 1
        self.first = first
        self.units = units

    def unit(self, position: int) -> int:
        return self.first + position % self.units

    def place(self, position: int) -> int:
        """Ring and position in one number."""
        return position * 2 + self.number


class Header(NamedTuple):
    """Of a record. `came_from`: the `place` where it was before; -1: it is new. `size`: bytes after the key."""

    position: int
    units: int
    came_from: int
    key_size: int
    size: int


class Found(NamedTuple):
    """A record that a reader met; as in its header."""

    unit: int
    position: int
    came_from: int
    key: bytes


class _Moving(NamedTuple):
    """A record that is not in a ring: its `pieces` are the key, and what follows it."""

    kind: int
    units: int
    came_from: int
    key_size: int
    size: int
    hits: int
    pieces: Sequence[Buffer]


class Arena:
    """Over `cells`, memory that was all zeros once. Raises ValueError: it is too small.

    What writes needs the lock over that memory; what reads does not.
    """

    __slots__ = ("_at", "_ghosts", "bytes", "cells", "hits", "kinds", "main", "most_units", "small")

    def __init__(self, cells: memoryview[int]) -> None:
        self.cells = cells
        self.bytes = cells.cast("B")
        units = (len(self.bytes) - _HEAD_CELLS * _CELL) * _PER_GHOST // (_PER_GHOST * (UNIT + 2) + _CELL)
        if units < 10 * _PER_GHOST:
            raise ValueError(f"{len(self.bytes)} bytes are too few to store anything in")
        ghosts = units // _PER_GHOST
        self._ghosts = cells[_HEAD_CELLS : _HEAD_CELLS + ghosts]
        kinds = (_HEAD_CELLS + ghosts) * _CELL
        self.kinds = self.bytes[kinds : kinds + units]
        self.hits = self.bytes[kinds + units : kinds + 2 * units]
        self._at = kinds + 2 * units
        self.small = Ring(0, _SMALL, 0, units // 10)
        self.main = Ring(1, _MAIN, units // 10, units - units // 10)
        self.most_units = self.main.units // 4  # so whatever the ring's end leaves out, there is room

    # -- reading

    def at(self, unit: int) -> int:
        """Where its bytes are."""
        return self._at + unit * UNIT

    def header(self, unit: int) -> Header:
        at = self.at(unit)
        return Header._make(_HEADER.unpack(self.bytes[at : at + HEADER_SIZE]))

    def walk(self, ring: Ring, position: int, stop: int) -> Iterator[Found]:
        """The LIVE records of `ring` from `position` to `stop`, oldest first. Writers may go on meanwhile."""
        cells, data, kinds = self.cells, self.bytes, self.kinds
        while position < stop:
            unit = ring.unit(position)
            at = self._at + unit * UNIT
            _, units, came_from, key_size, _ = _HEADER.unpack(data[at : at + HEADER_SIZE])
            kind = kinds[unit]
            head = cells[ring.head]
            if head > position:  # what was read may be anything
                position = head
                continue
            if kind >= LIVE:
                at += HEADER_SIZE
                key = bytes(data[at : at + key_size])
                if cells[ring.head] <= position:
                    yield Found(unit, position, came_from, key)
            position += units

    # -- writing

    def put(self, key: bytes, record: Sequence[Buffer], old: int | None, kind: int) -> None:
        """`record` for `key`, in place of the one in the unit `old`; LIVE, or a SIGN. One that is too large is not kept."""
        size = sum(map(len, record))
        units = -(-(HEADER_SIZE + len(key) + size) // UNIT)
        # What is refreshed in the main ring stays there: it would push out of the small one what is new.
        refreshed = old is not None and old >= self.main.first
        ring = self.main if refreshed or units > self.small.units // 4 or self._is_ghost(key) else self.small
        hits = 0
        if old is not None:
            hits = self.hits[old]
            self.kinds[old] = GONE
        if units <= self.most_units:
            self._bring(ring, _Moving(kind, units, -1, len(key), size, hits, (key, *record)))
        self.cells[CHANGES] += 1

    def spare(self, size: int) -> int:
        """Bytes that are left of the last unit of a record with `size` bytes, its key among them."""
        return -(HEADER_SIZE + size) % UNIT

    def rewrite(self, unit: int, start: int, data: bytes) -> None:
        """Write `data` over the record in `unit`, from `start` on."""
        at = self.at(unit) + start
        self.bytes[at : at + len(data)] = data
        self.kinds[unit] = (self.kinds[unit] + REWRITTEN) % 256

    def remove(self, unit: int) -> None:
        self.kinds[unit] = GONE

    def _bring(self, ring: Ring, new: _Moving) -> None:
        """Write `new` into `ring`; what has to make room leaves, or goes on."""
        waiting = deque((new,))
        patience = min(new.units * _PATIENCE, _MOST_AGAIN)
        while waiting:
            record = waiting[0]
            if self._has_room(ring, record.units):
                self._append(ring, waiting.popleft())
            elif ring is self.small:
                self._leave_small()
            elif (again := self._leave_main(patience)) is not None:
                patience -= again.units
                waiting.append(again)

    def _skipped(self, ring: Ring, units: int) -> int:
        """Units before the ring's end that are too few to take `units` side by side."""
        left = ring.units - self.cells[ring.tail] % ring.units
        return left if left < units else 0

    def _has_room(self, ring: Ring, units: int) -> bool:
        head, tail = self.cells[ring.head], self.cells[ring.tail]
        return tail + self._skipped(ring, units) + units - head <= ring.units

    def _append(self, ring: Ring, record: _Moving) -> None:
        skipped = self._skipped(ring, record.units)
        if skipped:
            self._write(ring, _Moving(GONE, skipped, -1, 0, 0, 0, ()))
        self._write(ring, record)

    def _write(self, ring: Ring, record: _Moving) -> None:
        cells, data = self.cells, self.bytes
        tail = cells[ring.tail]
        unit = ring.unit(tail)
        at = self.at(unit)
        header = _HEADER.pack(tail, record.units, record.came_from, record.key_size, record.size)
        for piece in (header, *record.pieces):
            data[at : at + len(piece)] = piece
            at += len(piece)
        self.kinds[unit] = record.kind
        self.hits[unit] = record.hits
        cells[ring.tail] = tail + record.units

    def _leave_small(self) -> None:
        """The oldest of the small ring goes on to the main ring, or leaves its ghost."""
        ring = self.small
        head = self.cells[ring.head]
        unit = ring.unit(head)
        header = self.header(unit)
        kind = self.kinds[unit]
        if kind >= LIVE:
            if self.hits[unit] >= _ENOUGH_HITS or self._has_room(self.main, header.units):
                self.kinds[unit] = MOVED
                self._bring(self.main, self._taken(ring, unit, header, kind, 0))
            else:
                self.kinds[unit] = GONE
                self._leave_ghost(unit, header)
                self.cells[EVICTED] += kind % REWRITTEN == LIVE
        self.cells[ring.head] = head + header.units

    def _leave_main(self, patience: int) -> _Moving | None:
        """The oldest of the main ring leaves; if it was hit, it is to go round again."""
        ring = self.main
        head = self.cells[ring.head]
        unit = ring.unit(head)
        header = self.header(unit)
        again = None
        kind = self.kinds[unit]
        if kind >= LIVE:
            hits = self.hits[unit]
            if hits and header.units <= patience:
                again = self._taken(ring, unit, header, kind, hits - 1)
                self.kinds[unit] = MOVED
            else:
                self.kinds[unit] = GONE
                self.cells[EVICTED] += kind % REWRITTEN == LIVE
        self.cells[ring.head] = head + header.units
        return again

    def _taken(self, ring: Ring, unit: int, header: Header, kind: int, hits: int) -> _Moving:
        at = self.at(unit) + HEADER_SIZE
        data = bytes(self.bytes[at : at + header.key_size + header.size])
        return _Moving(kind, header.units, ring.place(header.position), header.key_size, header.size, hits, (data,))

    # -- ghosts: in a place of the table that its key has, the position where it left, and a mark of its key

    def _leave_ghost(self, unit: int, header: Header) -> None:
        key = self.at(unit) + HEADER_SIZE
        index, mark = self._ghost(self.bytes[key : key + header.key_size])
        self._ghosts[index] = header.position * _MARK + mark

    def _is_ghost(self, key: bytes) -> bool:
        index, mark = self._ghost(key)
        position, there = divmod(self._ghosts[index], _MARK)
        return there == mark and (self.cells[self.small.head] - position) * _GHOST_AGE <= self.main.units

    def _ghost(self, key: Buffer) -> tuple[int, int]:
        rest, index = divmod(crc32(key), len(self._ghosts))
        return index, rest % (_MARK - 1) + 1  # no mark is 0: a place that nobody took is nobody's
