"""A gRPC service that is faster than any proxy in front of it: it looks only at what ends a stream, and always answers the same.

HTTP/2 without TLS (RFC 9113). Its answer, a message of 13 bytes, is made beforehand: nothing in it depends on HPACK's tables.
"""

from __future__ import annotations

import asyncio
from struct import pack, unpack_from
from typing import cast

from bench.serving import serve_at_port

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MESSAGE = b"\0\0\0\0\x0dHello, World!"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return pack(">HBBBI", len(payload) >> 8, len(payload) & 255, kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A field that no table remembers (RFC 7541 section 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


HEAD = b"\x88" + literal(b"content-type", b"application/grpc")  # :status 200 is field 8 of the static table
TRAILERS = literal(b"grpc-status", b"0")
# Some room for streams, and for two billion bytes of requests.
HELLO = frame(SETTINGS, 0, 0, pack(">HI", 3, 1000)) + frame(WINDOW_UPDATE, 0, 0, pack(">I", 2**31 - 65536))


class Service(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own classes descend from nothing
        self._rest = b""
        self._greeted = False

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._greeted:
            if data.startswith(b"GET "):  # somebody asks whether we are there
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            if len(data) < len(PREFACE):
                self._rest = data
                return
            self._greeted = True
            self._transport.write(HELLO)
            data = data[len(PREFACE) :]
        self._rest = self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        """Answer to the whole ones; what is left."""
        out = []
        at = 0
        while len(data) - at >= 9:
            high, low, kind, flags, stream = unpack_from(">HBBBI", data, at)
            end = at + 9 + (high << 8 | low)
            if end > len(data):
                break
            if kind in (DATA, HEADERS) and flags & END_STREAM:
                out.append(frame(HEADERS, END_HEADERS, stream, HEAD))
                out.append(frame(DATA, 0, stream, MESSAGE))
                out.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))
            elif kind in (SETTINGS, PING) and not flags & ACK:
                out.append(frame(kind, ACK, 0, data[at + 9 : end] if kind == PING else b""))
            at = end
        if out:
            self._transport.write(b"".join(out))
        return data[at:]


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    serve_at_port(__doc__, serve)
