"""The client role, FAILURES 18, and both roles face to face."""

from __future__ import annotations

import pytest
from tests.wire.http1.kit import Told, bytes_of, client, merged, server
from tests.wire.outgoing import outgoing

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.wire.codec import LocalError
from enfilade.wire.events import Event, RequestReceived
from enfilade.wire.http1.client import INTERIMS, Http1Client
from enfilade.wire.http1.limits import Http1Limits

OK2 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def waiting(method: str = "GET", protocol: str | None = None, limits: Http1Limits | None = None) -> Http1Client:
    engine = Http1Client(limits or Http1Limits())
    engine.request(outgoing(method, "http", "a", b"/", NO_FIELDS, protocol), end=True)
    engine.pending()
    return engine


def answered(
    data: bytes, method: str = "GET", protocol: str | None = None, limits: Http1Limits | None = None, eof: bool = False
) -> list[Told]:
    """What a client tells of `data`, whole and byte by byte."""
    end = [b""] if eof else []
    ways = []
    for pieces in ([data, *end], [*bytes_of(data), *end]):
        engine = waiting(method, protocol, limits)
        events: list[Event] = []
        for piece in pieces:
            events += engine.feed(piece, 0.0)
        ways.append(merged(events))
    assert ways[0] == ways[1], "byte by byte"
    return ways[0]


# -- requests


def test_a_request_without_body() -> None:
    engine = client()
    engine.request(
        outgoing(
            "GET", "http", "a:8080", b"/x?y", Fields([(b"accept", b"*/*"), (b"host", b"liar"), (b"connection", b"x")])
        ),
        end=True,
    )
    assert b"".join(engine.pending()) == b"GET /x?y HTTP/1.1\r\nhost: a:8080\r\naccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "tail"),
    [
        (NO_FIELDS, b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        (Fields([(b"content-length", b"2")]), b"content-length: 2\r\n\r\nhi"),
    ],
)
def test_a_request_with_body(fields: Fields, tail: bytes) -> None:
    engine = client()
    engine.request(outgoing("POST", "http", "a", b"/", fields), end=False)
    engine.data(1, b"hi", end=True)
    assert b"".join(engine.pending()) == b"POST / HTTP/1.1\r\nhost: a\r\n" + tail


def test_an_empty_post_says_so() -> None:
    engine = client()
    engine.request(outgoing("POST", "http", "a", b"/", NO_FIELDS), end=True)
    assert b"content-length: 0\r\n" in b"".join(engine.pending())


@pytest.mark.parametrize(
    ("method", "authority", "target"),
    [
        ("G T", "a", b"/"), ("", "a", b"/"), ("CONNECT", "a", b"/"), ("GET", "a b", b"/"), ("GET", "", b"/"), ("GET", "é", b"/"),
        ("GET", "a", b""), ("GET", "a", b"x"), ("GET", "a", b"/ x"), ("GET", "a", b"/\r\nX: 1"), ("GET", "a", b"/#"), ("GÉT",
        "a", b"/"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_sent(method: str, authority: str, target: bytes) -> None:
    with pytest.raises(LocalError):
        client().request(outgoing(method, "http", authority, target, NO_FIELDS), end=True)


def test_a_declared_body_must_follow() -> None:
    with pytest.raises(LocalError):
        client().request(outgoing("POST", "http", "a", b"/", Fields([(b"content-length", b"2")])), end=True)


# -- responses


def test_responses_and_the_next_request() -> None:
    engine = client()
    for _ in range(3):
        assert engine.idle
        engine.request(outgoing("GET", "http", "a", b"/", NO_FIELDS), end=True)
        assert not engine.idle
        assert [e[0] for e in merged(engine.feed(OK2, 0.0))] == ["response", "data", "end"]
    assert engine.idle


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: 1\r\n\r\n", b"hi"),
    ],
)
def test_bodies_that_end_by_themselves(data: bytes, body: bytes) -> None:
    events = answered(data)
    assert [e[0] for e in events] == ["response", "data", "end"] and events[1] == ("data", body)


def test_a_body_until_the_end_of_the_connection() -> None:
    events = answered(b"HTTP/1.0 200 OK\r\n\r\nhi", eof=True)
    assert [e[0] for e in events] == ["response", "data", "end", "closed"]
    assert events[-1] == ("closed", None)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"304 Not Modified"), ("GET", b"204 No Content")]
)
def test_failures_13_responses_without_body(method: str, status: bytes) -> None:
    events = answered(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n", method)
    assert len(events) == 1 and events[0][0] == "response" and events[0][-1] is True


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_that_is_not_kept(head: bytes) -> None:
    engine = waiting()
    engine.feed(head + b"Content-Length: 0\r\n\r\n", 0.0)
    assert engine.closing and not engine.idle


def test_what_comes_behind_the_last_response_is_unasked() -> None:
    events = waiting().feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\nmore", 0.0)
    assert merged(events)[-1] == ("closed", "unasked_response")


def test_a_response_before_its_request_is_sent_ends_the_connection() -> None:
    engine = client()
    engine.request(outgoing("POST", "http", "a", b"/", NO_FIELDS), end=False)
    engine.feed(OK2, 0.0)
    assert engine.closing and not engine.idle


def test_interim_responses() -> None:
    events = answered(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK2)
    assert [e[1] for e in events if e[0] == "response"] == [100, 103, 200]
    assert answered(b"HTTP/1.1 102 x\r\n\r\n" * (INTERIMS + 1))[-1] == ("closed", "bad_response")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "two_framings"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad_transfer_encoding"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_transfer_encoding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\n", "bad_chunk"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "bad_response"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 099 No\r\n\r\n", "bad_response"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "bad_response"),
        (b"ICY 200 OK\r\n\r\n", "bad_response"),
        (b"\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "unasked_response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000, "head_too_large"),
        (OK2 + b"HTTP/1.1 200 OK\r\n\r\n", "unasked_response"),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", "unasked_response"),
    ],
)  # fmt: skip
def test_failures_18_upstream_lies(data: bytes, why: str) -> None:
    limits = Http1Limits() if len(data) < 1000 else Http1Limits(head=500)
    assert answered(data, limits=limits)[-1] == ("closed", why)


def test_failures_18_bytes_before_the_request() -> None:
    engine = client()
    assert merged(engine.feed(OK2, 0.0)) == [("closed", "unasked_response")]
    assert engine.closing and not engine.idle


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "upstream_gone"),
        (b"HTTP/1.1 200", "upstream_gone"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "body_cut"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "body_cut"),
    ],
)
def test_failures_18_early_close(data: bytes, why: str) -> None:
    assert answered(data, eof=True)[-1] == ("closed", why)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_failures_5_a_tunnel_only_for_the_protocol_that_was_asked_for() -> None:
    events = answered(SWITCH + b"ahead", protocol="websocket", eof=True)
    assert [e[0] for e in events] == ["response", "data", "end"]
    assert answered(SWITCH, protocol="chat") == [("closed", "unasked_response")]
    assert answered(SWITCH.replace(b"Connection: Upgrade\r\n", b""), protocol="websocket") == [
        ("closed", "unasked_response")
    ]
    engine = waiting(protocol="websocket")
    engine.feed(SWITCH, 0.0)
    engine.data(1, b"raw")
    assert engine.pending() == [b"raw"] and not engine.idle


# -- both roles face to face


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("cut", [1, 7, 10_000])
def test_what_one_role_writes_the_other_reads(declared: bool, cut: int) -> None:
    ours, theirs = client(), server()

    def carry(data: bytes, to: Http1Client | object) -> list[Event]:
        events: list[Event] = []
        for i in range(0, len(data), cut):
            events += to.feed(data[i : i + cut], 0.0)  # type: ignore[attr-defined]
        return events

    size = Fields([(b"x", b"1"), (b"content-length", b"11")]) if declared else Fields([(b"x", b"1")])
    trailers = NO_FIELDS if declared else Fields([(b"x-sum", b"2")])
    for _ in range(2):
        ours.request(outgoing("POST", "http", "a", b"/p?q", size), end=False)
        ours.data(1, b"hello ")
        ours.data(1, b"world")
        ours.end(1, trailers)
        got = carry(b"".join(ours.pending()), theirs)
        assert isinstance(got[0], RequestReceived) and got[0].request.target == "/p?q"
        assert merged(got)[1:] == [("data", b"hello world"), ("end", trailers.pairs)]
        theirs.inform(1, 103, NO_FIELDS)
        theirs.start(1, 201, size)
        theirs.data(1, b"hello world")
        theirs.end(1, trailers)
        back = carry(b"".join(theirs.pending()), ours)
        assert [e[:2] for e in merged(back)][:2] == [("response", 103), ("response", 201)]
        assert merged(back)[2:] == [("data", b"hello world"), ("end", trailers.pairs)]
        theirs.resume(0.0)
    assert ours.idle


def test_an_upgrade_face_to_face() -> None:
    ours, theirs = client(), server()
    ours.request(outgoing("GET", "http", "a", b"/ws", Fields([(b"sec-websocket-key", b"k")]), "websocket"), end=True)
    (event,) = theirs.feed(b"".join(ours.pending()), 0.0)
    assert isinstance(event, RequestReceived) and event.request.protocol == "websocket"
    theirs.accept(1, NO_FIELDS)
    theirs.data(1, b"to you")
    assert [e[0] for e in merged(ours.feed(b"".join(theirs.pending()), 0.0))] == ["response", "data"]
    ours.data(1, b"to me")
    assert merged(theirs.feed(b"".join(ours.pending()), 0.0)) == [("data", b"to me")]
