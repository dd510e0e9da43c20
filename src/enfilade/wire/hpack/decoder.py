"""The HPACK decoder (RFC 7541)."""

from __future__ import annotations

from collections import deque

from enfilade.http.fields import Pair
from enfilade.http.memory import remember
from enfilade.wire.hpack import huffman
from enfilade.wire.hpack.tables import DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, STATIC

_STRINGS_KEPT = 64
_STRING_KEPT = 96
"""At most so many Huffman strings of so many bytes are remembered: 12 KB a connection. Per connection, so that nobody can
time what others sent."""
_STATIC_ENTRIES = len(STATIC)
_DYNAMIC = _STATIC_ENTRIES + 1
"""The index of the newest entry of the dynamic table."""
_INTEGER_BYTES = 5
"""Continuation bytes of an integer: 35 bits are more than any length or index here needs (section 5.1 asks for a limit)."""


_PATH = (0x04, 0x14)
"""How a literal :path begins that changes no table (sections 6.2.2 and 6.2.3): the static table has its name at 4."""


class HpackError(Exception):
    """The field block cannot be decoded: RFC 9113 section 4.3 ends the connection with COMPRESSION_ERROR."""


class Decoder:
    """One per connection.

    `generation` grows with every change of the dynamic table: while it stays the same, the same block means the same fields.
    `size` is that of the last block's fields as SETTINGS_MAX_HEADER_LIST_SIZE counts; `count` their number. `literal` is where
    in it the only field stood that was no index: (start, end); None if there were none, or several. While `generation` stays
    the same, a block that differs only there means the same but for this field.
    """

    __slots__ = ("_allowed", "_capacity", "_dynamic", "_strings", "_used", "count", "generation", "literal", "size")

    def __init__(self, table_size: int = DEFAULT_TABLE_SIZE) -> None:
        self._allowed = table_size
        self._capacity = table_size
        self._dynamic: deque[Pair] = deque()
        self._used = 0
        self._strings: dict[bytes, bytes] = {}
        self.generation = 0
        self.size = 0
        self.count = 0
        self.literal: tuple[int, int] | None = None

    def decode(self, block: bytes, size_limit: int, count_limit: int) -> list[Pair]:
        """The fields of one whole block. Beyond a limit fields are only counted (see `size`, `count`), so that the table
        stays right and memory bounded. Raises HpackError."""
        pairs: list[Pair] = []
        size = count = offset = literals = 0
        end = len(block)
        dynamic = self._dynamic
        self.literal = None
        try:
            while offset < end:
                byte = block[offset]
                if byte & 0x80:
                    if byte == 0xFF:
                        index, offset = self._integer(block, offset, 0x7F)
                    else:
                        index = byte & 0x7F
                        offset += 1
                    if index > _STATIC_ENTRIES:
                        pair = dynamic[index - _DYNAMIC]
                    elif index:
                        pair = STATIC[index - 1]
                    else:
                        raise HpackError("index 0")
                elif byte & 0xE0 == 0x20:
                    if count:
                        raise HpackError("table size update behind a field")
                    offset = self._resize(block, offset)
                    continue
                else:
                    start = offset
                    pair, offset = self._literal(block, offset)
                    literals += 1
                    self.literal = (start, offset) if literals == 1 else None
                count += 1
                size += len(pair[0]) + len(pair[1]) + ENTRY_OVERHEAD
                if size <= size_limit and count <= count_limit:
                    pairs.append(pair)
        except IndexError:
            raise HpackError("the block ends within a field, or an index lies outside of the tables") from None
        self.size, self.count = size, count
        return pairs

    def path(self, block: bytes, start: int, end: int) -> bytes | None:
        """The value of the :path that fills `block` from `start` to `end`; None if something else does."""
        if block[start] not in _PATH:
            return None
        try:
            value, after = self._string(block, start + 1)
        except (HpackError, IndexError):
            return None
        return value if after == end else None

    def forget(self) -> None:
        """Give back the memory of strings; the tables stay."""
        self._strings.clear()

    def _entry(self, index: int) -> Pair:
        return STATIC[index - 1] if index <= _STATIC_ENTRIES else self._dynamic[index - _DYNAMIC]

    def _literal(self, block: bytes, offset: int) -> tuple[Pair, int]:
        byte = block[offset]
        indexing = byte & 0x40
        index, offset = self._integer(block, offset, 0x3F if indexing else 0x0F)
        if index:
            name = self._entry(index)[0]
        else:
            name, offset = self._string(block, offset)
        value, offset = self._string(block, offset)
        pair = (name, value)
        if indexing:
            self._add(pair)
        return pair, offset

    @staticmethod
    def _integer(block: bytes, offset: int, mask: int) -> tuple[int, int]:
        """Section 5.1."""
        value = block[offset] & mask
        offset += 1
        if value < mask:
            return value, offset
        for shift in range(0, 7 * _INTEGER_BYTES, 7):
            byte = block[offset]
            offset += 1
            value += (byte & 0x7F) << shift
            if byte < 0x80:
                return value, offset
        raise HpackError("integer too large")

    def _string(self, block: bytes, offset: int) -> tuple[bytes, int]:
        """Section 5.2."""
        huffman_coded = block[offset] & 0x80
        length, offset = self._integer(block, offset, 0x7F)
        end = offset + length
        if end > len(block):
            raise HpackError("block ends within a string")
        raw = block[offset:end]
        if not huffman_coded:
            return raw, end
        known = self._strings.get(raw)
        if known is None:
            try:
                known = huffman.decode(raw)
            except huffman.HuffmanError as e:
                raise HpackError(str(e)) from None
            if length <= _STRING_KEPT:
                remember(self._strings, raw, known, _STRINGS_KEPT)
        return known, end

    def _resize(self, block: bytes, offset: int) -> int:
        """Section 6.3."""
        size, offset = self._integer(block, offset, 0x1F)
        if size > self._allowed:
            raise HpackError("table size above the limit")
        self._capacity = size
        self._evict(0)
        self.generation += 1
        return offset

    def _add(self, pair: Pair) -> None:
        """Section 4.4: an entry larger than the table empties it."""
        size = len(pair[0]) + len(pair[1]) + ENTRY_OVERHEAD
        self._evict(size)
        if size <= self._capacity:
            self._dynamic.appendleft(pair)
            self._used += size
        self.generation += 1

    def _evict(self, room: int) -> None:
        dynamic = self._dynamic
        while dynamic and self._used + room > self._capacity:
            name, value = dynamic.pop()
            self._used -= len(name) + len(value) + ENTRY_OVERHEAD

    def __repr__(self) -> str:
        return f"<Decoder {len(self._dynamic)} entries, {self._used} of {self._capacity} bytes>"
