"""The ways servers fail, as far as HTTP/2 can meet them: one test or more a row, named after it."""

from __future__ import annotations

import pytest
from tests.wire.http2.kit import (
    ACK,
    CONTINUATION,
    DATA,
    DATE,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    HELLO,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    RST,
    SETTINGS,
    body_of,
    codes,
    frame,
    head_of,
    headers,
    rst,
    sent,
    server,
    settings,
    window,
)

from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.reasons import reason
from enfilade.wire.codec import DateStamp
from enfilade.wire.events import ConnectionClosed, DataReceived, Event, Rejected, RequestReceived, StreamClosed
from enfilade.wire.hpack import static_block
from enfilade.wire.http2 import Http2Limits, Http2Server


def literal(name: bytes, value: bytes) -> bytes:
    """A field as no encoder would make it: upper case, control bytes, anything."""
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def until_over(engine: Http2Server, now: float) -> tuple[list[Event], float]:
    """Tick whenever the engine wants it, until something happens."""
    for _ in range(1000):
        due = engine.deadline()
        assert due is not None
        now = max(now, due)
        events = engine.tick(now)
        if events:
            return events, now
    raise AssertionError("nothing ever happens")


MALFORMED: list[tuple[str, list[Pair]]] = [
    ("upper case", [*GET, (b"X-Up", b"1")]),
    ("CR LF in a value", [*GET, (b"x", b"a\r\nb: c")]),
    ("LF in a value", [*GET, (b"x", b"a\nb")]),
    ("NUL in a value", [*GET, (b"x", b"a\0b")]),
    ("space in front", [*GET, (b"x", b" a")]),
    ("tab behind", [*GET, (b"x", b"a\t")]),
    ("CR in the path", [*GET[:2], (b":path", b"/a"), (b":authority", b"a"), (b"x", b"\r")]),
    ("colon in a name", [*GET, (b"x:y", b"1")]),
    ("space in a name", [*GET, (b"x y", b"1")]),
    ("empty name", [*GET, (b"", b"1")]),
    ("connection", [*GET, (b"connection", b"close")]),
    ("keep-alive", [*GET, (b"keep-alive", b"1")]),
    ("proxy-connection", [*GET, (b"proxy-connection", b"close")]),
    ("transfer-encoding", [*GET, (b"transfer-encoding", b"chunked")]),
    ("upgrade", [*GET, (b"upgrade", b"h2c")]),
    ("te", [*GET, (b"te", b"gzip")]),
    ("twice", [*GET, (b":path", b"/")]),
    ("late", [*GET[:3], (b"x", b"1"), GET[3]]),
    ("unknown pseudo-field", [*GET, (b":x", b"1")]),
    ("status", [*GET, (b":status", b"200")]),
    ("no method", GET[1:]),
    ("no scheme", [GET[0], *GET[2:]]),
    ("no path", [*GET[:2], GET[3]]),
    ("bad method", [(b":method", b"G T"), *GET[1:]]),
    ("bad scheme", [GET[0], (b":scheme", b"ftp"), *GET[2:]]),
    ("protocol without CONNECT", [*GET, (b":protocol", b"websocket")]),
    ("CONNECT with a path", [(b":method", b"CONNECT"), *GET[1:]]),
    ("host differs", [*GET, (b"host", b"b.example")]),
    ("host twice", [*GET, (b"host", b"a.example"), (b"host", b"a.example")]),
    ("content-length list", [*GET, (b"content-length", b"1, 1")]),
    ("content-length twice", [*GET, (b"content-length", b"1"), (b"content-length", b"1")]),
    ("content-length signed", [*GET, (b"content-length", b"+1")]),
    ("content-length without body", [*GET, (b"content-length", b"1")]),
]


@pytest.mark.parametrize("pairs", [p for _, p in MALFORMED], ids=[n for n, _ in MALFORMED])
def test_f06_malformed_requests_end_their_stream_and_nothing_is_forwarded(pairs: list[Pair]) -> None:
    data = frame(HEADERS, 5, 1, b"".join(literal(*pair) for pair in pairs))
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        engine = server()
        events = [e for piece in pieces for e in engine.feed(piece, 0.0)]
        assert [type(e) for e in events] == [StreamClosed]
        assert codes(sent(engine), RST) == [(1, 1)]
        assert isinstance(engine.feed(headers(3, GET), 0.0)[0], RequestReceived)


@pytest.mark.parametrize(
    ("length", "pieces", "delivered"),
    [(5, [b"four"], 0), (3, [b"four"], 0), (5, [b"abc", b"def"], 1), (0, [b"x"], 0)],
)
def test_f06_content_length_against_data(length: int, pieces: list[bytes], delivered: int) -> None:
    engine = server()
    events = engine.feed(headers(1, [*POST, (b"content-length", b"%d" % length)], end=False), 0.0)
    for i, piece in enumerate(pieces, 1):
        events += engine.feed(frame(DATA, END_STREAM if i == len(pieces) else 0, 1, piece), 0.0)
    assert sum(isinstance(e, DataReceived) for e in events) == delivered
    assert isinstance(events[-1], StreamClosed) and events[-1].reason is reason("length_mismatch")
    assert codes(sent(engine), RST) == [(1, 1)]


@pytest.mark.parametrize("line", [(b"content-length", b"1"), (b"host", b"b"), (b":path", b"/x"), (b"connection", b"x"),
                                  (b"authorization", b"x"), (b"te", b"trailers")])  # fmt: skip
def test_f06_trailers_frame_and_route_nothing(line: Pair) -> None:
    engine = server()
    engine.feed(headers(1, POST, end=False), 0.0)
    assert isinstance(engine.feed(headers(1, [line]), 0.0)[-1], StreamClosed)


def test_f06_trailers_end_the_stream_or_are_none() -> None:
    engine = server()
    engine.feed(headers(1, POST, end=False), 0.0)
    assert isinstance(engine.feed(headers(1, [(b"x", b"1")], end=False), 0.0)[-1], StreamClosed)


@pytest.mark.parametrize(
    ("pairs", "name"),
    [
        ([(b":method", b"CONNECT"), (b":authority", b"a.example:443")], "connect_refused"),
        ([*GET[:2], (b":path", b"*"), GET[3]], "bad_target"),
        ([*GET[:2], (b":path", b""), GET[3]], "bad_target"),
        ([*GET[:2], (b":path", b"http://b/"), GET[3]], "bad_target"),
        ([*GET[:2], (b":path", b"/a b"), GET[3]], "bad_target"),
        ([*GET[:2], (b":path", b"/\xc3\xa4"), GET[3]], "bad_target"),
    ],
)
def test_f07_targets(pairs: list[Pair], name: str) -> None:
    (event,) = server().feed(headers(1, pairs), 0.0)
    assert isinstance(event, Rejected) and event.reason is reason(name)


def test_f07_star_is_for_options_only() -> None:
    pairs = [(b":method", b"OPTIONS"), GET[1], (b":path", b"*"), GET[3]]
    (event,) = server().feed(headers(1, pairs), 0.0)
    assert isinstance(event, RequestReceived) and event.request.path == "*"


@pytest.mark.parametrize("authority", [b"", b"a/b", b"user@a", b"a:99999", b"[::1", b"a b", None])
def test_f08_a_host_that_is_none(authority: bytes | None) -> None:
    pairs = GET[:3] if authority is None else [*GET[:3], (b":authority", authority)]
    (event,) = server().feed(frame(HEADERS, 5, 1, b"".join(literal(*p) for p in pairs)), 0.0)
    if isinstance(event, Rejected):
        assert event.reason.status == 400
    else:
        assert isinstance(event, StreamClosed)


def flood(engine: Http2Server, make: object, most: int) -> int:
    """How often `make(i)` is let through before the connection is closed for it."""
    for i in range(most):
        events = engine.feed(make(i), 0.0)  # type: ignore[operator]
        if events and isinstance(events[-1], ConnectionClosed):
            assert events[-1].reason is reason("flood")
            assert codes(sent(engine), GOAWAY)[-1][1] == 11
            assert engine.closing
            return i
        engine.pending()
    raise AssertionError("nothing stops it")


PADDING = frame(DATA, 8, 1, b"\x03\0\0\0")
FLOODS = {
    "rapid reset": lambda i: headers(2 * i + 3, GET) + rst(2 * i + 3),
    "made you reset": lambda i: headers(2 * i + 3, GET) + window(2 * i + 3, 0),
    "malformed requests": lambda i: headers(2 * i + 3, GET[1:]),
    "settings": lambda i: settings((4, i)),
    "ping": lambda i: frame(PING, 0, 0, b"12345678"),
    "priority": lambda i: frame(PRIORITY, 0, 2 * i + 3, b"\0\0\0\0\0"),
    "priority update": lambda i: frame(0x10, 0, 0, b"\0\0\0\x01u=1"),
    "window update": lambda i: window(0, 1),
    "empty data": lambda i: frame(DATA, 0, 1),
    "padding only": lambda i: PADDING,
    "unknown": lambda i: frame(0x55, 0, 0, b""),
    "goaway": lambda i: frame(GOAWAY, 0, 0, b"\0" * 8),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_f09_floods_end_the_connection(kind: str) -> None:
    engine = server(Http2Limits(flood_budget=500.0))
    engine.feed(headers(1, POST, end=False), 0.0)
    assert 40 < flood(engine, FLOODS[kind], 600) <= 500


def test_f09_an_honest_client_never_runs_out() -> None:
    engine = server(Http2Limits(flood_budget=500.0))
    for i in range(3000):
        now = i / 30
        stream = 2 * i + 1
        events = engine.feed(
            headers(stream, GET) + (rst(stream) if i % 3 == 0 else b"") + frame(PING, 0, 0, b"12345678"), now
        )
        assert isinstance(events[0], RequestReceived)
        engine.respond(stream, 200, NO_FIELDS, b"x" * 600)
        if i % 3:
            assert engine.feed(window(0, 600) + window(stream, 600), now) == []


@pytest.mark.parametrize("piece", [b"", b"\x82"], ids=["empty", "of one byte"])
def test_f09_continuation_flood_by_frames(piece: bytes) -> None:
    engine = server()
    engine.feed(frame(HEADERS, 1, 1, b"\x82"), 0.0)
    assert flood(engine, lambda i: frame(CONTINUATION, 0, 1, piece), 100) == Http2Limits().continuations


def test_f09_continuation_flood_by_bytes() -> None:
    engine = server(Http2Limits(head=20_000, continuations=100))
    engine.feed(frame(HEADERS, 1, 1, b"\x82"), 0.0)
    assert flood(engine, lambda i: frame(CONTINUATION, 0, 1, b"\0" * 16000), 100) == 2


def test_f10_a_bomb_is_refused_and_the_connection_goes_on() -> None:
    engine = server()
    value = b"v" * 100
    bomb = static_block(GET) + b"\x40\x01n\x64" + value + b"\xbe" * 9000
    (event,) = engine.feed(frame(HEADERS, 5, 1, bomb), 0.0)
    assert isinstance(event, Rejected) and event.reason.status == 431
    engine.respond(1, 431, NO_FIELDS, b"")
    (event,) = engine.feed(frame(HEADERS, 5, 3, static_block(GET) + b"\xbe"), 0.0)
    assert event.request.fields.get(b"n") == value  # the table is as the client believes


def test_f10_cookie_crumbs_and_fields_are_counted() -> None:
    engine = server()
    (event,) = engine.feed(headers(1, GET + [(b"cookie", b"a=%d" % i) for i in range(101)]), 0.0)
    assert isinstance(event, Rejected) and event.reason is reason("too_many_fields")
    (event,) = engine.feed(headers(3, GET + [(b"x", b"1") for i in range(99)]), 0.0)
    assert isinstance(event, RequestReceived) and len(event.request.fields) == 100
    (event,) = engine.feed(headers(5, GET + [(b"x", b"1") for i in range(100)]), 0.0)
    assert isinstance(event, Rejected)


def test_f10_the_memory_of_requests_is_bounded() -> None:
    engine = server()
    for i in range(300):
        engine.feed(headers(2 * i + 1, [*GET, (b"x", b"%d" % i)]), 0.0)
        engine.respond(2 * i + 1, 200, NO_FIELDS, b"")
    assert len(engine._known) <= 32
    before = len(engine._known)
    engine.feed(headers(999, [*GET, (b"x", b"v" * 3000)]), 0.0)
    assert len(engine._known) == before


def test_f11_zero_window_hold() -> None:
    engine = server(hello=PREFACE + settings((4, 0)) + frame(SETTINGS, ACK))
    engine.feed(headers(1, GET), 1.0)
    engine.respond(1, 200, NO_FIELDS, b"x" * 1000)
    (event,), now = until_over(engine, 1.0)
    assert isinstance(event, StreamClosed) and event.reason is reason("read_timeout")
    assert 31.0 <= now <= 37.0
    assert codes(sent(engine), RST) == [(1, 8)] and not engine._streams


def test_f11_zero_window_hold_of_a_streamed_body() -> None:
    engine = server(hello=PREFACE + settings((4, 0)) + frame(SETTINGS, ACK))
    engine.feed(headers(1, GET), 1.0)
    engine.start(1, 200, NO_FIELDS)
    assert engine.window(1) == 0
    (event,), now = until_over(engine, 1.0)
    assert isinstance(event, StreamClosed) and event.reason is reason("read_timeout") and 31.0 <= now <= 37.0


def test_f11_one_byte_windows_are_too_slow_but_a_slow_download_lives() -> None:
    for increment, outcome in ((1, StreamClosed), (2000, type(None))):
        engine = server(hello=PREFACE + settings((4, 0)) + frame(SETTINGS, ACK))
        engine.feed(headers(1, GET), 0.0)
        engine.respond(1, 200, NO_FIELDS, b"x" * 1_000_000)
        found: Event | None = None
        for second in range(1, 120):
            assert engine.feed(window(0, increment) + window(1, increment), float(second)) == []
            events = engine.tick(float(second))
            if events:
                found = events[0]
                break
        assert type(found) is outcome


def test_f11_slow_preface_and_slow_settings() -> None:
    for said in (b"", PREFACE[:10], PREFACE, PREFACE + settings()):
        engine = Http2Server("https", Http2Limits(), DateStamp(DATE))
        assert engine.deadline() == 0.0
        assert engine.tick(100.0) == []
        if said:
            assert engine.feed(said, 100.0) == []
        (event,), now = until_over(engine, 100.0)
        assert isinstance(event, ConnectionClosed) and event.reason is reason("head_timeout")
        assert 110.0 <= now <= 113.0 and engine.closing


def test_f11_slow_head() -> None:
    for begun in (frame(HEADERS, 1, 1, b"\x82"), headers(1, GET)[:12]):
        engine = server()
        engine.feed(begun, 50.0)
        (event,), now = until_over(engine, 50.0)
        assert isinstance(event, ConnectionClosed) and event.reason is reason("head_timeout") and 60.0 <= now <= 63.0


def test_f11_slow_body() -> None:
    """A byte a second is too slow, also where it never makes a whole frame; a slow reader on our side is not its fault."""
    dripping = frame(DATA, 0, 1, b"x" * 1000)
    for drips in (lambda i: dripping[i - 1 : i], lambda i: frame(DATA, 0, 1, b"x")):
        engine = server()
        engine.feed(headers(1, POST, end=False), 0.0)
        found: list[Event] = []
        for second in range(1, 60):
            for event in engine.feed(drips(second), float(second)):
                if isinstance(event, DataReceived):
                    engine.consumed(1, event.cost)
            found += engine.tick(float(second))
            if found:
                break
        assert isinstance(found[0], Rejected) and found[0].reason is reason("body_timeout") and 30 <= second <= 40
        engine.respond(1, 408, NO_FIELDS, b"")
    engine = server()
    engine.feed(headers(1, POST, end=False) + frame(DATA, 0, 1, b"x"), 0.0)
    for second in range(1, 200):
        assert engine.tick(float(second)) == []


def test_f11_idle_connections_end() -> None:
    engine = server()
    engine.feed(headers(1, GET), 100.0)
    engine.respond(1, 200, NO_FIELDS, b"x")
    engine.feed(frame(PING, 0, 0, b"12345678"), 150.0)
    assert engine.deadline() == 175.0
    (event,) = engine.tick(175.0)
    assert isinstance(event, ConnectionClosed) and event.reason is reason("idle_timeout")
    assert codes(sent(engine), GOAWAY) == [(1, 0)]


def test_f11_a_long_answer_is_not_idle() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    for second in range(1, 500):
        assert engine.tick(float(second)) == []


def test_f12_long_uri_414() -> None:
    (event,) = server().feed(headers(1, [*GET[:2], (b":path", b"/" + b"a" * 8192), GET[3]]), 0.0)
    assert isinstance(event, Rejected) and event.reason.status == 414


def test_f12_a_head_too_long_to_hold_its_own_request_line() -> None:
    engine = server()
    block = static_block([*GET[:2], (b":path", b"/" + b"a" * 70_000), GET[3]])
    pieces = [block[i : i + 16384] for i in range(0, len(block), 16384)]
    data = frame(HEADERS, 1, 1, pieces[0]) + b"".join(frame(CONTINUATION, 0, 1, piece) for piece in pieces[1:])
    (event,) = engine.feed(data + frame(CONTINUATION, 4, 1), 0.0)
    assert isinstance(event, Rejected) and event.reason.status == 431 and event.request is None
    engine.respond(1, 431, NO_FIELDS, b"no")
    assert head_of(sent(engine), 1)[b":status"] == b"431"


def test_f12_long_head_431() -> None:
    engine = server()
    block = static_block([*GET, *[(b"x-%d" % i, b"{}" * 10_000) for i in range(4)]])
    data = frame(HEADERS, 1, 1, block[:16384])
    data += b"".join(frame(CONTINUATION, 0, 1, block[i : i + 16384]) for i in range(16384, len(block), 16384))
    (event,) = engine.feed(data + frame(CONTINUATION, 4, 1), 0.0)
    assert isinstance(event, Rejected) and event.reason.status == 431


def test_f12_long_body_413_by_its_declaration_and_on_the_wire() -> None:
    engine = server(Http2Limits(body=1000))
    (event,) = engine.feed(headers(1, [*POST, (b"content-length", b"1001")], end=False), 0.0)
    assert isinstance(event, Rejected) and event.reason.status == 413
    assert engine.feed(frame(DATA, 0, 1, b"x" * 500), 0.0) == []
    engine.respond(1, 413, NO_FIELDS, b"no")
    frames = sent(engine)
    assert head_of(frames, 1)[b":status"] == b"413" and codes(frames, RST) == []
    events = engine.feed(headers(3, POST, end=False) + frame(DATA, 0, 3, b"x" * 600) * 2 + frame(DATA, 1, 3, b"x"), 0.0)
    assert [type(e) for e in events] == [RequestReceived, DataReceived, Rejected]
    engine.respond(3, 413, NO_FIELDS, b"no")
    assert isinstance(engine.feed(headers(5, GET), 0.0)[0], RequestReceived)


def test_f13_head_204_and_304_have_no_body() -> None:
    engine = server()
    text = Fields([(b"content-type", b"text/plain")])
    head: list[Pair] = [(b":method", b"HEAD"), *GET[1:]]
    engine.feed(headers(1, head) + headers(3, GET) + headers(5, GET) + headers(7, head) + headers(9, GET), 0.0)
    engine.respond(9, 200, text, b"body")  # makes the short way known
    engine.respond(1, 200, text, b"body")
    engine.respond(3, 204, text, b"")
    engine.respond(5, 304, Fields([(b"content-length", b"4")]), b"")
    engine.start(7, 200, Fields([(b"content-length", b"4")]))
    engine.data(7, b"body")
    engine.end(7)
    frames = sent(engine)
    assert body_of(frames, 1) == body_of(frames, 3) == body_of(frames, 5) == body_of(frames, 7) == b""
    assert head_of(frames, 1)[b"content-length"] == head_of(frames, 5)[b"content-length"] == b"4"
    assert b"content-length" not in head_of(frames, 3)
    assert not engine._streams
    assert isinstance(engine.feed(headers(11, GET), 0.0)[0], RequestReceived)


def test_a_hundred_blocked_streams_hold_what_was_handed_in_and_no_more() -> None:
    import tracemalloc  # noqa: PLC0415

    engine = server(hello=HELLO)
    body = b"x" * 1_000_000
    for i in range(100):
        engine.feed(headers(2 * i + 1, GET), 0.0)
    tracemalloc.start()
    for i in range(100):
        engine.respond(2 * i + 1, 200, NO_FIELDS, body)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 65_535 + 100 * 1500
    assert sum(len(piece) for piece in engine.pending()) < 65_535 + 100 * 200


def test_headers_frames_over_the_wire_are_continued() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    engine.respond(1, 200, Fields([(b"x-%d" % i, b"{}" * 5000) for i in range(3)]), b"")
    frames = sent(engine)
    assert [k for k, _, _, _ in frames] == [HEADERS, CONTINUATION] and frames[0][1] == END_STREAM and frames[1][1] == 4
    assert len(head_of(frames, 1)) == 6
