"""A stored answer as bytes: the one form for memory, disk, Redis and Memcached. What does not add up is no record.

    prefix | head | spare | body

The prefix has a fixed size, so that whoever writes a body as it comes can fill it in at the end. Prefix and head can be written
over, where only they change (the origin confirmed the answer: 304), as far as the spare bytes go: who reads meanwhile sees that
they do not add up.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

import msgspec

from enfilade.cache.stored import Content, Stored, Terms, Whole
from enfilade.http.fields import Fields

Buffer = bytes | memoryview

MAGIC = b"Enf2"
"""Another form gets another number; then what was stored in this one counts as not there."""
_PREFIX = struct.Struct("<4sIIIQI")
PREFIX_SIZE = _PREFIX.size


class Prefix(NamedTuple):
    """Sizes in bytes, and checksums (CRC-32). `room`: of the head and the spare bytes."""

    room: int
    head_size: int
    head_sum: int
    body_size: int
    body_sum: int

    @property
    def body(self) -> int:
        """Where it begins."""
        return PREFIX_SIZE + self.room


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


def encode_prefix(head: bytes, room: int, body_size: int, body_sum: int) -> bytes:
    return _PREFIX.pack(MAGIC, room, len(head), crc32(head), body_size, body_sum)


def encode(answer: Stored, body: bytes) -> bytes:
    """The whole record, with no bytes to spare."""
    head = encode_head(answer)
    return b"".join((encode_prefix(head, len(head), len(body), crc32(body)), head, body))


def rewrite(prefix: Prefix | None, head: bytes, body_size: int, body_sum: int) -> bytes | None:
    """What has to be written over the beginning of the record with `prefix`, so that it has `head` and such a body; None: it has
    another one, or no room."""
    if prefix is None or len(head) > prefix.room or (body_size, body_sum) != (prefix.body_size, prefix.body_sum):
        return None
    return encode_prefix(head, prefix.room, body_size, body_sum) + head


def decode_prefix(data: Buffer) -> Prefix | None:
    """None: this is no record's."""
    if len(data) < PREFIX_SIZE:
        return None
    magic, *rest = _PREFIX.unpack_from(data)
    prefix = Prefix(*rest)
    return prefix if magic == MAGIC and prefix.head_size <= prefix.room else None


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
    body = bytes(data[prefix.body :])
    if len(body) != prefix.body_size or crc32(body) != prefix.body_sum:
        return None
    return decode_head(prefix, data[PREFIX_SIZE : PREFIX_SIZE + prefix.head_size], Whole(body))
