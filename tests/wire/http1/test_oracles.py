"""h11 and llhttp beside us: what we accept, they accept and read the same. And nothing that is fed ever raises."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import h11
import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.wire.http1.kit import answering, bytes_of, merged, server

from enfilade.wire.events import DataReceived, MessageEnded, RequestReceived


class Message(NamedTuple):
    method: bytes
    target: bytes
    names: list[bytes]
    body: bytes


def ours(data: bytes) -> Message | None:
    """The first message in `data`, if it is complete and accepted; the target as we would forward it."""
    events = answering(server(), [data], answer=False)
    if not events or not isinstance(events[0], RequestReceived):
        return None
    if not (events[0].ended or isinstance(events[-1], MessageEnded)):
        return None
    request = events[0].request
    body = events[0].body + b"".join(e.data for e in events if isinstance(e, DataReceived))
    return Message(request.method.encode(), request.target.encode(), [n for n, _ in request.fields], body)


def by_h11(data: bytes) -> Message | None:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
    parser.receive_data(data)
    request, body = None, b""
    try:
        while True:
            event = parser.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                names = [bytes(name) for name, _ in request.headers]
                return Message(bytes(request.method), bytes(request.target), names, body)
            else:
                return None
    except h11.RemoteProtocolError:
        return None


class _Seen:
    def __init__(self) -> None:
        self.target = self.body = b""
        self.names: list[bytes] = []
        self.method = b""
        self.complete = False
        self.parser: httptools.HttpRequestParser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url if not self.complete else b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.method:  # trailers come the same way
            self.names.append(name.lower())

    def on_headers_complete(self) -> None:
        if not self.complete:
            self.method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self.body += body if not self.complete else b""

    def on_message_complete(self) -> None:
        self.complete = True


def by_llhttp(data: bytes) -> Message | None:
    seen = _Seen()
    try:
        seen.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return None
    except httptools.HttpParserError:
        if not seen.complete:
            return None
    return Message(seen.method, seen.target, seen.names, seen.body) if seen.complete else None


SEEDS = [
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"PUT /p HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nAccept: */*\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
]
BITS = [
        b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"\x00", b"\x0b", b"\xff", b"0", b"5", b"-", b"+", b"0x", b"%2e",
        b"/..", b"#", b",",
    b"Content-Length: 5\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n", b"Host: b\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n",
        b"HTTP/1.0", b"chunked", b"\r\n\r\n",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good request with up to three pieces cut out, put in, or doubled."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 12))
        bit = draw(st.sampled_from(BITS) | st.binary(max_size=3) | st.just(data[at : at + size]))
        data = data[:at] + bit + data[at + draw(st.sampled_from([0, 0, 1, size])) :]
    return data


@given(mutated())
@settings(max_examples=500, deadline=None)
@example(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi0\r\n\r\n")
@example(b"GET http://a/x HTTP/1.0\r\n\r\n")
def test_what_we_accept_others_read_the_same(data: bytes) -> None:
    mine = ours(data)
    if mine is None:
        return
    wire_target = data.lstrip(b"\r\n").split(b" ")[1]
    known = {b"GET", b"POST", b"PUT", b"OPTIONS"}
    for other in (by_h11(data), by_llhttp(data) if mine.method in known else None):
        if other is None:
            continue
        assert (other.method, other.body) == (mine.method, mine.body)
        assert other.target == wire_target
        # What the target says is the Host that everybody behind us reads (section 3.2.2), also where HTTP/1.0 has none.
        implied = [b"host"] if b"://" in wire_target and b"host" not in other.names else []
        assert sorted(other.names + implied) == sorted(mine.names)
    assert by_h11(data) is not None or _stricter_than_rfc(data), "we take what h11 refuses"


def _stricter_than_rfc(data: bytes) -> bool:
    """h11 knows no blank lines before a request."""
    return data.startswith((b"\r", b"\n"))


@given(mutated(), st.lists(st.integers(0, 400), max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_nothing_raises_and_the_cut_does_not_matter(data: bytes, cuts: list[int], end: bool) -> None:
    tail = [b""] if end else []
    whole = merged(answering(server(), [data, *tail]))
    marks = [0, *sorted(c for c in cuts if c < len(data)), len(data)]
    pieces = [data[a:b] for a, b in pairwise(marks) if a < b]
    assert merged(answering(server(), [*pieces, *tail])) == whole
    assert merged(answering(server(), [*bytes_of(data), *tail])) == whole


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=200, deadline=None)
def test_noise(data: bytes) -> None:
    assert merged(answering(server(), [data])) == merged(answering(server(), bytes_of(data)))


LINES = [
    b"GET / HTTP/1.1",
    b"GET /x HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"POST / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET http://b/ HTTP/1.1",
]
BLOCKS = [
    b"Host: a", b"Host: b", b"Host: a\r\nConnection: keep-alive", b"Host: a\r\nCookie: " + b"c" * 5000,
    b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nHost: a", b"Host: a\r\nContent-Length: 0\r\nConnection: x",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(BLOCKS)), min_size=2, max_size=6))
@settings(max_examples=300, deadline=None)
def test_what_a_connection_remembers_changes_nothing(heads: list[tuple[bytes, bytes]]) -> None:
    old = server()
    for line, block in heads:
        data = line + b"\r\n" + block + b"\r\n\r\n"
        fresh = server()
        assert merged(answering(old, [data])) == merged(answering(fresh, [data]))
        assert old.pending() == fresh.pending()
        if old.closing:
            return
