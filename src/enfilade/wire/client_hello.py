"""What a TLS client says first, read without answering it: which server it wants, so that its connection can be passed on as
it is (RFC 8446 section 4.1.2, RFC 6066 section 3). Everything else in it is nobody's business here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HELLO = 32 * 1024
"""Bytes of a ClientHello with its records' heads. Post-quantum key shares make it 2 KB; OpenSSL itself allows 131 KB."""
MAX_RECORDS = 64
"""Records that it may be cut into; one would do."""
_MAX_RECORD = 1 << 14
_HANDSHAKE, _CLIENT_HELLO = 0x16, 0x01
_SERVER_NAME, _ALPN = 0, 16
_HOST_NAME = 0
_NAME = re.compile(rb"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*").fullmatch
_MAX_NAME = 253


class NotTls(ValueError):
    """It does not begin like TLS, or its ClientHello is malformed or too long."""


class ClientHello(NamedTuple):
    """`name`: the server that is asked for, in lower case; "" if none is. `alpn`: the protocols that it offers."""

    name: str
    alpn: tuple[bytes, ...] = ()


def parse(data: bytes) -> ClientHello | None:
    """The ClientHello that `data` begins with; None if more is needed. Raises NotTls."""
    message = _message(data)
    return None if message is None else _hello(_Reader(message))


def _message(data: bytes) -> bytes | None:
    """The body of the handshake message, which may be cut into many records (RFC 8446 section 5.1)."""
    message, at = b"", 0
    for _ in range(MAX_RECORDS):
        head = data[at : at + 5]
        if head[:1] not in (b"", b"\x16") or head[1:2] not in (b"", b"\x03"):
            raise NotTls("no TLS handshake")
        size = int.from_bytes(head[3:5], "big")
        if len(head) == 5 and not 0 < size <= _MAX_RECORD:
            raise NotTls("a record of a wrong size")
        message += data[at + 5 : at + 5 + size] if len(head) == 5 else b""
        if message[:1] not in (b"", bytes((_CLIENT_HELLO,))):
            raise NotTls("no ClientHello")
        wanted = 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else 4
        if wanted > MAX_HELLO or (len(message) < wanted and len(data) >= MAX_HELLO):
            raise NotTls("the ClientHello is too long")
        if len(message) >= wanted > 4:
            return message[4:wanted]
        at += 5 + size
        if len(head) < 5 or at > len(data):
            return None
    raise NotTls("the ClientHello is cut into too many records")


class _Reader:
    """Takes vectors (RFC 8446 section 3.4) off a message."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise NotTls("the ClientHello is cut short")
        self._at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def vector(self, size: int) -> _Reader:
        """The vector whose length stands in `size` bytes."""
        return _Reader(self.take(self.number(size)))


def _hello(message: _Reader) -> ClientHello:
    message.take(2 + 32)  # legacy_version, random
    for size in (1, 2, 1):  # legacy_session_id, cipher_suites, legacy_compression_methods
        message.vector(size)
    name, alpn = "", tuple[bytes, ...]()
    seen: set[int] = set()
    extensions = message.vector(2) if message.left else message
    while extensions.left:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise NotTls("an extension stands twice")  # section 4.2: two readers could each take another one
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _server_name(content)
        elif kind == _ALPN:
            alpn = _protocols(content)
    if message.left:
        raise NotTls("bytes behind the ClientHello")
    return ClientHello(name, alpn)


def _server_name(content: _Reader) -> str:
    names, found = content.vector(2), ""
    while names.left:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            if found:
                raise NotTls("two server names")
            found = _host(name)
    if content.left or not found:
        raise NotTls("malformed server name")
    return found


def _host(name: _Reader) -> str:
    text = name.rest()
    if len(text) > _MAX_NAME or _NAME(text) is None:
        raise NotTls("malformed server name")
    return text.decode("ascii").lower()


def _protocols(content: _Reader) -> tuple[bytes, ...]:
    found, names = [], content.vector(2)
    while names.left:
        found.append(names.vector(1).rest())
    return tuple(found)
