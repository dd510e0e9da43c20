"""One hundred WebSocket connections; each sends a text of 64 bytes, waits for the echo, compares it, sends the next.

Frames are made beforehand (RFC 6455 section 5.2, masked as section 5.3 wants), so that the server is the slower side.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import time
from typing import cast

import uvloop
from bench import browser

HANDSHAKE_FIELDS = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
)


def exchange(i: int) -> tuple[bytes, bytes]:
    """A masked text frame and the frame that echoes it."""
    text = f"message {i:05}".ljust(64, ".").encode()
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[j % 4] for j, byte in enumerate(text))
    return bytes([0x81, 0x80 | len(text)]) + mask + masked, bytes([0x81, len(text)]) + text


EXCHANGES = [exchange(i) for i in range(1000)]


class Echo(asyncio.Protocol):
    """Counts echoes once the handshake is done; whatever else arrives is an error and ends the connection."""

    def __init__(self, first: int) -> None:
        self.echoes = 0
        self.errors = 0
        self.finished = False
        self._next = first
        self._expected = b""
        self._held = b""
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own classes descend from nothing
        self._transport.write(browser.head("/echo")[:-2] + HANDSHAKE_FIELDS.encode())

    def data_received(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        if data == self._expected:
            self.echoes += 1
            if not self.finished:
                self.send()
        elif not self.opened.done():
            self._handshake(data)
        elif self._expected.startswith(data):
            self._held = data
        else:
            self._transport.abort()

    def _handshake(self, data: bytes) -> None:
        if not data.endswith(b"\r\n\r\n"):
            self._held = data
        elif data.startswith(b"HTTP/1.1 101 "):
            self.opened.set_result(None)
        else:
            self._transport.abort()

    def send(self) -> None:
        self._next = i = (self._next + 1) % len(EXCHANGES)
        frame, self._expected = EXCHANGES[i]
        self._transport.write(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("no WebSocket"))
        self.errors += not self.finished


async def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda i=i: Echo(i * 7), "127.0.0.1", port))[1]  # type: ignore[misc]
        for i in range(connections)
    ]
    await asyncio.gather(*(client.opened for client in clients))
    began = time.perf_counter()
    for client in clients:
        client.send()
    await asyncio.sleep(seconds)
    for client in clients:
        client.finished = True
    echoes = sum(client.echoes for client in clients)
    return {
        "requests": echoes,
        "bytes": echoes * len(EXCHANGES[0][1]),
        "seconds": time.perf_counter() - began,
        "errors": sum(client.errors for client in clients),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=100)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(load(options.port, options.connections, options.seconds))))


if __name__ == "__main__":
    main()
