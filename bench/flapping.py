"""Two peers on one port: the one at 127.0.0.1 is steady, the one at 127.0.0.2 comes and goes all the time.

When it goes, what it has is cut, answers that it owes included, and new connections are refused until it comes back.
"""

from __future__ import annotations

import asyncio
import random
from typing import cast

from bench.serving import serve_at_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"
AWAY = 0.2
"""Seconds; and as long it stays."""
THOUGHT = 0.002
"""Seconds that an answer takes, so that there always are some to cut."""


class Peer(asyncio.Protocol):
    """One connection; whoever asks has sent a request without a body, and waits for its answer."""

    def __init__(self, open_: set[Peer]) -> None:
        self._open = open_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own classes descend from nothing
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(THOUGHT, self.transport.write, ANSWER)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    steady: set[Peer] = set()
    flapping: set[Peer] = set()
    await loop.create_server(lambda: Peer(steady), "127.0.0.1", port)
    while True:
        server = await loop.create_server(lambda: Peer(flapping), "127.0.0.2", port)
        await asyncio.sleep(AWAY * (0.5 + random.random()))
        server.close()
        for peer in list(flapping):
            peer.transport.abort()
        await asyncio.sleep(AWAY * (0.5 + random.random()))


if __name__ == "__main__":
    serve_at_port(__doc__, serve)
