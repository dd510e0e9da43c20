"""What stands behind caches: every answer is fresh for an hour, and every request is counted.

`/objects/N` has 10 KB, `/slow/N` takes half a second, `/tagged/N` has the tag `every` and a body that differs each time,
`/count` says how many requests there were but for those to itself; anything else is 1 KB with an entity tag.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import cast

from bench.serving import serve_at_port

ETAG = '"bench"'
THOUGHT = 0.5
"""Seconds that a slow answer takes."""
FRESH = "Cache-Control: max-age=3600\r\n"
FIELDS = {b"tagged": f"{FRESH}Surrogate-Key: every\r\n", b"count": "Cache-Control: no-store\r\n"}
OTHER = f"{FRESH}ETag: {ETAG}\r\n"
SMALL, LARGE = b"x" * 1024, b"x" * 10240


class Origin(asyncio.Protocol):
    """One connection; whoever asks has sent a request without a body, and waits for its answer."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own classes descend from nothing
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not data.endswith(b"\r\n\r\n"):
            self._rest = data
            return
        self._rest = b""
        place = data.split(b" ", 2)[1].split(b"/")[1]
        Origin.count += place != b"count"
        answer = _head(place, body := _body(place)) + body
        if place == b"slow":
            asyncio.get_running_loop().call_later(THOUGHT, self._transport.write, answer)
        else:
            self._transport.write(answer)


def _body(place: bytes) -> bytes:
    if place == b"objects":
        return LARGE
    if place == b"tagged":
        return b"%0100d" % Origin.count
    return b"%d" % Origin.count if place == b"count" else SMALL


def _head(place: bytes, body: bytes) -> bytes:
    fields = FIELDS.get(place, OTHER)
    return (
        f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: text/html\r\n"
        f"{fields}Content-Length: {len(body)}\r\n\r\n"
    ).encode()


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    serve_at_port(__doc__, serve)
