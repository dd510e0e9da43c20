"""Mutated conversations: whatever comes, no engine raises, the cut does not matter, and what others read too they read the same.

`make fuzz` runs these, and the other properties of the engines, for as long as one likes.
"""

from __future__ import annotations

from itertools import pairwise

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.http1 import kit as http1
from tests.wire.http2.kit import END_HEADERS, GET, HELLO, POST, frame, headers, rst, server, settings, window
from tests.wire.outgoing import outgoing, unjoined

from enfilade.http.fields import Fields
from enfilade.wire.events import DataReceived, Event, MessageEnded, Rejected, RequestReceived, ResponseReceived
from enfilade.wire.hpack import static_block
from enfilade.wire.http2 import Http2Client, Http2Limits

OK = Fields([(b"content-type", b"text/plain")])
cuts = st.lists(st.integers(0, 600), max_size=6)


def pieces(data: bytes, marks: list[int]) -> list[bytes]:
    ends = [0, *sorted(mark for mark in marks if mark < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a < b]


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes], bits: list[bytes]) -> bytes:
    """A good conversation with up to four pieces cut out, put in, or doubled."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        at, size = draw(st.integers(0, len(data))), draw(st.integers(0, 24))
        bit = draw(st.sampled_from(bits) | st.binary(max_size=4) | st.just(data[at : at + size]))
        data = data[:at] + bit + data[at + draw(st.sampled_from([0, 0, 1, size])) :]
    return data


# -- HTTP/1, the client's role

RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
]
BITS = [b"\r\n", b"\n", b"\r", b" ", b":", b";", b"\0", b"5", b"Content-Length: 5\r\n", b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 X\r\n"]  # fmt: skip


def client_told(parts: list[bytes]) -> list[Event]:
    engine = http1.client()
    engine.request(outgoing("GET", "http", "a", b"/"), end=True)
    return [event for part in [*parts, b""] for event in engine.feed(part, 0.0)]


def read_by_h11(data: bytes) -> tuple[int, bytes] | None:
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    parser.receive_data(b"")
    status, body = 0, b""
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None
    return status, body


@given(mutated(RESPONSES, BITS), cuts)
def test_http1_responses(data: bytes, marks: list[int]) -> None:
    events = client_told([data] if data else [])
    assert http1.merged(client_told(pieces(data, marks))) == http1.merged(events)
    heads = [e.status for e in events if isinstance(e, ResponseReceived) and e.status >= 200]
    body = b"".join(e.data for e in events if isinstance(e, DataReceived))
    theirs = read_by_h11(data)
    if theirs is not None and heads and any(isinstance(e, MessageEnded) for e in events):
        assert (heads[0], body) == theirs


# -- HTTP/2, both roles

REQUESTS = [
    HELLO + headers(1, GET) + headers(3, GET),
    HELLO + headers(1, POST, end=False) + frame(0, 0, 1, b"hello") + frame(0, 9, 1, b"\x02abc\0\0") + window(0, 100),
    HELLO + headers(1, POST, end=False) + frame(0, 0, 1, b"x") + headers(1, [(b"x-sum", b"1")]) + rst(3),
    HELLO + frame(1, 0, 1, static_block(GET)[:3]) + frame(9, END_HEADERS, 1, static_block(GET)[3:]) + settings((4, 10)),
    HELLO + frame(1, 5, 1, b"\x82\x86\x44\x02/a\x41\x01a\x40\x01x\x01y") + frame(1, 5, 3, b"\x82\x86\x04\x02/b\xbf\xbe")
    + frame(1, 5, 5, b"\x82\x86\x04\x02/c\xbf\xbe") + frame(6, 0, 0, b"12345678"),
]  # fmt: skip
ANSWERS = [
    settings() + frame(4, 1) + frame(1, 4, 1, b"\x88\x5c\x015") + frame(0, 1, 1, b"hello"),
    settings((3, 1)) + frame(1, 4, 1, b"\x08\x03103") + frame(1, 5, 1, b"\x89") + frame(7, 0, 0, bytes(8)) + rst(1),
    settings() + frame(1, 4, 1, b"\x88") + frame(0, 0, 1, b"hello") + headers(1, [(b"x-sum", b"1")]) + window(1, 9),
]
FRAMES = [
    headers(5, GET), headers(7, POST, end=False), rst(1), window(1, 1), window(0, 0), settings((1, 0)), settings((4, 2**31)),
    frame(0, 1, 1), frame(2, 0, 1, bytes(5)), frame(5, 4, 1, bytes(4)), frame(8, 0, 1, bytes(4)), frame(9, 4, 1, b"\x82"),
    frame(0x77, 0, 1, b"?"), b"\x20", b"\xbe", b"\x3f\xe1\x1f", b"\xff", b"\0\0\0",
]  # fmt: skip


def plain(events: list[Event]) -> list[object]:
    """Events as values; how the pieces of a body were cut does not count."""
    return [repr(event) + repr(getattr(getattr(event, "request", None), "fields", "")) for event in events]


def served(parts: list[bytes]) -> tuple[list[Event], list[object]]:
    """What a server tells that answers all it can; and the same as values."""
    engine, events = server(), []
    for part in parts:
        fresh = engine.feed(part, 0.0)
        events += fresh
        for event in fresh:
            if isinstance(event, Rejected) or (isinstance(event, RequestReceived) and event.ended):
                status = event.reason.status if isinstance(event, Rejected) else 200
                engine.respond(event.stream, status, OK, b"ok")
            elif isinstance(event, DataReceived):
                engine.consumed(event.stream, event.cost)
        engine.pending()
    return events, plain(events)


@given(mutated(REQUESTS, FRAMES))
def test_http2_requests(data: bytes) -> None:
    events, _ = served([data] if data else [])
    theirs = heads_by_h2(data)
    for event in events:
        if isinstance(event, RequestReceived) and event.stream in theirs:
            lines = theirs[event.stream]
            request = event.request
            assert request.method.encode() == dict(lines)[b":method"]
            # Host made from :authority stands in front; everything else as it came.
            regular = [line for line in lines if line[0][:1] != b":"]
            assert [line for line in request.fields if line[0] != b"host"] == [r for r in regular if r[0] != b"host"]


def heads_by_h2(data: bytes) -> dict[int, list[tuple[bytes, bytes]]]:
    oracle = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    try:
        events = oracle.receive_data(data)
    except Exception:  # it raises all sorts of things where frames are broken
        return {}
    return {e.stream_id: list(map(tuple, e.headers)) for e in events if isinstance(e, h2.events.RequestReceived)}


@given(mutated(REQUESTS, FRAMES), cuts)
def test_http2_requests_however_they_are_cut(data: bytes, marks: list[int]) -> None:
    def unanswered(parts: list[bytes]) -> list[object]:
        engine = server()
        return plain([event for part in [*parts, b""] for event in engine.feed(part, 0.0)])

    assert unanswered(pieces(data, marks)) == unanswered([data] if data else [])


@given(mutated(ANSWERS, FRAMES), cuts)
def test_http2_responses(data: bytes, marks: list[int]) -> None:
    def told(parts: list[bytes]) -> list[object]:
        engine = Http2Client(Http2Limits())
        engine.request(outgoing("GET", "http", "a", b"/"), end=True)
        engine.pending()
        return plain(unjoined([e for part in [*parts, b""] for e in engine.feed(part, 0.0)], empty=True))

    assert told(pieces(data, marks)) == told([data] if data else [])
