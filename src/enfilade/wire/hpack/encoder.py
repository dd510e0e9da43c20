"""The HPACK encoder (RFC 7541): literals that are valid on every connection, and a table-using encoder for one connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from enfilade.http.fields import Pair
from enfilade.wire.hpack import huffman
from enfilade.wire.hpack.tables import DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, STATIC, STATIC_NAME, STATIC_PAIR

_INDEXED, _INDEXING, _PLAIN, _NEVER, _RESIZE = 0x80, 0x40, 0x00, 0x10, 0x20

NEVER_INDEXED = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
"""Secrets: an intermediary must not put them into a table that others can probe (section 7.1.3)."""
_CHANGING = frozenset(
    (b":path", b"age", b"content-length", b"content-range", b"date", b"etag", b"expires", b"if-modified-since",
     b"if-none-match", b"last-modified", b"location", b"range")
)  # fmt: skip
"""Values that seldom come again: they would only push others out of the table."""


def integer(value: int, mask: int, pattern: int) -> bytes:
    """Section 5.1; `mask` is the largest number that the prefix holds, `pattern` the bits in front of it."""
    if value < mask:
        return bytes((pattern | value,))
    out = bytearray((pattern | mask,))
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: bytes) -> bytes:
    """Section 5.2: by Huffman where that is shorter."""
    size = huffman.encoded_size(value)
    if size < len(value):
        return integer(size, 0x7F, 0x80) + huffman.encode(value)
    return integer(len(value), 0x7F, 0) + value


def _plain(value: bytes) -> bytes:
    return integer(len(value), 0x7F, 0) + value


def static_field(pair: Pair) -> bytes:
    """`pair` without the dynamic table: indexed, or a literal without indexing. Valid on every connection.

    Not by Huffman: that would cost more time than the bytes that it saves.
    """
    index = STATIC_PAIR.get(pair)
    if index is not None:
        return integer(index, 0x7F, _INDEXED)
    name, value = pair
    pattern = _NEVER if name in NEVER_INDEXED else _PLAIN
    index = STATIC_NAME.get(name, 0)
    return integer(index, 0x0F, pattern) + (b"" if index else _plain(name)) + _plain(value)


def static_block(pairs: Iterable[Pair]) -> bytes:
    """`static_field` for each of `pairs`."""
    return b"".join([static_field(pair) for pair in pairs])


class Encoder:
    """One per connection. Entries are numbered as they are added: entry n has the index `newest - n` behind the static table."""

    __slots__ = ("_added", "_capacity", "_dynamic", "_names", "_pairs", "_resized", "_smallest", "_used")

    def __init__(self) -> None:
        self._capacity = DEFAULT_TABLE_SIZE
        self._dynamic: deque[Pair] = deque()
        self._pairs: dict[Pair, int] = {}
        self._names: dict[bytes, int] = {}
        self._added = 0
        self._used = 0
        self._resized = False
        self._smallest = DEFAULT_TABLE_SIZE

    def resize(self, allowed: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE. More than the default is not made use of."""
        capacity = min(allowed, DEFAULT_TABLE_SIZE)
        if capacity != self._capacity:
            self._smallest = min(self._smallest, capacity) if self._resized else capacity
            self._capacity = capacity
            self._resized = True
            self._evict(0)

    def encode(self, pairs: Iterable[Pair]) -> bytes:
        """One field block."""
        out: list[bytes] = []
        if self._resized:  # the smallest size between two blocks, then the last one (section 4.2)
            if self._smallest < self._capacity:
                out.append(integer(self._smallest, 0x1F, _RESIZE))
            out.append(integer(self._capacity, 0x1F, _RESIZE))
            self._resized = False
        out += [self._field(pair) for pair in pairs]
        return b"".join(out)

    def _field(self, pair: Pair) -> bytes:
        name, value = pair
        if name in NEVER_INDEXED or pair in STATIC_PAIR:
            return static_field(pair)
        number = self._pairs.get(pair)
        if number is not None:
            return integer(self._index(number), 0x7F, _INDEXED)
        index = STATIC_NAME.get(name, 0)
        if not index and (known := self._names.get(name)) is not None:
            index = self._index(known)
        tail = (b"" if index else string(name)) + string(value)
        size = len(name) + len(value) + ENTRY_OVERHEAD
        if name in _CHANGING or size > self._capacity // 2:
            return integer(index, 0x0F, _PLAIN) + tail
        self._add(pair, size)
        return integer(index, 0x3F, _INDEXING) + tail

    def _index(self, number: int) -> int:
        return len(STATIC) + self._added - number

    def _add(self, pair: Pair, size: int) -> None:
        self._evict(size)
        self._dynamic.append(pair)
        self._pairs[pair] = self._names[pair[0]] = self._added
        self._added += 1
        self._used += size

    def _evict(self, room: int) -> None:
        dynamic = self._dynamic
        while dynamic and self._used + room > self._capacity:
            number = self._added - len(dynamic)
            pair = dynamic.popleft()
            self._used -= len(pair[0]) + len(pair[1]) + ENTRY_OVERHEAD
            if self._pairs.get(pair) == number:
                del self._pairs[pair]
            if self._names.get(pair[0]) == number:
                del self._names[pair[0]]

    def __repr__(self) -> str:
        return f"<Encoder {len(self._dynamic)} entries, {self._used} of {self._capacity} bytes>"
