"""What the tests of the HTTP/2 engine share: frames by hand, and a server that has shaken hands."""

from __future__ import annotations

from struct import pack, unpack

from enfilade.http.fields import Pair
from enfilade.wire.codec import DateStamp
from enfilade.wire.events import Event
from enfilade.wire.hpack import Decoder, static_block
from enfilade.wire.http2 import Http2Limits, Http2Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATE = b"Fri, 20 Nov 2026 11:00:00 GMT"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 1, 1, 4, 8, 32
GET: list[Pair] = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"a.example")]
POST: list[Pair] = [(b":method", b"POST"), *GET[1:]]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return pack(">I", len(payload))[1:] + bytes((kind, flags)) + pack(">I", stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(pack(">HI", *pair) for pair in pairs))


HELLO = PREFACE + settings() + frame(SETTINGS, ACK)


def headers(stream: int, pairs: list[Pair], end: bool = True) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, static_block(pairs))


def window(stream: int, increment: int) -> bytes:
    return frame(WINDOW, 0, stream, pack(">I", increment))


def rst(stream: int, code: int = 8) -> bytes:
    return frame(RST, 0, stream, pack(">I", code))


def parse(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of each frame."""
    found = []
    while data:
        size, kind, flags, stream = unpack(">I", b"\0" + data[:3])[0], data[3], data[4], unpack(">I", data[5:9])[0]
        assert size <= 16384 and len(data) >= 9 + size
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def sent(engine: object) -> list[tuple[int, int, int, bytes]]:
    return parse(b"".join(engine.pending()))  # type: ignore[attr-defined]


def codes(frames: list[tuple[int, int, int, bytes]], kind: int) -> list[tuple[int, int]]:
    """(stream, error code) of RST_STREAM frames; (last stream, error code) of GOAWAY frames."""
    if kind == RST:
        return [(s, unpack(">I", p)[0]) for k, _, s, p in frames if k == RST]
    return [unpack(">II", p[:8]) for k, _, _, p in frames if k == GOAWAY]


def head_of(
    frames: list[tuple[int, int, int, bytes]], stream: int, decoder: Decoder | None = None
) -> dict[bytes, bytes]:
    block = b"".join(p for k, _, s, p in frames if k in (HEADERS, CONTINUATION) and s == stream)
    return dict((decoder or Decoder()).decode(block, 1 << 20, 1000))


def body_of(frames: list[tuple[int, int, int, bytes]], stream: int) -> bytes:
    return b"".join(p for k, _, s, p in frames if k == DATA and s == stream)


def server(limits: Http2Limits | None = None, hello: bytes = HELLO, now: float = 0.0) -> Http2Server:
    engine = Http2Server("https", limits or Http2Limits(), DateStamp(DATE))
    assert engine.feed(hello, now) == []
    engine.pending()
    return engine


def shown(events: list[Event]) -> list[str]:
    return [repr(e) for e in events]
