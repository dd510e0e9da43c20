"""When a worker's answers are written: together, unless that holds one back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.net.kit import Transport
from tests.wire.link.kit import asking, body_of

from enfilade.appworker.links import HOLD, LinkConnection, Links
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.wire.link import LinkClient


class Scene:
    """An edge and a worker, whom each request takes `seconds`. `written`: how much had been, whenever that began."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.now = 0.0
        self.written: list[int] = []
        self.edge, self.transport = LinkClient(100), Transport()

        def handle(x: Exchange) -> Response:
            self.written.append(len(self.transport.wrote))
            self.now += seconds
            return Response(200, body=b"hello")

        links = Links(loop, handle)
        links.clock = lambda: self.now
        self.connection = LinkConnection(links)
        self.connection.connection_made(self.transport)

    def ask(self, requests: int) -> None:
        """So many at once, all of which are answered."""
        streams = [self.edge.request(asking("GET", "/"), end=True) for _ in range(requests)]
        self.connection.data_received(b"".join(self.edge.pending()))
        events = self.edge.feed(self.transport.wrote, 0.0)
        assert [body_of(events, stream) for stream in streams] == [b"hello"] * requests


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_an_answer_does_not_wait_for_a_call_that_blocks(loop: asyncio.AbstractEventLoop) -> None:
    scene = Scene(loop, HOLD)
    scene.ask(4)
    first, *others = scene.written
    assert first == 0 and others == sorted(set(others)) and others[0] > 0


def test_answers_that_come_at_once_are_written_together(loop: asyncio.AbstractEventLoop) -> None:
    scene = Scene(loop, 0.0)
    scene.ask(4)
    _, *others = scene.written
    assert len(set(others)) == 1, "the first, which nothing had been written before, and then the rest"
