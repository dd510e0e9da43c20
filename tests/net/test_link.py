"""`HttpConnection` with the application's end of a link as its engine: exchanges come and go as they do on other protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.net.kit import Meter, Transport
from tests.wire.link.kit import asking, body_of, told

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.exchange import Exchange, Match, Route
from enfilade.exchange.response import Response, Tunnel
from enfilade.http.reasons import reason
from enfilade.net.context import ConnectionLimits
from enfilade.net.http import HttpConnection
from enfilade.net.service import Service
from enfilade.wire.events import DataReceived, Event, ResponseReceived
from enfilade.wire.link import LinkClient, LinkedRequest, LinkServer
from enfilade.wire.link.frames import WINDOW


class Echo:
    """A tunnel that says what it hears."""

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        flow(inbound, outbound)

    def leave(self) -> None: ...


def flow(source: Stream, drain: Stream) -> None:
    """Everything from one stream into the other, as it comes; the test's bodies are small enough."""

    def pump() -> None:
        try:
            while chunk := source.take():
                drain.write(chunk)
        except BodyAborted as e:
            drain.fail(e.reason)
            return
        if chunk == b"":
            drain.end(source.trailers)

    source.on_data = pump
    pump()


class Worker:
    """A connection of an application's process; `ask` and `run` are the edge."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seen: list[Exchange] = []
        self.aborted: list[str] = []
        self.meter = Meter()
        self.transport = Transport()
        self.edge = LinkClient(100)
        self.events: list[Event] = []
        match = Match(Route("", "/*", self.answer), {}, "")
        service = Service(
            loop=loop, find=lambda request, ends: match, refused=match, error=lambda why, x: Response(500),
            make_codec=lambda is_http2, now: LinkServer(), limits=ConnectionLimits(), meter=self.meter,  # type: ignore[arg-type]
            connections=set(),
        )  # fmt: skip
        self.connection = HttpConnection(service)
        self.connection.connection_made(self.transport)

    def answer(self, x: Exchange) -> Response:
        self.seen.append(x)
        if x.request.path == "/tunnel":
            return Response(101, body=Tunnel(Echo()))
        if x.request.path == "/echo":
            outbound = Stream()
            flow(x.body, outbound)
            x.on_abort = lambda why: self.aborted.append(why.name)
            return Response(200, body=outbound)
        if x.request.path == "/large":
            return Response(200, body=b"l" * (3 * WINDOW))
        return Response(200, body=b"hello")

    def ask(self, path: str, end: bool = True, protocol: str | None = None) -> int:
        return self.edge.request(asking("GET" if end else "POST", path, protocol=protocol), end=end)

    def run(self) -> list[Event]:
        """What has come to the edge since the last time."""
        while up := b"".join(self.edge.pending()):
            self.connection.data_received(up)
            down, self.transport.wrote = self.transport.wrote, b""
            if down:
                self.events += self.edge.feed(down, 0.0)
        events, self.events = self.events, []
        return events


@pytest.fixture
def worker() -> Iterator[Worker]:
    loop = asyncio.new_event_loop()
    yield Worker(loop)
    loop.close()


def test_many_exchanges_in_one_turn(worker: Worker) -> None:
    streams = [worker.ask("/hello") for _ in range(3)]
    events = worker.run()
    assert [body_of(events, stream) for stream in streams] == [b"hello"] * 3
    assert len({id(x.request) for x in worker.seen}) == 1
    request = worker.seen[0].request
    assert isinstance(request, LinkedRequest) and request.ends.sni == "a.example"


def test_bodies_flow_both_ways_at_once(worker: Worker) -> None:
    stream = worker.ask("/echo", end=False)
    worker.edge.data(stream, b"one")
    events = worker.run()
    assert isinstance(events[0], ResponseReceived) and body_of(events, stream) == b"one"
    worker.edge.data(stream, b"two", end=True)
    assert told(worker.run()) == [f"DataReceived({stream}, b'two')", f"MessageEnded({stream}, Fields([]))"]
    assert not worker.connection.open


def test_a_large_answer_waits_for_its_reader_and_holds_up_nobody(worker: Worker) -> None:
    large, small = worker.ask("/large"), worker.ask("/hello")
    events = worker.run()
    assert len(body_of(events, large)) == WINDOW and body_of(events, small) == b"hello"
    total = WINDOW
    while total < 3 * WINDOW:
        worker.edge.consumed(large, sum(e.cost for e in events if isinstance(e, DataReceived) and e.stream == large))
        events = worker.run()
        total += len(body_of(events, large))
    assert not worker.connection.open


def test_a_tunnel(worker: Worker) -> None:
    stream = worker.ask("/tunnel", protocol="websocket")
    (opened,) = worker.run()
    assert isinstance(opened, ResponseReceived) and opened.status == 101
    worker.edge.data(stream, b"ping")
    worker.connection._flush_now()
    assert body_of(worker.run(), stream) == b"ping"
    worker.edge.end(stream)
    assert told(worker.run()) == [f"MessageEnded({stream}, Fields([]))"] and not worker.connection.open


def test_the_edge_takes_a_request_back(worker: Worker) -> None:
    stream = worker.ask("/echo", end=False)
    worker.run()
    worker.edge.reset(stream, reason("client_gone"))
    worker.run()
    assert worker.aborted == ["client_gone"] and not worker.connection.open


def test_a_drained_connection_closes_after_its_last_answer(worker: Worker) -> None:
    stream = worker.ask("/echo", end=False)
    worker.run()
    worker.connection.drain()
    worker.events += worker.edge.feed(worker.transport.wrote, 0.0)
    worker.run()
    assert worker.edge.available == 0 and not worker.transport.closed
    worker.edge.end(stream)
    worker.run()
    assert worker.transport.closed and worker.edge.closing


def test_garbage_ends_it(worker: Worker) -> None:
    worker.ask("/echo", end=False)
    worker.run()
    worker.connection.data_received(b"\xff" * 40)
    assert worker.aborted == ["protocol_error"] and worker.transport.closed
