"""The store in memory: one arena for all workers, which outlives each of them (arena.py says how).

Each worker has an index of its own, and follows the rings: what was appended since the last look it adds, what left it drops.
One cell says whether there is anything new. So to find an answer is to read that cell and a dict, and what it was decoded to is
at hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from zlib import crc32

from enfilade.cache import record
from enfilade.cache.stored import Stored
from enfilade.cache.stores.arena import (
    CHANGES,
    EVICTED,
    GONE,
    HEADER_SIZE,
    LIVE,
    MOST_HITS,
    MOVED,
    REWRITTEN,
    SIGN,
    UNIT,
    Arena,
    Found,
    Ring,
)
from enfilade.cache.stores.tally import Figures
from enfilade.exchange.response import FileSlice

LARGEST = 64 << 20
"""Bytes of the longest body, also where the main ring is more than eight times as large: it is copied in one go."""
DECODED = 8192
"""Answers that are kept decoded in each worker; of others each `get` costs a decoding."""

_KINDS = bytes(kind % REWRITTEN for kind in range(256))


class _Entry:
    """Where a record is, and the body of its answer (a Content). `stored`: the answer, once it was decoded, when the record was
    of this `kind`."""

    __slots__ = ("_body", "_memory", "key", "kind", "position", "ring", "size", "stored", "unit")

    def __init__(self, memory: Memory, ring: Ring, found: Found) -> None:
        self._memory = memory
        self.key = found.key
        self.ring = ring
        self.position = found.position
        self.unit = found.unit
        self.kind = -1
        self.stored: Stored | None = None
        self.size = self._body = 0

    def move(self, ring: Ring, found: Found) -> None:
        self.ring = ring
        self.position = found.position
        self.unit = found.unit

    def decode(self) -> Stored | None:
        """The answer; None: it is gone, or torn."""
        arena = self._memory.arena
        data = arena.bytes
        start = arena.at(self.unit) + HEADER_SIZE + len(self.key)
        prefix = record.decode_prefix(data[start : start + record.PREFIX_SIZE])
        if prefix is None:
            return None
        head = start + record.PREFIX_SIZE
        body = start + prefix.body
        if crc32(data[body : body + prefix.body_size]) != prefix.body_sum:
            return None
        stored = record.decode_head(prefix, data[head : head + prefix.head_size], self)
        if stored is None or stored.key != self.key or not self.is_there():
            return None
        self._body = body - arena.at(self.unit)
        self.size = prefix.body_size
        return stored

    def rewrite(self, kind: int, head: bytes, body_size: int, body_sum: int) -> bool:
        """Write `head` over its own. False: it has another body, or no room."""
        arena = self._memory.arena
        if arena.kinds[self.unit] % REWRITTEN != kind:
            return False
        start = HEADER_SIZE + len(self.key)
        at = arena.at(self.unit) + start
        prefix = record.decode_prefix(arena.bytes[at : at + record.PREFIX_SIZE])
        data = record.rewrite(prefix, head, body_size, body_sum)
        if data is None:
            return False
        arena.rewrite(self.unit, start, data)
        return True

    def is_there(self) -> bool:
        """Asked after bytes were read: whether they were this record's."""
        return self._memory.arena.cells[self.ring.head] <= self.position

    def read(self, start: int, stop: int) -> bytes | None:
        arena = self._memory.arena
        for follow in (True, False):
            at = arena.at(self.unit) + self._body
            data = bytes(arena.bytes[at + start : at + min(stop, self.size)])
            if self.is_there():
                return data
            if follow:
                self._memory.follow()  # it may have moved
        return None


class Memory:
    """A Store over `cells`, memory that all workers share and that was all zeros once; who writes has it `locked`.
    For one thread. Raises ValueError: it is too small."""

    def __init__(self, cells: memoryview[int], locked: AbstractContextManager[object]) -> None:
        self.arena = arena = Arena(cells)
        self.largest = min(arena.main.units * UNIT // 8, LARGEST)
        self._cells = cells
        self._kinds = arena.kinds
        self._hits = arena.hits
        self._locked = locked
        self._index: dict[bytes, _Entry] = {}
        self._rings = (arena.small, arena.main)
        self._followed = [0, 0]  # up to this position of each ring
        self._order: tuple[deque[tuple[int, _Entry]], ...] = (deque(), deque())  # of each ring's records
        self._decoded: deque[_Entry] = deque()
        self._seen = 0
        self.follow()

    def get(self, key: bytes) -> Stored | None:
        if self._cells[CHANGES] != self._seen:
            self.follow()
        entry = self._index.get(key)
        if entry is None:
            return None
        unit = entry.unit
        if self._kinds[unit] != entry.kind and not self._notice(entry):
            return None
        hits = self._hits[unit]
        if hits < MOST_HITS:
            self._hits[unit] = hits + 1
        return entry.stored or self._decode(entry)

    def put(self, answer: Stored) -> None:
        size = answer.content.size
        body = answer.content.read(0, size) if size <= self.largest else None
        if isinstance(body, FileSlice):  # it is where it is in memory already, the system's
            body.close()
            body = None
        if body is None or len(body) != size:
            self.remove(answer.key)
            return
        kind = LIVE if answer.status else SIGN
        head = record.encode_head(answer)
        body_sum = crc32(body)
        spare = self.arena.spare(len(answer.key) + record.PREFIX_SIZE + len(head) + size)
        pieces = record.encode_prefix(head, len(head) + spare, size, body_sum), head, bytes(spare), body
        with self._locked:
            self.follow()
            old = self._index.get(answer.key)
            if old is not None and old.rewrite(kind, head, size, body_sum):
                return
            self.arena.put(answer.key, pieces, None if old is None else old.unit, kind)

    def remove(self, key: bytes) -> None:
        with self._locked:
            self.follow()
            entry = self._index.pop(key, None)
            if entry is not None:
                self.arena.remove(entry.unit)

    def entries(self) -> Iterator[Stored]:
        """All that is stored now."""
        self.follow()
        for entry in list(self._index.values()):
            if self._kinds[entry.unit] != GONE:
                stored = entry.stored or entry.decode()
                if stored is not None:
                    yield stored

    def figures(self) -> Figures:
        cells = self._cells
        used = sum(cells[ring.tail] - cells[ring.head] for ring in self._rings) * UNIT
        return Figures(bytes(self._kinds).translate(_KINDS).count(LIVE), used, len(self.arena.bytes), cells[EVICTED])

    def follow(self) -> None:
        """Bring the index up to date."""
        cells = self._cells
        # First of all, and heads before tails: what happens meanwhile is seen the next time.
        self._seen = cells[CHANGES]
        heads = [cells[ring.head] for ring in self._rings]
        for ring in self._rings:
            tail = cells[ring.tail]
            for found in self.arena.walk(ring, self._followed[ring.number], tail):
                self._add(ring, found)
            self._followed[ring.number] = tail
        for ring, head, order in zip(self._rings, heads, self._order, strict=True):
            while order and order[0][0] < head:
                position, entry = order.popleft()
                if entry.position == position and entry.ring is ring:
                    self._drop(entry)

    def _add(self, ring: Ring, found: Found) -> None:
        entry = self._index.get(found.key)
        if entry is None:
            entry = self._index[found.key] = _Entry(self, ring, found)
        elif entry.ring.place(entry.position) == found.came_from:
            entry.move(ring, found)
        else:
            entry.stored = None
            entry = self._index[found.key] = _Entry(self, ring, found)
        self._order[ring.number].append((found.position, entry))

    def _drop(self, entry: _Entry) -> None:
        entry.stored = None
        if self._index.get(entry.key) is entry:
            del self._index[entry.key]

    def _notice(self, entry: _Entry) -> bool:
        """Its record is of another kind by now. False: it is gone."""
        kind = self._kinds[entry.unit]
        if kind == GONE:
            del self._index[entry.key]
            return False
        if kind != MOVED:
            entry.kind = kind
            entry.stored = None
        return True

    def _decode(self, entry: _Entry) -> Stored | None:
        stored = entry.decode()
        if stored is None:
            with self._locked:  # nobody writes over it now
                stored = entry.decode()
        if stored is None:
            if entry.is_there():
                self.remove(entry.key)  # torn
            return None
        entry.stored = stored
        self._decoded.append(entry)
        if len(self._decoded) > DECODED:
            self._decoded.popleft().stored = None
        return stored
