"""Connections between a fake transport and an engine: time, memory, and the end of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.net.kit import Meter, Transport
from tests.wire.outgoing import outgoing

from enfilade.closing import LINGER_BYTES
from enfilade.exchange.exchange import Exchange, Match, Route
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason
from enfilade.net.connection import Connection
from enfilade.net.context import ConnectionContext, ConnectionLimits, Connections
from enfilade.net.http import FORGET_AFTER, HttpConnection
from enfilade.net.service import Service
from enfilade.wire.codec import DateStamp, ServerCodec
from enfilade.wire.events import Event
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server

HERE = Match(Route("", "/*", lambda x: Response(200, Fields(), b"ok")), {}, "")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Bench:
    """One connection, with everything around it in reach; `now` is the time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 100.0
        self.forgotten = 0
        self.meter = Meter()
        self.transport = Transport()
        limits = ConnectionLimits(write_timeout=10.0, min_rate=100)
        service = Service(
            loop=loop, find=lambda request, ends: HERE, refused=HERE, error=self.error,
            make_codec=self.codec, limits=limits, meter=self.meter, connections=set(),  # type: ignore[arg-type]
        )  # fmt: skip
        service.clock = lambda: self.now
        self.connection = HttpConnection(service)
        self.connection.connection_made(self.transport)

    @staticmethod
    def error(why: object, x: Exchange) -> Response:
        return Response(why.status, Fields(), b"no")  # type: ignore[attr-defined]

    def codec(self, is_http2: bool, now: float) -> ServerCodec:
        bench = self

        class Watched(Http1Server):
            def forget(self) -> None:
                bench.forgotten += 1
                super().forget()

        return Watched("http", Http1Limits(head_timeout=10.0), DateStamp(), now)

    def sweep(self, seconds: float) -> None:
        self.now += seconds
        self.connection.sweep(self.now)


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    yield Bench(loop)
    loop.close()


def test_a_silent_connection_is_closed_by_the_time_since_it_was_accepted(bench: Bench) -> None:
    bench.sweep(9.0)
    assert not bench.transport.closed
    bench.sweep(1.0)
    assert bench.transport.closed and bench.meter.reasons == ["idle_timeout"]


def test_after_a_silence_the_engine_forgets(bench: Bench) -> None:
    bench.connection.data_received(GET)
    bench.sweep(1.0)
    bench.sweep(FORGET_AFTER)
    assert not bench.forgotten
    bench.sweep(1.0)
    assert bench.forgotten
    bench.connection.data_received(GET)
    assert bench.transport.wrote.count(b"\r\n\r\nok") == 2


def test_a_refusal_half_closes_and_drops_what_comes_up_to_a_cap(bench: Bench) -> None:
    bench.connection.data_received(b"BAD\r\n")
    assert bench.transport.wrote.startswith(b"HTTP/1.1 400") and bench.transport.half_closed
    bench.connection.data_received(b"x" * LINGER_BYTES)
    assert not bench.transport.closed
    bench.connection.data_received(GET)
    assert bench.transport.closed and bench.transport.wrote.count(b"HTTP/1.1") == 1


def test_a_lingering_connection_closes_when_its_client_does(bench: Bench) -> None:
    bench.connection.data_received(b"BAD\r\n")
    bench.connection.eof_received()
    assert bench.transport.closed and not bench.transport.aborted


def test_an_answer_just_begun_is_not_taken_for_a_slow_one(bench: Bench) -> None:
    """The first look at a connection comes when its answer is not a second old, whatever the clock says."""
    bench.connection.data_received(GET)
    bench.transport.backlog = 50
    bench.sweep(1.0)
    assert not bench.transport.closed


@pytest.mark.parametrize(("rate", "dropped"), [(0, True), (90, True), (110, False)])
def test_who_reads_below_the_minimum_rate_is_reset(bench: Bench, rate: int, dropped: bool) -> None:
    bench.connection.data_received(GET)
    bench.sweep(0.0)
    bench.transport.backlog = 10_000
    bench.connection.written += 10_000
    for _ in range(10):
        bench.transport.backlog -= rate
        bench.sweep(1.0)
    assert bench.transport.aborted is dropped
    assert (bench.meter.reasons == ["read_timeout"]) is dropped and bool(bench.transport.options) is dropped


def test_one_too_many_is_refused_before_it_counts(bench: Bench) -> None:
    service = bench.connection.service
    service.max_connections = 1
    service.connections = Connections(memoryview(bytearray(8)).cast("q"), lambda: 1)
    service.connections.add(bench.connection)
    before, transport = set(service.connections), Transport()
    HttpConnection(service).connection_made(transport)
    assert transport.wrote.startswith(b"HTTP/1.1 503 ") and transport.half_closed
    assert service.connections == before == {bench.connection}


# -- a kind of connection that is not HttpConnection: the client's end, which only remembers


class ClientConnection(Connection):
    codec: Http1Client

    def __init__(self, service: ConnectionContext) -> None:
        super().__init__(service)
        self.events: list[Event] = []
        self.ended: list[str] = []

    def make_codec(self, now: float) -> Http1Client:
        return Http1Client(Http1Limits(head_timeout=10.0))

    def dispatch(self, events: list[Event]) -> None:
        self.events += events

    def pump(self) -> None: ...

    def end_all(self, why: Reason) -> bool:
        self.ended.append(why.name)
        return False


@pytest.fixture
def client(bench: Bench) -> ClientConnection:
    connection = ClientConnection(bench.connection.service)
    connection.connection_made(Transport())
    connection.codec.request(outgoing("GET", "http", "a", b"/", NO_FIELDS), end=True)
    connection.flush()
    return connection


def test_any_engine_is_written_for_and_swept(bench: Bench, client: ClientConnection) -> None:
    assert client.transport.wrote.startswith(b"GET / HTTP/1.1\r\n")  # type: ignore[attr-defined]
    assert client.written == len(client.transport.wrote)  # type: ignore[attr-defined]
    client.transport.backlog = client.written  # type: ignore[attr-defined]
    bench.now += 10.0
    client.sweep(bench.now)
    assert client.transport.is_closing() and client.ended == ["read_timeout"] == bench.meter.reasons


def test_its_end_is_told_and_counted_once(bench: Bench, client: ClientConnection) -> None:
    assert client in bench.connection.service.connections
    client.connection_lost(None)
    assert client not in bench.connection.service.connections and client.ended == ["client_gone"]
    assert client.reported == (client.received, client.written) != (0, 0)
