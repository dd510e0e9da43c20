"""The floor: uvloop and one fixed answer per read, nothing parsed. No server in Python on this loop can be faster.

It takes each read for one request, so it serves clients that wait for an answer before they ask again, as wrk does.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from typing import cast

import uvloop


class Fixed(asyncio.Protocol):
    __slots__ = ("_answer", "_transport")
    _transport: asyncio.WriteTransport

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own classes descend from nothing

    def data_received(self, data: bytes) -> None:
        self._transport.write(self._answer)


async def serve(port: int, body: int, context: ssl.SSLContext | None) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % body + b"x" * body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Fixed(answer), "127.0.0.1", port, ssl=context, backlog=2048)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--body", type=int, default=13, help="bytes of the answer's body")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    uvloop.run(serve(options.port, options.body, context))


if __name__ == "__main__":
    main()
