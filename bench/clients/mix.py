"""A bad day for `bench.apps.mixed`: how fast are the quick requests while others are slow, large, or fail?

500 quick requests a second on ten connections, each timed from the moment it was due, so that a server that stalls is charged
for all it kept waiting. Beside them: heads that arrive a byte at a time, answers that take a second, large answers that are
read slowly, an application that raises, and requests that are no HTTP. Only the quick ones are counted. A server may throw the
slow ones out: they come again.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import time
from collections.abc import Awaitable, Callable

import uvloop
from bench import browser
from bench.clients.kit import main, summary

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Conduct = Callable[[Streams], Awaitable[None]]
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The status of one answer, read to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head[9:12]


async def slow_head(streams: Streams) -> None:
    for byte in browser.head("/"):
        streams[1].write(bytes([byte]))
        await asyncio.sleep(0.25)
    await answer(streams[0])


async def slow_answer(streams: Streams) -> None:
    while True:
        streams[1].write(browser.head("/slow"))
        await answer(streams[0])


async def slow_reader(streams: Streams) -> None:
    streams[1].write(browser.head("/large"))
    while await streams[0].read(16384):  # noqa: ASYNC110 - nothing is polled: slowness is the point
        await asyncio.sleep(0.25)


async def failing(streams: Streams) -> None:
    streams[1].write(browser.head("/fail"))
    await answer(streams[0])
    await asyncio.sleep(0.05)


async def not_http(streams: Streams) -> None:
    streams[1].write(b"HELO shop.example.com\r\n\r\n")
    await streams[0].read()
    await asyncio.sleep(0.05)


CROWD: dict[Conduct, int] = {slow_head: 200, slow_answer: 200, slow_reader: 50, failing: 10, not_http: 10}


async def again(conduct: Conduct, port: int, delay: float) -> None:
    """Connections one after the other, whatever becomes of each."""
    await asyncio.sleep(delay)
    while True:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
            streams = await asyncio.open_connection(sock=connection, limit=16384)
            await conduct(streams)
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.1)
        finally:
            connection.close()


async def quick(port: int, every: float, began: float, until: float) -> tuple[list[float], int]:
    """Latencies in seconds, errors."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    for i in itertools.count():
        due = began + i * every
        if due >= until:
            writer.close()
            return taken, 0
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(browser.head("/"))
        try:
            status = await asyncio.wait_for(answer(reader), 10)
        except (OSError, asyncio.IncompleteReadError):
            return taken, 1
        if status != b"200":
            return taken, 1
        taken.append(time.perf_counter() - due)
    raise AssertionError


async def load(port: int, seconds: float) -> dict[str, float]:
    # Spread over a second, or all that sleep alike would come back at once.
    crowd = [asyncio.ensure_future(again(conduct, port, i / n)) for conduct, n in CROWD.items() for i in range(n)]
    await asyncio.sleep(2)
    began, every, connections = time.perf_counter(), 1 / 50, 10
    results = await asyncio.gather(
        *(quick(port, every, began + i * every / connections, began + seconds) for i in range(connections))
    )
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    taken = list(itertools.chain.from_iterable(latencies for latencies, _ in results))
    return summary(taken, sum(errors for _, errors in results), seconds)


if __name__ == "__main__":
    main(lambda port, seconds: uvloop.run(load(port, seconds)), __doc__)
