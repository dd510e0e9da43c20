"""The clients of `bench app` look at every answer, and a probe asks on time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from tests.measure.servers import stream_server

from enfilade.measure.app_client import Connection, Load, Probe, WrongAnswerError

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


def test_a_load_counts_from_where_it_begins() -> None:
    async def main(port: int) -> None:
        load = Load(port, "/x", clients=3)
        task = asyncio.create_task(load.run())
        await load.under_way()
        assert load.waits.count >= 3
        load.begin()
        assert load.waits.count == 0
        await load.next_answer()
        assert load.waits.count >= 1
        task.cancel()
        await asyncio.wait([task])

    with stream_server(says(RIGHT)) as url:
        asyncio.run(main(urlsplit(url).port or 0))


def test_a_wrong_answer_ends_a_load() -> None:
    with stream_server(says(RIGHT, times=2)) as url, pytest.raises(ExceptionGroup) as caught:
        asyncio.run(Load(urlsplit(url).port or 0, "/x", clients=2).run())
    assert caught.group_contains(WrongAnswerError, match="ended before the answer")


def test_a_probe_asks_on_while_it_is_not_answered() -> None:
    """On a new connection each time, and counts how long it has waited so far."""
    held, third = threading.Event(), threading.Event()
    asked: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        asked.append(connection.recv(4096))
        if len(asked) == 3:
            third.set()
        held.wait(30)

    async def main(port: int) -> None:
        probe = Probe(port, "/x")
        task = asyncio.create_task(probe.run())
        assert await asyncio.to_thread(third.wait, 30)
        assert probe.waits().count >= 3
        assert probe.waits().longest > 0
        task.cancel()
        await asyncio.wait([task])

    with stream_server(serve) as url:
        try:
            asyncio.run(main(urlsplit(url).port or 0))
        finally:
            held.set()
