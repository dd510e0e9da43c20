"""Whole exchanges through the proxy: bodies both ways, interim answers, trailers, versions of HTTP in every combination."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.handlers.proxy.kit import GET, OK, Scene

from enfilade.http.fields import Fields
from enfilade.wire.events import DataReceived, MessageEnded, ResponseReceived, StreamClosed

Make = Callable[..., Scene]


def test_an_exchange(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"GET /a%20b?c=d HTTP/1.1\r\nhost: A.example\r\naccept: */*\r\n\r\n")
    assert s.far[0].got() == (
        b"GET /a%20b?c=d HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\nx-forwarded-for: 192.0.2.1\r\n"
        b"x-forwarded-host: a.example\r\nx-forwarded-proto: http\r\nvia: 1.1 enfilade\r\n\r\n"
    )
    s.far[0].says(b"HTTP/1.1 201 Made\r\ncontent-length: 2\r\nserver: x\r\n\r\nhi")
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n") and answer.endswith(b"\r\n\r\nhi") and b"server: x" in answer
    assert s.reasons == [""]


def test_a_connection_is_used_again(scene: Make) -> None:
    s = scene()
    client = s.client()
    for _ in range(3):
        client.says(GET)
        assert s.far[0].got().startswith(b"GET / ")
        s.far[0].says(OK)
        assert client.got().endswith(b"ok")
    assert len(s.far) == 1


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_flows_as_it_comes_f24(scene: Make, waits: bool) -> None:
    s = scene(waits=waits)
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in client.got()
    s.far[0].says(b"5\r\ndata:\r\n")
    assert client.got() == b"5\r\ndata:\r\n"
    s.far[0].says(b"0\r\n\r\n")
    assert client.got() == b"0\r\n\r\n"
    client.says(GET)
    s.far[0].says(OK)
    assert client.got().endswith(b"ok") and len(s.far) == 1


def test_a_client_that_does_not_read_stops_the_peer(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    client.stops_reading()
    for _ in range(3):
        s.far[0].says(b"x" * 40_000)
    assert not s.far[0].transport.reading
    s.wait(3600.0)  # which is no silence of the peer's
    client.reads_on()
    assert s.far[0].transport.reading
    s.far[0].says(b"x" * 880_000)
    assert client.transport.wrote.count(b"x") == 1_000_000 and s.reasons == [""]


def test_a_peer_that_does_not_read_stops_the_client(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
    s.far[0].stops_reading()
    for _ in range(3):
        client.says(b"x" * 40_000)
    assert not client.transport.reading
    s.far[0].reads_on()
    assert client.transport.reading
    client.says(b"x" * 880_000)
    assert s.far[0].got().count(b"x") >= 1_000_000
    s.far[0].says(OK)
    assert client.got().endswith(b"ok") and not s.far[0].closed


def test_bodies_both_ways_at_once(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    far = s.far[0]
    assert b"transfer-encoding: chunked\r\n" in far.got()
    far.says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    client.got()
    for piece in (b"1\r\na\r\n", b"2\r\nbc\r\n"):
        client.says(piece)
        assert far.got() == piece
        far.says(piece)
        assert client.got() == piece
    client.says(b"0\r\nx-sum: 1\r\n\r\n")
    assert far.got() == b"0\r\nx-sum: 1\r\n\r\n"
    far.says(b"0\r\nx-total: 2\r\n\r\n")
    assert client.got() == b"0\r\nx-total: 2\r\n\r\n"
    assert s.reasons == [""] and not far.closed and not client.closed


def test_an_early_answer_with_the_body_still_coming_f4(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nsome")
    s.far[0].says(b"HTTP/1.1 413 No\r\ncontent-length: 3\r\n\r\nbig")
    assert client.got().endswith(b"big")
    assert s.far[0].closed, "its request was not sent to its end"
    client.says(b"x" * 96 + GET)
    assert not client.closed and s.far[1].got().startswith(b"GET ")
    s.far[1].says(OK)
    assert client.got().endswith(b"ok")


def test_a_peer_that_answers_early_and_closes(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nsome")
    s.far[0].says(b"HTTP/1.1 413 No\r\nconnection: close\r\n\r\nbi")
    s.far[0].says(b"g")
    s.far[0].ends()
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 413 ") and answer.endswith(b"g\r\n0\r\n\r\n")


def test_expect_goes_on_and_100_comes_back(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    far = s.far[0]
    assert b"expect: 100-continue\r\n" in far.got() and client.got() == b""
    far.says(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.got() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.says(b"hi")
    assert far.got() == b"hi"
    far.says(OK)
    assert client.got().endswith(b"ok")


def test_a_refused_expectation_costs_no_body(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    s.far[0].says(b"HTTP/1.1 417 No\r\ncontent-length: 0\r\n\r\n")
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 417 ") and b"100 Continue" not in answer
    assert s.far[0].closed


def test_a_peer_that_does_not_know_expect_gets_the_body_anyway(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
    s.far[0].got()
    s.wait(1.0)
    assert client.got() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.says(b"hi")
    assert s.far[0].got() == b"hi"


def test_early_hints_go_through(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x\r\nx: 1\r\n\r\n")
    assert client.got() == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"
    s.far[0].says(OK)
    assert client.got().startswith(b"HTTP/1.1 200 ")


def test_a_client_of_http_1_0(scene: Make) -> None:
    """It hears of no interim answer and of no chunk, and its connection ends with the answer."""
    s = scene()
    client = s.client()
    client.says(b"GET / HTTP/1.0\r\n\r\n")
    head = s.far[0].got()
    assert head.startswith(b"GET / HTTP/1.1\r\nhost: peer0\r\n") and b"via: 1.0 enfilade" in head
    assert b"x-forwarded-host" not in head
    s.far[0].says(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
    s.far[0].says(b"0\r\n\r\n")
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 200 ") and b"chunked" not in answer and answer.endswith(b"\r\n\r\nhi")
    assert client.closed and not s.far[0].closed


def test_a_peer_of_http_1_0(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.0 200 OK\r\n\r\nall")
    s.far[0].says(b" of it")
    s.far[0].ends()
    assert b"3\r\nall\r\n" in (answer := client.got()) and answer.endswith(b"6\r\n of it\r\n0\r\n\r\n")
    assert s.far[0].closed and not client.closed


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"content-length: 1000\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 1000\r\n\r\n", b"etag: x\r\n"),
    ],
)
def test_answers_without_a_body_never_desync_f13(scene: Make, method: bytes, answer: bytes, expected: bytes) -> None:
    s = scene()
    client = s.client()
    for _ in range(2):
        client.says(method + b" / HTTP/1.1\r\nhost: a\r\n\r\n")
        s.far[0].says(answer)
        got = client.got()
        assert got.count(b"\r\n\r\n") == 1 and got.endswith(b"\r\n\r\n") and expected in got
    assert len(s.far) == 1 and not s.far[0].closed and not client.closed


# -- HTTP/2


def test_http2_to_http1_and_back(scene: Make) -> None:
    s = scene()
    client = s.client2()
    one = client.asks(b"/1", [(b"cookie", b"a=1"), (b"cookie", b"b=2")])
    two = client.asks(b"/2", [(b"te", b"trailers")], method="POST", end=False)
    assert len(s.far) == 2
    head = s.far[0].got()
    assert head.startswith(b"GET /1 HTTP/1.1\r\nhost: a.example\r\n") and b"via: 2 enfilade" in head
    assert head.count(b"cookie:") == 1 and b"cookie: a=1; b=2\r\n" in head
    client.engine.data(two, b"body")
    client.engine.end(two, Fields([(b"x-sum", b"1")]))
    client.talk()
    sent = s.far[1].got()
    assert b"transfer-encoding: chunked\r\n" in sent and sent.endswith(b"4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n")
    assert b"te: trailers\r\n" in sent and b"connection: te\r\n" in sent
    s.far[1].says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-total: 2\r\n\r\n")
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive\r\nkeep-alive: 5\r\n\r\none")
    client.talk()
    assert [(e.stream, e.status) for e in client.told(ResponseReceived)] == [(two, 200), (one, 200)]
    assert all(b"keep-alive" not in e.fields for e in client.told(ResponseReceived))
    assert [e.trailers.pairs for e in client.told(ResponseReceived)] == [((b"x-total", b"2"),), ()]


def test_http1_to_http2_peers(scene: Make) -> None:
    """All calls share one connection."""
    s = scene(http2=True)
    clients = [s.client() for _ in range(5)]
    for number, client in enumerate(clients):
        client.says(b"GET /%d HTTP/1.1\r\nhost: a.example\r\nconnection: keep-alive\r\n\r\n" % number)
    (far,) = s.far
    far.talk()
    assert {request.raw_path for request in far.asked.values()} == {b"/%d" % i for i in range(5)}
    request = far.asked[1]
    assert request.authority == "a.example" and request.fields.get(b"x-forwarded-for") == b"192.0.2.1"
    for stream, request in far.asked.items():
        far.answers(stream, 200, b"answer to " + request.raw_path)
    for number, client in enumerate(clients):
        assert client.got().endswith(b"answer to /%d" % number)


def test_http2_both_sides_stream_with_trailers(scene: Make) -> None:
    """As gRPC has it."""
    s = scene(http2=True)
    client = s.client2()
    stream = client.asks(
        b"/p.S/M", [(b"te", b"trailers"), (b"content-type", b"application/grpc")], method="POST", end=False
    )
    (far,) = s.far
    far.talk()
    assert far.asked[1].fields.get(b"te") == b"trailers"
    for piece in (b"one", b"two"):
        client.engine.data(stream, piece)
        client.talk()
        far.talk()
    far.engine.start(1, 200, Fields([(b"content-type", b"application/grpc")]))
    far.talk()
    client.talk()
    assert [e.status for e in client.told(ResponseReceived)] == [200]
    far.engine.data(1, b"back")
    far.talk()
    client.engine.end(stream)
    client.talk()
    far.talk()
    assert b"".join(e.data for e in far.told(DataReceived)) == b"onetwo" and far.told(MessageEnded)
    far.engine.end(1, Fields([(b"grpc-status", b"0")]))
    far.talk()
    client.talk()
    assert [e.data for e in client.told(DataReceived)] == [b"back"]
    assert [e.trailers.get(b"grpc-status") for e in client.told(MessageEnded)] == [b"0"]
    assert s.reasons == [""]


def test_pieces_of_an_answer_that_are_read_together_are_written_together(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client2()
    client.asks(b"/p.S/M", method="POST")
    (far,) = s.far
    far.talk()
    before = client.transport.writes
    far.engine.start(1, 200, Fields([]))
    for piece in (b"one", b"two", b"three"):
        far.engine.data(1, piece)
    far.talk()
    assert client.transport.writes == before + 1
    client.talk()
    assert b"".join(e.data for e in client.told(DataReceived)) == b"onetwothree"


def test_an_answer_with_trailers_that_is_all_there_is_one_write(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client2()
    client.asks(b"/p.S/M", method="POST")
    (far,) = s.far
    far.talk()
    before = client.transport.writes
    far.engine.start(1, 200, Fields([]))
    far.engine.data(1, b"one")
    far.engine.end(1, Fields([(b"grpc-status", b"0")]))
    far.talk()
    assert client.transport.writes == before + 1
    client.talk()
    (answer,) = client.told(ResponseReceived)
    assert answer.ended and answer.body == b"one" and answer.trailers.get(b"grpc-status") == b"0"
    assert s.reasons == [""] and s.upstream.peers[0].in_flight == 0


def test_an_early_answer_of_an_http2_peer_keeps_its_connection(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nsome")
    (far,) = s.far
    far.talk()
    far.answers(1, 413, b"big")
    assert client.got().endswith(b"big")
    client.says(b"x" * 96 + GET)
    far.talk()
    assert 3 in far.asked and len(s.far) == 1


def test_a_body_larger_than_the_windows(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client()
    size = 1_000_000
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
    (far,) = s.far
    far.consumes = False
    sent = 0
    while client.transport.reading:
        client.says(b"x" * 40_000)
        far.talk()
        sent += 40_000
    assert not client.transport.reading, "the peer's window is shut"
    assert sent < size
    far.consumes = True
    for event in far.told(DataReceived):
        far.engine.consumed(event.stream, event.cost)
    far.talk()
    assert client.transport.reading
    client.says(b"x" * (size - sent))
    far.talk()
    assert sum(len(e.data) for e in far.told(DataReceived)) == size and far.told(MessageEnded)
    far.answers(1)
    assert client.got().endswith(b"ok") and not far.told(StreamClosed)


def test_the_same_fields_with_another_target(scene: Make) -> None:
    """What is remembered of a request's fields is not what depends on the rest of it (RFC 9110 section 7.6.2)."""
    s = scene()
    client = s.client()
    asked = b"%s %s HTTP/1.1\r\nhost: a.example\r\nmax-forwards: 5\r\nx: y\r\n\r\n"
    for method, target, left in ((b"GET", b"/1", b"5"), (b"OPTIONS", b"/2", b"4"), (b"GET", b"/3", b"5")):
        client.says(asked % (method, target))
        (far,) = s.far
        got = far.got()
        assert got.startswith(method + b" " + target + b" HTTP/1.1\r\nhost: a.example\r\n")
        assert b"max-forwards: " + left + b"\r\nx: y\r\nx-forwarded-for: 192.0.2.1\r\n" in got
        far.says(OK)
    client.says(asked % (b"GET", b"http://b.example/4"))
    got = s.far[0].got()
    assert b"\r\nhost: b.example\r\n" in got and b"x-forwarded-host: b.example\r\n" in got
