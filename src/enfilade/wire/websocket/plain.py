"""A WebSocket between an edge worker and the process of an application: whole messages, cut into pieces.

The handshake, masks, deflate, pings and the closing handshake stay at the edge (`frames.py`), so that an application's
interpreter needs nothing but its standard library for this (Python 3.9 is the oldest).

A piece is one byte (a kind, and 0x80 where it is a message's last), four bytes of length, big-endian, and its content: of a text
(UTF-8) or binary message; or a close: two bytes of code, the reason in UTF-8, and nothing behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple, Union

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request

PIECE = 32 * 1024
"""Bytes of content in a piece at most, so that a long message shares the link with others."""

Message = Union[str, bytes]

_TEXT, _BINARY, _CLOSE = 1, 2, 8
_LAST = 0x80
_HEAD = Struct("!BI")
_CODE = Struct("!H")
_BAD_FRAME = reason("bad_frame")


class PlainFrames:
    """One end: what `frames.Frames` is towards a browser. `max_size`: bytes of a message, in either direction."""

    __slots__ = ("_kind", "_message", "_out", "_rest", "code", "ended", "failure", "max_size", "over", "reason")

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        self.over = False
        self.ended = False
        self.code = 1006
        self.reason = ""
        self.failure: Reason | None = None
        self._rest = b""  # of a piece that has not come whole
        self._kind = 0  # of the message whose last piece has not come
        self._message = bytearray()
        self._out: list[bytes] = []

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes of the tunnel (`b""`: its end); the messages that are complete now."""
        messages: list[Message] = []
        if self.over:
            return messages
        if not data:
            self.over = self.ended = True
            return messages
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= _HEAD.size:
            kind, size = _HEAD.unpack_from(data, at)
            stop = at + _HEAD.size + size
            if size > PIECE:
                self._fail(1002)
            if stop > end or self.over:
                break
            self._take(kind, data[at + _HEAD.size : stop], messages)
            at = stop
        self._rest = b"" if self.over else data[at:]
        return messages

    def text(self, text: str) -> None:
        """Send a text message. Raises ValueError if it is too long, or cannot be encoded."""
        self._send(_TEXT, text.encode())

    def binary(self, data: bytes) -> None:
        """Send a binary message. Raises ValueError if it is too long."""
        self._send(_BINARY, data)

    def ping(self) -> None:
        """Nothing: a process that is gone shows by the end of its link."""

    def close(self, code: int, reason: str) -> None:
        """Say how it was closed, in words as long as a browser's may be. There is no answer to it."""
        if not self.ended:
            content = _CODE.pack(code) + reason.encode(errors="replace")[:123]
            self._out.append(_HEAD.pack(_CLOSE | _LAST, len(content)) + content)
        self.ended = self.over = True

    def fail(self, code: int, reason: str) -> None:
        """The same: nobody waits here."""
        self.close(code, reason)

    def pending(self) -> bytes:
        """What is to be written now."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _take(self, first: int, content: bytes, messages: list[Message]) -> None:
        kind = first & ~_LAST
        if kind == _CLOSE and len(content) >= _CODE.size:
            [self.code] = _CODE.unpack_from(content)
            self.reason = content[_CODE.size :].decode(errors="replace")
            self.over = self.ended = True
        elif kind not in (_TEXT, _BINARY) or self._kind not in (0, kind):
            self._fail(1002)
        elif len(self._message) + len(content) > self.max_size:
            self._fail(1009)
        elif not first & _LAST:
            self._kind = kind
            self._message += content
        else:
            if self._kind:
                content = bytes(self._message + content)
                self._kind = 0
                self._message.clear()
            self._deliver(kind, content, messages)

    def _deliver(self, kind: int, content: bytes, messages: list[Message]) -> None:
        try:
            messages.append(content if kind == _BINARY else content.decode())
        except UnicodeDecodeError:
            self._fail(1007)

    def _fail(self, code: int) -> None:
        self.close(code, "")
        self._message.clear()
        self.failure = _BAD_FRAME

    def _send(self, kind: int, content: bytes) -> None:
        if self.ended:
            return
        size = len(content)
        if size > self.max_size:
            raise ValueError(f"a message of {size} bytes is longer than websocket_message_limit, {self.max_size}")
        if size <= PIECE:
            self._out.append(_HEAD.pack(kind | _LAST, size) + content)
            return
        for at in range(0, size, PIECE):
            piece = content[at : at + PIECE]
            self._out.append(_HEAD.pack(kind | _LAST if at + PIECE >= size else kind, len(piece)))
            self._out.append(piece)


class PlainHandshake(NamedTuple):
    """A handshake that the edge has answered already: what the application has a say in."""

    fields: Fields
    subprotocols: tuple[str, ...]
    frames: Callable[[], PlainFrames]


class PlainNegotiator:
    """In an application's process: what `handshake.Negotiator` is at the edge, which has checked the handshake."""

    __slots__ = ("max_size",)

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size

    def __call__(self, request: Request) -> PlainHandshake:
        offered = request.fields.get(b"sec-websocket-protocol") or b""
        subprotocols = tuple(name for part in offered.decode("latin-1").split(",") if (name := part.strip()))
        return PlainHandshake(NO_FIELDS, subprotocols, lambda: PlainFrames(self.max_size))
