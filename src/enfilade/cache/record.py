"""A stored answer as bytes: the one form for memory, disk, Redis and Memcached. What does not add up is no record.

    prefix | head | body

The prefix has a fixed size, so that whoever writes a body as it comes can fill it in at the end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

import msgspec

from enfilade.cache.stored import Content, Stored, Terms, Whole
from enfilade.http.fields import Fields

Buffer = bytes | memoryview

MAGIC = b"Enf1"
"""Another form gets another number; then what was stored in this one counts as not there."""
_PREFIX = struct.Struct("<4sIIQI")
PREFIX_SIZE = _PREFIX.size


class Prefix(NamedTuple):
    """Sizes in bytes, and checksums (CRC-32)."""

    head_size: int
    head_sum: int
    body_size: int
    body_sum: int


class _Head(msgspec.Struct, frozen=True, array_like=True):
    key: bytes
    status: int
    pairs: tuple[tuple[bytes, bytes], ...]
    terms: Terms
    names: tuple[int, ...]
    generation: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Head).decode


def encode_head(answer: Stored) -> bytes:
    return _encode(_Head(answer.key, answer.status, answer.fields.pairs, answer.terms, answer.names, answer.generation))


def encode_prefix(head: bytes, body_size: int, body_sum: int) -> bytes:
    return _PREFIX.pack(MAGIC, len(head), crc32(head), body_size, body_sum)


def encode(answer: Stored, body: bytes) -> bytes:
    """The whole record."""
    head = encode_head(answer)
    return b"".join((encode_prefix(head, len(body), crc32(body)), head, body))


def decode_prefix(data: Buffer) -> Prefix | None:
    """None: this is no record's."""
    if len(data) < PREFIX_SIZE:
        return None
    magic, *rest = _PREFIX.unpack_from(data)
    return Prefix(*rest) if magic == MAGIC else None


def decode_head(prefix: Prefix, head: Buffer, content: Content) -> Stored | None:
    """The answer, with `content` for its body; None: the head is torn."""
    if len(head) != prefix.head_size or crc32(head) != prefix.head_sum:
        return None
    try:
        h = _decode(head)
    except msgspec.DecodeError:
        return None
    return Stored(h.key, h.status, Fields(h.pairs), h.terms, h.names, h.generation, content)


def decode(data: Buffer) -> Stored | None:
    """The answer of a whole record; None: it does not add up."""
    prefix = decode_prefix(data)
    if prefix is None:
        return None
    start = PREFIX_SIZE + prefix.head_size
    body = bytes(data[start:])
    if len(body) != prefix.body_size or crc32(body) != prefix.body_sum:
        return None
    return decode_head(prefix, data[PREFIX_SIZE:start], Whole(body))
