"""Heads as bytes, and back. Texts stand between NULs, which none of them holds.

- Fields: name and value of each in turn.
- A request: the sizes of its first two parts (2 and 4 bytes); the ends of its connection; its line; its fields.
- A response: its status (2 bytes) and its fields.
"""

from __future__ import annotations

from itertools import chain
from struct import Struct
from typing import Generic, TypeVar

from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.framing import content_length
from enfilade.http.grammar import CONNECTION_FIELDS, FORBIDDEN_TRAILERS, is_field_name, is_field_value
from enfilade.http.linked import LinkedRequest
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.wire.codec import HeadTooLarge, LocalError
from enfilade.wire.link.frames import HEAD_SIZE

_SIZES = Struct(">HI")
_STATUS = Struct(">H")
_FIELDS_SIZE = HEAD_SIZE - 64  # a status and a Content-Length go with them
_ENDS_PARTS = 9
_LINE_PARTS = 10

# Field lines that kept the rules once, not those that would tell somebody's secrets by the time they take; emptied when full.
_VALID_KEPT = 4096
_VALID_BYTES = 256
_NOT_KEPT = frozenset((b"cookie", b"authorization", b"proxy-authorization", b"set-cookie"))
_valid: set[Pair] = set()

V = TypeVar("V")


class Malformed(Exception):
    """The peer's bytes are not what they should be."""


class Blocks(dict[bytes, V], Generic[V]):
    """A memory of what heads mean, of at most `most` bytes of heads: it is emptied when full."""

    __slots__ = ("_most", "_size")

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0

    def keep(self, block: bytes, value: V) -> None:
        self._size += len(block)
        if self._size > self._most:
            self.clear()
            self._size = len(block)
        self[block] = value

    def forget(self) -> None:
        self.clear()
        self._size = 0


# -- fields


class EncodedFields:
    """What `Fields` remember in `encoded_link`: their block, the Content-Length that they declare (-1: none), and the last whole
    answer that was made of them: its head, and the word of its frame for a body of `size` bytes."""

    __slots__ = ("block", "head", "length", "size", "status", "word")

    def __init__(self, block: bytes, length: int) -> None:
        self.block = block
        self.length = length
        self.status = self.size = -1
        self.head = b""
        self.word = 0


def encoded(fields: Fields) -> EncodedFields:
    """`fields` checked and encoded, once. Raises LocalError if they cannot be sent."""
    known: EncodedFields | None = fields.encoded_link  # type: ignore[assignment]  # nobody else writes it
    if known is None:
        pairs = fields.pairs
        if not _are_valid(pairs):
            raise LocalError(f"not fields that can be sent: {fields!r}")
        length = content_length(fields)
        if isinstance(length, Reason):
            raise LocalError(f"Content-Length is {fields.get(b'content-length')!r}")
        block = b"\0".join(chain.from_iterable(pairs))
        if len(block) > _FIELDS_SIZE:
            raise HeadTooLarge(f"{len(block)} bytes of fields")
        known = fields.encoded_link = EncodedFields(block, -1 if length is None else length)
    return known


def decode_fields(block: bytes) -> Fields:
    """Raises Malformed."""
    if not block:
        return NO_FIELDS
    texts = block.split(b"\0")
    if len(texts) & 1:
        raise Malformed
    pairs = tuple(zip(texts[::2], texts[1::2]))
    if not _are_valid(pairs):
        raise Malformed
    return Fields(pairs)


def _are_valid(pairs: tuple[Pair, ...]) -> bool:
    """Most were seen before: only new ones are looked at."""
    for pair in set(pairs) - _valid:
        name, value = pair
        if not (is_field_name(name) and is_field_value(value)):
            return False
        if name not in _NOT_KEPT and len(value) <= _VALID_BYTES:
            if len(_valid) >= _VALID_KEPT:
                _valid.clear()
            _valid.add(pair)
    return True


def declared_length(fields: Fields) -> int | None:
    """Content-Length; None if it is absent. Raises Malformed."""
    length = content_length(fields)
    if isinstance(length, Reason):
        raise Malformed
    return length


# -- requests


def encode_request(request: LinkedRequest) -> bytes:
    """The head of `request`. Raises LocalError if it cannot be sent."""
    ends = request.ends.encoded_link
    if ends is None:
        ends = request.ends.encoded_link = _encode_ends(request.ends)
    line = _join(
        _LINE_PARTS,
        (
            request.method, request.version, request.scheme, request.authority, request.host, request.path,
            request.raw_path.decode("latin-1"), request.query.decode("latin-1"), request.protocol or "", request.mount,
        ),
    )  # fmt: skip
    block = b"".join((_SIZES.pack(len(ends), len(line)), ends, line, encoded(request.fields).block))
    if len(block) > HEAD_SIZE:
        raise HeadTooLarge(f"a head of {len(block)} bytes")
    return block


def decode_request(block: bytes, known_ends: Blocks[Ends], known_fields: Blocks[Fields]) -> LinkedRequest:
    """The same back; what was known before is the same object again, and what is new becomes known. Raises Malformed."""
    if len(block) < _SIZES.size:
        raise Malformed
    ends_size, line_size = _SIZES.unpack_from(block)
    line_at = _SIZES.size + ends_size
    fields_at = line_at + line_size
    if len(block) < fields_at:
        raise Malformed
    told = block[_SIZES.size : line_at]
    ends = known_ends.get(told)
    if ends is None:
        ends = _decode_ends(told)
        known_ends.keep(told, ends)
    method, version, scheme, authority, host, path, raw_path, query, protocol, mount = _split(
        _LINE_PARTS, block[line_at:fields_at]
    )
    try:
        target = raw_path.encode("latin-1"), query.encode("latin-1")
    except UnicodeEncodeError:
        raise Malformed from None
    lines = block[fields_at:]
    fields = known_fields.get(lines)
    if fields is None:
        fields = decode_fields(lines)
        known_fields.keep(lines, fields)
    return LinkedRequest(
        method, scheme, authority, host, path, *target, fields, version, protocol or None, ends, mount
    )  # fmt: skip


def _encode_ends(ends: Ends) -> bytes:
    parts = (
        *_text_of(ends.client), ends.client_ip, *_text_of(ends.server), ends.scheme, ends.sni or "", ends.alpn or "",
        ends.tls_version or "",
    )  # fmt: skip
    return _join(_ENDS_PARTS, parts)


def _decode_ends(told: bytes) -> Ends:
    client, client_port, client_ip, server, server_port, scheme, sni, alpn, tls_version = _split(_ENDS_PARTS, told)
    ends = Ends(
        (client, _port(client_port)), (server, _port(server_port)), scheme, sni or None, alpn or None, tls_version or None
    )  # fmt: skip
    ends.client_ip = client_ip
    return ends


def _text_of(address: tuple[str, int | None]) -> tuple[str, str]:
    host, port = address
    return host, "" if port is None else str(port)


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise Malformed
    return int(text)


def _join(count: int, parts: tuple[str, ...]) -> bytes:
    """Unix paths may hold bytes that are not UTF-8; Python gives them as surrogates."""
    joined = "\0".join(parts).encode("utf-8", "surrogateescape")
    if joined.count(0) != count - 1:
        raise LocalError(f"NUL within {parts!r}")
    return joined


def _split(count: int, joined: bytes) -> list[str]:
    parts = joined.decode("utf-8", "surrogateescape").split("\0")
    if len(parts) != count:
        raise Malformed
    return parts


# -- responses


class Answer:
    """The head of a response. `length`: the body's as it declares it, 0 where the status has none, None: not said."""

    __slots__ = ("fields", "length", "status")

    def __init__(self, status: int, fields: Fields, length: int | None) -> None:
        self.status = status
        self.fields = fields
        self.length = length


def has_no_body(request: Request, status: int) -> bool:
    """RFC 9110 section 6.4.1."""
    return status == 204 or status == 304 or request.method == "HEAD"


def encode_response(status: int, block: bytes) -> bytes:
    """The head of a response of `status` with the fields `block`."""
    return _STATUS.pack(status) + block


def decode_response(block: bytes) -> Answer:
    """Raises Malformed."""
    if len(block) < _STATUS.size:
        raise Malformed
    status = _STATUS.unpack_from(block)[0]
    fields = decode_fields(block[_STATUS.size :])
    if not 100 <= status <= 999 or not CONNECTION_FIELDS.isdisjoint(fields.names):
        raise Malformed
    return Answer(status, fields, 0 if status in (204, 304) else declared_length(fields))


def encoded_response(fields: Fields) -> EncodedFields:
    """The same as `encoded`, without fields of a connection, which the edge says in its own way."""
    known: EncodedFields | None = fields.encoded_link  # type: ignore[assignment]  # nobody else writes it
    if known is None:
        mine = CONNECTION_FIELDS.isdisjoint(fields.names)
        known = fields.encoded_link = encoded(fields if mine else fields.without(*CONNECTION_FIELDS))
    return known


def encode_trailers(fields: Fields) -> bytes:
    """The block of `fields`, without those that may not come behind a body. Raises LocalError if it cannot be sent."""
    return encoded(fields.without(*FORBIDDEN_TRAILERS)).block


def decode_trailers(block: bytes) -> Fields:
    """Raises Malformed."""
    fields = decode_fields(block)
    if not FORBIDDEN_TRAILERS.isdisjoint(fields.names):
        raise Malformed
    return fields
