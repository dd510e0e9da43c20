"""The clients of `bench app` look at every answer, and a probe asks on time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tests.measure.servers import stream_server

from enfilade.measure.app_client import Connection, Load, Probe, WrongAnswerError, connected

RIGHT = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"done"'


def says(answer: bytes, times: int = 1_000_000) -> Callable[[socket.socket], None]:
    """Reads a request, answers, and so on; closes after so many."""

    def serve(connection: socket.socket) -> None:
        for _ in range(times):
            if not connection.recv(4096):
                return
            connection.sendall(answer)

    return serve


async def ask(url: str, times: int = 1) -> None:
    connection = await Connection.open(urlsplit(url).port or 0)
    try:
        for _ in range(times):
            await connection.ask("/x")
    finally:
        connection.close()


def test_a_connection_is_kept() -> None:
    with stream_server(says(RIGHT)) as url:
        asyncio.run(ask(url, 3))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RIGHT.replace(b"200 OK", b"500 Internal Server Error"), 'GET /x: HTTP/1.1 500 Internal Server Error: "done"'),
        (RIGHT.replace(b"done", b"dine"), "dine"),
        (RIGHT.replace(b"Content-Length: 6", b"X: y"), "instead of"),
        (b"HTTP/1.1 200 OK\r\nCont", "the connection ended before the answer"),
        (RIGHT[:-2], "the connection ended before the answer"),
    ],
)
def test_every_other_answer_is_wrong(answer: bytes, expected: str) -> None:
    with stream_server(says(answer, times=1)) as url, pytest.raises(WrongAnswerError, match=expected):
        asyncio.run(ask(url))


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(WrongAnswerError, match="no connection"):
            asyncio.run(ask(f"tcp://127.0.0.1:{port}"))


def test_a_load_counts_from_one_taking_to_the_next() -> None:
    async def main(port: int) -> None:
        async with connected(port, 3) as connections:
            load = Load(connections, "/x")
            task = asyncio.create_task(load.run())
            await load.under_way()
            assert load.take().count >= 4
            assert load.take().count == 0
            await load.next_answer()
            assert load.take().count >= 1
            task.cancel()
            await asyncio.wait([task])

    with stream_server(says(RIGHT)) as url:
        asyncio.run(main(urlsplit(url).port or 0))


def test_a_wrong_answer_ends_a_load() -> None:
    async def main(port: int) -> None:
        async with connected(port, 2) as connections:
            await Load(connections, "/x").run()

    with stream_server(says(RIGHT, times=3)) as url, pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main(urlsplit(url).port or 0))
    assert caught.group_contains(WrongAnswerError, match="ended before the answer")


def test_a_probe_asks_on_while_it_is_not_answered_and_waits_for_all_answers() -> None:
    """What is not answered yet counts as so long so far."""
    begun, held, third = threading.Event(), threading.Event(), threading.Event()
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := connection.recv(4096):
            if begun.is_set():
                asked.append(request)
                if len(asked) == 3:
                    third.set()
                held.wait(30)
            connection.sendall(RIGHT)

    async def main(port: int) -> None:
        async with connected(port, 5) as connections:
            probe = Probe(connections, "/x")
            begun.set()
            task = asyncio.create_task(probe.run())
            assert await asyncio.to_thread(third.wait, 30)
            assert probe.waits().count >= 3
            assert probe.waits().longest > 0
            probe.stop()
            held.set()
            await task
            assert probe.waits().count == len(asked)

    with stream_server(serve) as url:
        try:
            asyncio.run(main(urlsplit(url).port or 0))
        finally:
            held.set()
