"""Whatever comes that our own other end would not send ends the link, with the role's reason, and raises nothing."""

from __future__ import annotations

from struct import pack

import pytest
from tests.wire.link.kit import (
    ACCEPT,
    ANSWER,
    BEGUN,
    CREDIT,
    DATA,
    DRAIN,
    INFORM,
    LAST,
    OPEN,
    REQUEST,
    RESET,
    START,
    TRAILERS,
    Both,
    answer,
    asking,
    credit,
    frame,
    parse,
    started,
)

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.events import ConnectionClosed, StreamClosed
from enfilade.wire.link import LinkClient
from enfilade.wire.link.frames import DATA_SIZE, HEAD_SIZE, WINDOW
from enfilade.wire.link.heads import encode_request

WINDOWFUL = frame(DATA, 1, b"x" * DATA_SIZE) * (WINDOW // DATA_SIZE)

# What an application's process must not say to the edge, which has asked for 1 (GET), 2 (HEAD), 3 (POST, its body is not
# complete) and 4 (an upgrade).
LIES = {
    "an unknown kind": frame(14, 1),
    "stream 0 begun": frame(BEGUN, 0),
    "begun before it was asked for": frame(BEGUN, 5),
    "begun with something in it": frame(BEGUN, 1, b"x"),
    "kind 0": frame(0, 1),
    "a request": frame(REQUEST, 1, encode_request(asking())),
    "a request on a new stream": frame(REQUEST, 5, encode_request(asking())),
    "a stream that was never opened": answer(5),
    "stream 0": answer(0),
    "data on a stream that was never opened": frame(DATA, 5, b"x"),
    "a reset of a stream that was never opened": frame(RESET, 5, b"internal"),
    "drain on a stream": frame(DRAIN, 1),
    "drain with something in it": frame(DRAIN, 0, b"x"),
    "a huge frame": pack(">QII", 1, ANSWER << 24 | 0xFFFFFF, 0),
    "an answer of nothing": frame(ANSWER, 1),
    "an answer without a status": frame(ANSWER, 1, b"hello"),
    "half a status": frame(ANSWER, 1, b"x", 1),
    "a head that is longer than its frame": frame(ANSWER, 1, pack(">H", 200), 3),
    "a head that reaches into the next frame": frame(ANSWER, 1, pack(">H", 200), 18) + credit(1, 0),
    "status 0": answer(1, 0),
    "status 99": answer(1, 99),
    "status 1000": answer(1, 1000),
    "status 65535": answer(1, 65535),
    "an interim answer": answer(1, 103),
    "101 as an answer": answer(4, 101),
    "101 as a start": started(4, 101),
    "a start with an interim status": started(1, 100),
    "an interim with a final status": started(1, 200, kind=INFORM),
    "101 as interim": started(4, 101, kind=INFORM),
    "a tunnel that nobody asked for": started(1, 101, kind=ACCEPT),
    "a tunnel with 200": started(4, 200, kind=ACCEPT),
    "an odd number of texts": answer(1, 200, b"x"),
    "upper case": answer(1, 200, b"X\x001"),
    "no name": answer(1, 200, b"\x001"),
    "a name with a colon": answer(1, 200, b"x:y\x001"),
    "a line end in a value": answer(1, 200, b"x\x001\r\ny: 2"),
    "a blank around a value": answer(1, 200, b"x\x001 "),
    "a field of the connection": answer(1, 200, b"transfer-encoding\0chunked"),
    "no number as a length": answer(1, 200, b"content-length\0-1"),
    "two lengths": answer(1, 200, b"content-length\x000\0content-length\x000"),
    "more than promised": answer(1, 200, b"content-length\x001", b"ab"),
    "less than promised": answer(1, 200, b"content-length\x003", b"ab"),
    "nothing of what was promised": answer(1, 200, b"content-length\x003"),
    "a body of 204": answer(1, 204, b"", b"x"),
    "a body of 304": answer(1, 304, b"", b"x"),
    "a body to HEAD": answer(2, 200, b"", b"x"),
    "a body to HEAD in pieces": started(2) + frame(DATA, 2, b"x"),
    "too long a body": answer(1, 200, b"", b"x" * (DATA_SIZE + 1)),
    "too long a head": answer(1, 200, b"x\0" + b"y" * HEAD_SIZE),
    "too long a start": started(1, 200, b"x\0" + b"y" * HEAD_SIZE),
    "more than promised in pieces": started(1, 200, b"content-length\x001") + frame(DATA, 1, b"ab"),
    "more than promised, later": started(1, 200, b"content-length\x001") + frame(DATA, 1, b"a") + frame(DATA, 1, b"b"),
    "less than promised in pieces": started(1, 200, b"content-length\x003") + frame(LAST, 1, b"ab"),
    "less than promised, with trailers": started(1, 200, b"content-length\x003") + frame(TRAILERS, 1),
    "data before the head": frame(DATA, 1, b"x"),
    "the end before the head": frame(LAST, 1),
    "trailers before the head": frame(TRAILERS, 1, b"x\x001"),
    "two heads": started(1) + started(1),
    "an answer after the head": started(1) + answer(1),
    "an interim after the head": started(1) + started(1, 103, kind=INFORM),
    "too much data at once": started(1) + frame(DATA, 1, b"x" * (DATA_SIZE + 1)),
    "more than the window": started(1) + WINDOWFUL + frame(DATA, 1, b"x"),
    "trailers that frame": started(1) + frame(TRAILERS, 1, b"content-length\x001"),
    "broken trailers": started(1) + frame(TRAILERS, 1, b"x"),
    "too many trailers": started(1) + frame(TRAILERS, 1, b"x\0" + b"y" * HEAD_SIZE),
    "trailers of a tunnel": started(4, 101, kind=ACCEPT) + frame(TRAILERS, 4, b"x\x001"),
    "data after the tunnel's end": started(4, 101, kind=ACCEPT) + frame(LAST, 4, b"x") + frame(DATA, 4, b"x"),
    "credit with something in it": frame(CREDIT, 3, b"x"),
    "credit that nobody spent": credit(3, 1),
    "a reset that never ends": frame(RESET, 1, b"x" * 100),
}


def asked() -> LinkClient:
    client = LinkClient(100)
    client.request(asking(), end=True)
    client.request(asking("HEAD"), end=True)
    client.request(asking("POST"), end=False)
    client.request(asking(protocol="websocket"), end=True)
    client.pending()
    return client


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("lie", LIES)
def test_an_application_that_breaks_a_rule_loses_its_link(lie: str, step: int) -> None:
    client, data = asked(), LIES[lie]
    if step and len(data) > 1000:
        step = 10_000
    events = [
        e for at in range(0, len(data), step or len(data)) for e in client.feed(data[at : at + (step or len(data))], 0)
    ]
    (closed,) = [e for e in events if isinstance(e, ConnectionClosed)]
    assert events[-1] is closed and closed.reason is reason("bad_response")
    assert client.closing and client.available == 0 and client.feed(answer(1), 0.0) == []


@pytest.mark.parametrize("lie", [b"", b"a", b"abc"])
def test_a_head_that_is_known_does_not_make_a_wrong_length_right(lie: bytes) -> None:
    client, fields = asked(), b"content-length\x002"
    again = client.request(asking(), end=True)
    client.feed(answer(1, 200, fields, b"ab"), 0.0)
    (closed,) = client.feed(answer(again, 200, fields, lie), 0.0)
    assert isinstance(closed, ConnectionClosed) and closed.reason is reason("bad_response")


def test_a_length_is_not_needed() -> None:
    client = asked()
    assert len(client.feed(answer(1, 200, b"x\x001", b"abc") + answer(2, 200, b"content-length\x005"), 0.0)) == 2
    client.feed(started(3, 200, b"content-length\x002") + frame(DATA, 3, b"a") + frame(LAST, 3, b"b"), 0.0)
    assert not client.closing and client.available == 99


def test_a_reason_that_is_not_known_here_is_a_reset() -> None:
    (event,) = asked().feed(frame(RESET, 1, b"no_such_reason\xff"), 0.0)
    assert isinstance(event, StreamClosed) and event.reason is reason("upstream_reset")


def test_what_crosses_a_reset_is_overlooked() -> None:
    both = Both()
    stream = both.asked(asking("POST"), end=False)
    both.client.reset(stream, reason("client_gone"))
    both.server.start(stream, 200, NO_FIELDS)
    both.server.data(stream, b"x", end=True)
    late = b"".join(both.server.pending())
    assert both.client.feed(late + credit(stream, 5), 0.0) == []
    both.run()
    assert both.idle() and not both.client.closing and not both.server.closing


HEAD = encode_request(asking())
BROKEN_REQUESTS = {
    "a stream that is no newer": frame(REQUEST, 1, HEAD),
    "stream 0": frame(REQUEST, 0, HEAD),
    "an open stream again": frame(OPEN, 1, HEAD),
    "an answer": answer(1),
    "a start": started(1),
    "no head": frame(REQUEST, 3),
    "half a head": frame(REQUEST, 3, HEAD[: len(HEAD) // 2]),
    "a head cut in its line": frame(OPEN, 3, HEAD[:-5]),
    "too few texts": frame(REQUEST, 3, HEAD.replace(b"\0websocket", b"").replace(b"GET\0", b"GET")),
    "a bad port": frame(REQUEST, 3, HEAD.replace(b"4711", b"47x1")),
    "an odd number of field texts": frame(REQUEST, 3, HEAD + b"x"),
    "a bad name": frame(REQUEST, 3, HEAD + b"X\x001"),
    "a bad length": frame(OPEN, 3, HEAD + b"content-length\0x"),
    "a body that is promised, and ended": frame(REQUEST, 3, HEAD + b"content-length\x001"),
    "too long a head": frame(REQUEST, 3, HEAD + b"x\0" + b"y" * HEAD_SIZE),
    "data behind a whole request": frame(DATA, 1, b"x"),
    "data behind the end": frame(LAST, 2, b"x") + frame(DATA, 2, b"x"),
    "a request behind DRAIN": frame(DRAIN, 0) + frame(REQUEST, 3, HEAD),
    "an upload behind DRAIN": frame(DRAIN, 0) + frame(OPEN, 3, HEAD),
    "more than promised": frame(OPEN, 3, HEAD + b"content-length\x001") + frame(DATA, 3, b"ab"),
    "a stream that was never opened": credit(3, 0),
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("broken", BROKEN_REQUESTS)
def test_an_edge_that_breaks_a_rule_loses_its_link(broken: str, step: int) -> None:
    both = Both()
    both.asked(asking()), both.asked(asking("POST"), end=False)
    data = BROKEN_REQUESTS[broken]
    if step and len(data) > 1000:
        step = 10_000
    events = [
        e
        for at in range(0, len(data), step or len(data))
        for e in both.server.feed(data[at : at + (step or len(data))], 0)
    ]
    (closed,) = [e for e in events if isinstance(e, ConnectionClosed)]
    assert events[-1] is closed and closed.reason is reason("protocol_error") and both.server.closing


def test_what_is_remembered_is_bounded() -> None:
    both = Both()
    for i in range(3000):
        both.asked(asking(fields=Fields([(b"cookie", b"%d" % i * 100), (b"x-%d" % i, b"1")])))
        both.server.respond(i + 1, 200, Fields([(b"set-cookie", b"%d" % i * 100)]), b"x")
        both.run()
        both.at_client.clear(), both.at_server.clear()
    assert both.idle()
    for memory, most in (
        (both.server._known, 512 * 1024),
        (both.server._ends, 64 * 1024),
        (both.server._fields, 128 * 1024),
        (both.client._known, 256 * 1024),
    ):
        assert 0 < sum(map(len, memory)) == memory._size <= most
        memory.forget()
        assert not memory and memory._size == 0


def test_frames_are_what_the_table_says() -> None:
    """One exchange as bytes: nobody else's end has to be understood, but this is what a dump shows."""
    both = Both()
    both.client.request(asking("GET", "/x", Fields([(b"accept", b"*/*")]), mount="/m", query=b"q"), end=True)
    ((kind, stream, payload),) = parse(b"".join(both.client.pending()))
    ends = b"192.0.2.7\x004711\x00192.0.2.7\x00192.0.2.1\x00443\0https\0a.example\0h2\0TLSv1.3"
    line = b"GET\x001.1\0https\0a.example:8443\0a.example\0/x\0/x\0q\0\0/m"
    assert (kind, stream) == (REQUEST, 1)
    assert payload == pack(">HI", len(ends), len(line)) + ends + line + b"accept\0*/*"
    both.server.feed(frame(kind, stream, payload), 0.0)
    both.server.respond(1, 200, Fields([(b"x", b"1")]), b"hello")
    assert b"".join(both.server.pending()) == answer(1, 200, b"x\x001\0content-length\x005", b"hello")
    assert START == 4
