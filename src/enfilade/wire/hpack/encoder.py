"""The HPACK encoder (RFC 7541): fields that are valid on every connection, as they use no dynamic table."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.http.fields import Pair
from enfilade.wire.hpack.tables import STATIC_NAME, STATIC_PAIR

_INDEXED, _INDEXING, _PLAIN, _NEVER, _RESIZE = 0x80, 0x40, 0x00, 0x10, 0x20

NEVER_INDEXED = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
"""Secrets: an intermediary must not put them into a table that others can probe (section 7.1.3)."""


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
