"""HTTP/2 frames by hand, for clients that break the rules; field blocks by `hpack`."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import hpack
from tests.e2e.conftest import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PROTOCOL_ERROR, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE = 1, 2, 3, 4, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION, CONNECT, CALM = 7, 8, 9, 10, 11

Lines = Iterable[tuple[str | bytes, str | bytes]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


@cache
def block(*lines: tuple[str | bytes, str | bytes]) -> bytes:
    """A field block that uses no dynamic table."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*line) for line in lines], huffman=False)


def head(
    path: str | bytes = "/hi", method: str = "GET", host: str = "localhost"
) -> list[tuple[str | bytes, str | bytes]]:
    return [(":method", method), (":scheme", "http"), (":authority", host), (":path", path)]


def headers(stream: int, lines: Lines, flags: int = END_STREAM | END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block(*lines))


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">L", CANCEL))


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *value) for value in values))


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def error(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8], "big")


class Client:
    """The client's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.decoder = hpack.Decoder()
        self._rest = b""

    @classmethod
    def of(cls, server: Server, *values: tuple[int, int]) -> Client:
        """A new connection, on which the preface and `values` as settings were said."""
        client = cls(server.connect())
        client.send(PREFACE + settings(*values))
        return client

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *data: bytes) -> None:
        self.sock.sendall(b"".join(data))

    def read(self) -> Frame | None:
        """The next frame; None at the end of the connection."""
        while len(self._rest) < 9 or len(self._rest) < 9 + int.from_bytes(self._rest[:3], "big"):
            piece = self.sock.recv(65536)
            if not piece:
                return None
            self._rest += piece
        end = 9 + int.from_bytes(self._rest[:3], "big")
        raw, self._rest = self._rest[:end], self._rest[end:]
        return Frame(raw[3], raw[4], int.from_bytes(raw[5:9], "big"), raw[9:])

    def until(self, kind: int, stream: int | None = None) -> Frame:
        """The next frame of this kind; whatever else comes before it is skipped."""
        while (got := self.read()) is not None:
            if got.kind == kind and stream in (None, got.stream):
                return got
        raise AssertionError(f"the connection ended before a frame of kind {kind} came")

    def status(self, stream: int) -> int:
        """The status of the answer on `stream`."""
        got = self.until(HEADERS, stream)
        return int(dict(self.decoder.decode(got.payload))[":status"])

    def body(self, stream: int) -> bytes:
        """What comes on `stream` until its end, behind its head."""
        out = b""
        while True:
            got = self.until(DATA, stream)
            out += got.payload
            if got.flags & END_STREAM:
                return out

    def get(self, stream: int, path: str = "/hi") -> tuple[int, bytes]:
        self.send(headers(stream, head(path)))
        return self.status(stream), self.body(stream)

    def is_closed(self) -> bool:
        """Reads to the end; fails with an OSError where the server resets the connection."""
        while self.read() is not None:
            pass
        return True
