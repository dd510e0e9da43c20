"""The floor of an echo: uvloop and what was read, over TCP or UDP, nothing limited, counted or looked at. No server in Python on
this loop can be faster."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, cast

import uvloop


class Echo(asyncio.Protocol):
    __slots__ = ("_transport",)
    _transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own classes descend from nothing

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._transport.sendto(data, address)


async def serve(transport: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    if transport == "tcp":
        server = await loop.create_server(Echo, "127.0.0.1", port, backlog=2048)
        await server.serve_forever()
    await loop.create_datagram_endpoint(EchoDatagrams, ("127.0.0.1", port))
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transport", choices=("tcp", "udp"))
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.transport, options.port))


if __name__ == "__main__":
    main()
