"""The server's engine: requests, answers, flow control, the end of a connection. Frames by hand, and `h2` as the client."""

from __future__ import annotations

from struct import pack

import h2.config
import h2.connection
import h2.events
import pytest
from tests.wire.http2.kit import (
    ACK,
    CONTINUATION,
    DATA,
    DATE,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    HELLO,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    body_of,
    codes,
    frame,
    head_of,
    headers,
    rst,
    sent,
    server,
    settings,
    shown,
    window,
)
from tests.wire.outgoing import unjoined

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.codec import DateStamp, LocalError
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    MessageEnded,
    Rejected,
    RequestReceived,
    StreamClosed,
    WindowOpened,
)
from enfilade.wire.http2 import Http2Limits, Http2Server
from enfilade.wire.http2.output import DRAIN

TEXT = Fields([(b"content-type", b"text/plain")])
CONVERSATION = (
    HELLO
    + headers(1, GET)
    + headers(3, POST, end=False)
    + frame(DATA, 0, 3, b"hello")
    + frame(DATA, PADDED, 3, b"\x02 world\0\0")
    + headers(3, [(b"x-sum", b"1")])
    + frame(HEADERS, PRIORITISED | PADDED | END_STREAM, 5, b"\x01" + b"\0\0\0\0\x10" + b"\x82\x87" + b"\0")
    + frame(CONTINUATION, 0, 5, b"\x84")
    + frame(CONTINUATION, END_HEADERS, 5, b"\x01\x09a.example")
    + frame(0x77, 3, 9, b"unknown")
    + frame(PRIORITY, 0, 11, b"\0\0\0\0\0")
    + frame(0x10, 0, 0, b"\0\0\0\x01u=1")
    + settings((0x99, 1))
    + frame(PING, 0, 0, b"12345678")
)


def test_a_conversation_whole_and_byte_by_byte() -> None:
    whole = Http2Server("https", Http2Limits(), DateStamp(DATE))
    get, post, last = whole.feed(CONVERSATION, 0.0)
    assert (post.ended, post.body, post.trailers) == (True, b"hello world", Fields([(b"x-sum", b"1")]))
    assert last.request.host == "a.example" and last.ended
    pieces = Http2Server("https", Http2Limits(), DateStamp(DATE))
    events = [e for i in range(len(CONVERSATION)) for e in pieces.feed(CONVERSATION[i : i + 1], 0.0)]
    assert [type(e) for e in events] == [
        RequestReceived, RequestReceived, DataReceived, DataReceived, MessageEnded, RequestReceived,
    ]  # fmt: skip
    assert (events[3].data, events[3].cost) == (b" world", 9) and events[2].data == b"hello"
    assert shown([events[0], *events[4:]]) == shown([get, MessageEnded(3, post.trailers), last])
    for event in events[2:4]:
        pieces.consumed(event.stream, event.cost)
    assert b"".join(whole.pending()) == b"".join(pieces.pending())
    for engine in (whole, pieces):
        engine.feed(b"", 0.0)
        assert engine.closing


def test_a_request_that_is_all_there_is_one_event() -> None:
    engine = Http2Server("https", Http2Limits(), DateStamp(DATE))
    events = engine.feed(
        HELLO
        + headers(1, POST, end=False)
        + headers(3, GET)
        + frame(DATA, 0, 1, b"hello")
        + frame(DATA, END_STREAM | PADDED, 1, b"\x02 world\0\0")
        + headers(5, POST, end=False)
        + frame(DATA, END_STREAM, 5)
        + headers(7, POST, end=False)
        + frame(DATA, 0, 7, b"begun"),
        0.0,
    )
    told = [(e.stream, e.ended, e.body) for e in events if isinstance(e, RequestReceived)]
    assert told == [(1, True, b"hello world"), (3, True, b""), (5, True, b""), (7, False, b"")]
    assert [(type(e), e.stream) for e in events[4:]] == [(DataReceived, 7)]


def test_the_request_has_all_that_a_request_has() -> None:
    pairs = [*GET[:2], (b":path", b"/a%20b/../c?q=1"), (b":authority", b"Shop.Example:8443"), (b"cookie", b"a=1"),
             (b"cookie", b"b=2"), (b"te", b"trailers")]  # fmt: skip
    (event,) = server().feed(headers(1, pairs), 0.0)
    request = event.request
    assert (request.method, request.scheme, request.version) == ("GET", "https", "2")
    assert (request.authority, request.host) == ("shop.example:8443", "shop.example")
    assert (request.path, request.raw_path, request.query) == ("/c", b"/c", b"q=1")
    assert request.fields.pairs[0] == (b"host", b"Shop.Example:8443")
    assert request.fields.get(b"cookie") == b"a=1; b=2" and len(request.fields.all(b"cookie")) == 2


def test_the_same_block_gives_the_same_request_while_the_table_stays() -> None:
    engine = server()
    one, two = engine.feed(headers(1, GET) + headers(3, GET), 0.0)
    assert one.request is two.request
    changing = frame(HEADERS, 5, 5, b"\x82\x87\x84\x41\x01b")  # puts :authority b into the table
    engine.feed(changing, 0.0)
    (three,) = engine.feed(headers(7, GET), 0.0)
    assert three.request is not two.request and three.request.authority == "a.example"


def test_the_same_block_gives_the_same_request_where_a_body_follows() -> None:
    pairs = [*POST, (b"content-length", b"2")]
    engine = server()
    requests = []
    for stream in (1, 3):
        request, body, end = unjoined(
            engine.feed(headers(stream, pairs, end=False) + frame(DATA, 1, stream, b"ab"), 0.0)
        )
        assert not request.ended and body.data == b"ab" and isinstance(end, MessageEnded)
        requests.append(request.request)
    assert requests[0] is requests[1]
    events = engine.feed(headers(5, pairs, end=False) + frame(DATA, 1, 5, b"abc"), 0.0)
    assert isinstance(events[-1], (Rejected, StreamClosed))  # the length is promised each time


def test_a_remembered_block_is_held_to_the_rules_of_streams() -> None:
    engine = server(limits=Http2Limits(streams=1))
    engine.feed(headers(1, POST, end=False), 0.0)
    (refused,) = engine.feed(headers(3, POST, end=False), 0.0)
    assert isinstance(refused, StreamClosed) and refused.reason is reason("too_many_streams")
    (again,) = engine.feed(headers(1, POST, end=False), 0.0)  # trailers that do not end the stream
    assert isinstance(again, StreamClosed)
    (even,) = engine.feed(headers(4, POST, end=False), 0.0)
    assert isinstance(even, ConnectionClosed)


def test_a_response_has_length_and_date_and_no_connection_fields() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    engine.respond(1, 200, Fields([(b"connection", b"close"), (b"keep-alive", b"1"), (b"x", b"y")]), b"hello")
    frames = sent(engine)
    assert head_of(frames, 1) == {b":status": b"200", b"x": b"y", b"date": DATE, b"content-length": b"5"}
    assert frames[-1] == (DATA, END_STREAM, 1, b"hello")


def test_the_short_way_says_the_same_as_the_long_one() -> None:
    date = DateStamp(DATE)
    engine = Http2Server("https", Http2Limits(), date)
    engine.feed(HELLO, 0.0)
    engine.pending()
    outputs = []
    for stream in (1, 3, 5, 7, 9):
        if stream == 5:
            date.set(DATE.replace(b"11:00", b"11:01"))
        engine.feed(headers(stream, GET), 0.0)
        engine.respond(stream, 200 if stream < 7 else 404, TEXT, b"x" * (7 if stream < 9 else 8))
        frames = sent(engine)
        outputs.append((head_of(frames, stream), body_of(frames, stream), frames[-1][1]))
    assert outputs[0] == outputs[1]
    assert outputs[2][0][b"date"] == date.value and outputs[2][0] != outputs[1][0]
    assert outputs[3][0][b":status"] == b"404" and outputs[4][0][b"content-length"] == b"8"
    assert all(end == END_STREAM for _, _, end in outputs)


def test_a_date_or_length_of_its_own_is_kept() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    engine.respond(1, 200, Fields([(b"date", b"now"), (b"content-length", b"2")]), b"ab")
    assert head_of(sent(engine), 1) == {b":status": b"200", b"date": b"now", b"content-length": b"2"}


@pytest.mark.parametrize("bad", [(b"X", b"1"), (b"x", b"a\r\nb"), (b"x y", b"1"), (b":status", b"2"), (b"x", b" 1"),
                                 (b"content-length", b"x")])  # fmt: skip
def test_fields_that_are_none_are_our_bug(bad: tuple[bytes, bytes]) -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    with pytest.raises(LocalError):
        engine.respond(1, 200, Fields([bad]), b"")


def test_a_body_that_is_not_as_long_as_promised_is_our_bug() -> None:
    engine = server()
    engine.feed(headers(1, GET) + headers(3, GET), 0.0)
    three = Fields([(b"content-length", b"3")])
    with pytest.raises(LocalError):
        engine.respond(1, 200, three, b"four")
    engine.start(1, 200, three)
    engine.data(1, b"ab")
    with pytest.raises(LocalError):
        engine.end(1)
    with pytest.raises(LocalError):
        engine.data(1, b"cd")
    with pytest.raises(LocalError):
        engine.data(3, b"body before head")
    with pytest.raises(LocalError):
        engine.respond(99, 200, NO_FIELDS, b"")


def test_interim_head_data_and_trailers() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    engine.inform(1, 103, Fields([(b"link", b"</x>")]))
    engine.start(1, 200, TEXT)
    engine.data(1, b"x" * 20000)
    engine.end(1, Fields([(b"x-sum", b"1")]))
    frames = sent(engine)
    assert [(k, f, len(p)) for k, f, _, p in frames if k == DATA] == [(DATA, 0, 16384), (DATA, 0, 3616)]
    assert frames[-1][:2] == (HEADERS, END_STREAM | END_HEADERS) and frames[0][0] == HEADERS
    with pytest.raises(LocalError):
        engine.inform(1, 103, NO_FIELDS)


def test_what_does_not_fit_the_window_goes_as_it_opens_in_turns() -> None:
    engine = server(hello=PREFACE + settings((4, 100_000)) + frame(SETTINGS, ACK))
    body = bytes(range(256)) * 400  # 102,400 bytes: more than the connection's 65,535
    engine.feed(headers(1, GET) + headers(3, GET), 0.0)
    engine.respond(1, 200, TEXT, body)
    engine.respond(3, 200, TEXT, body)
    frames = sent(engine)
    assert len(body_of(frames, 1)) == 65535 and not body_of(frames, 3)
    assert engine.feed(window(0, 65536), 0.0) == []
    more = sent(engine)
    assert [s for k, _, s, _ in more] == [3, 1, 3, 1] or [s for k, _, s, _ in more] == [1, 3, 1, 3]
    engine.feed(window(0, 200_000), 0.0)
    frames += more + sent(engine)
    assert len(body_of(frames, 1)) == len(body_of(frames, 3)) == 100_000
    engine.feed(window(1, 10_000) + window(3, 10_000), 0.0)
    frames += sent(engine)
    assert body_of(frames, 1) == body_of(frames, 3) == body
    assert sum(f for k, f, _, _ in frames if k == DATA) == 2 and not engine._streams


def test_window_opened_tells_who_waits() -> None:
    engine = server(hello=PREFACE + settings((4, 10)) + frame(SETTINGS, ACK))
    engine.feed(headers(1, GET), 0.0)
    engine.start(1, 200, NO_FIELDS)
    assert engine.window(1) == 10
    engine.data(1, b"x" * 10)
    assert engine.window(1) == 0
    with pytest.raises(LocalError):
        engine.data(1, b"x")
    (event,) = engine.feed(window(1, 5), 0.0)
    assert isinstance(event, WindowOpened) and event.stream == 1 and engine.window(1) == 5
    assert engine.feed(window(1, 5), 0.0) == []  # nobody waits
    engine.feed(settings((4, 0)), 0.0)
    assert engine.window(1) == 0  # section 6.9.2: it may be below zero
    (event,) = engine.feed(settings((4, 20)), 0.0)
    assert isinstance(event, WindowOpened) and engine.window(1) == 20


def test_consumed_opens_the_windows_of_the_peer() -> None:
    engine = server(Http2Limits(stream_window=1000, connection_window=100_000))
    engine.feed(headers(1, POST, end=False), 0.0)
    (event,) = engine.feed(frame(DATA, 0, 1, b"x" * 1000), 0.0)
    assert sent(engine) == []
    engine.consumed(1, event.cost)
    assert sent(engine) == [(WINDOW, 0, 1, pack(">I", 1000))]
    for _ in range(60):
        engine.feed(frame(DATA, 0, 1, b"x" * 1000), 0.0)
        engine.consumed(1, 1000)
    assert sum(s == 0 for _, _, s, _ in sent(engine)) == 1


def test_more_than_the_window_is_a_flow_control_error() -> None:
    engine = server(Http2Limits(stream_window=70_000, connection_window=100_000))
    body = b"".join(frame(DATA, 0, 1, b"x" * 16000) for _ in range(5))
    events = engine.feed(headers(1, POST, end=False) + body, 0.0)
    assert isinstance(events[-1], StreamClosed) and codes(sent(engine), RST) == [(1, 3)]
    engine = server(Http2Limits(stream_window=70_000, connection_window=70_000))
    events = engine.feed(headers(1, POST, end=False) + body, 0.0)
    assert isinstance(events[-1], ConnectionClosed) and codes(sent(engine), GOAWAY) == [(1, 3)]


@pytest.mark.parametrize(
    ("bytes_in", "error"),
    [
        (window(0, 0), 1),
        (window(0, 2**31 - 1), 3),
        (settings((4, 2**31)), 3),
        (settings((2, 2)), 1),
        (settings((5, 100)), 1),
        (settings((8, 2)), 1),
        (frame(SETTINGS, 0, 1), 1),
        (frame(SETTINGS, 0, 0, b"x"), 6),
        (frame(SETTINGS, ACK, 0, b"\0" * 6), 6),
        (frame(PING, 0, 0, b"short"), 6),
        (frame(PING, 0, 1, b"12345678"), 1),
        (frame(RST, 0, 1, b"\0\0\0\0"), 1),
        (frame(RST, 0, 0, b"\0\0\0\0"), 1),
        (frame(PRIORITY, 0, 1, b"\0"), 6),
        (frame(PUSH, 4, 1, b"\0\0\0\x02"), 1),
        (frame(DATA, 0, 1, b"x"), 1),
        (frame(DATA, 0, 0, b"x"), 1),
        (headers(2, GET), 1),
        (headers(1, GET) + headers(1, GET) * 1 + headers(3, GET), 0),
        (frame(HEADERS, 5, 1, b"\xbe"), 9),
        (frame(HEADERS, PADDED | 5, 1, b"\x09abc"), 1),
        (frame(HEADERS, 1, 1, b"\x82") + frame(PING, 0, 0, b"12345678"), 1),
        (frame(HEADERS, 1, 1, b"\x82") + frame(CONTINUATION, 4, 3, b"\x87"), 1),
        (frame(CONTINUATION, 4, 1, b"\x87"), 1),
        (b"\x00\x40\x01" + frame(DATA, 0, 1)[3:], 6),
        (frame(0x10, 0, 0, b"\0\0\0\0"), 1),
        (frame(0x10, 0, 1, b"\0\0\0\x01"), 1),
    ],
)
def test_connection_errors(bytes_in: bytes, error: int) -> None:
    engine = server()
    events = engine.feed(bytes_in, 0.0)
    frames = sent(engine)
    if error:
        assert isinstance(events[-1], ConnectionClosed) and codes(frames, GOAWAY)[0][1] == error
        assert engine.closing and engine.feed(headers(5, GET), 0.0) == []
    else:  # HEADERS on a stream that is half closed ends that one only
        assert codes(frames, RST) == [(1, 5)] and isinstance(events[-1], RequestReceived)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", PREFACE + headers(1, GET),
                                  PREFACE + frame(SETTINGS, ACK)])  # fmt: skip
def test_the_preface_comes_first(data: bytes) -> None:
    engine = Http2Server("https", Http2Limits(), DateStamp(DATE))
    assert isinstance(engine.feed(data, 0.0)[-1], ConnectionClosed)
    assert engine.closing


def test_the_window_of_a_stream_cannot_overflow() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    assert isinstance(engine.feed(window(1, 2**31 - 1), 0.0)[-1], StreamClosed)
    engine.feed(headers(3, GET) + window(3, 2**31 - 1 - 65535), 0.0)
    assert isinstance(engine.feed(settings((4, 65536)), 0.0)[-1], ConnectionClosed)


def test_more_streams_than_agreed_are_refused() -> None:
    engine = server(Http2Limits(streams=2))
    events = engine.feed(headers(1, GET) + headers(3, GET) + headers(5, GET), 0.0)
    assert [type(e) for e in events] == [RequestReceived, RequestReceived, StreamClosed]
    assert codes(sent(engine), RST) == [(5, 7)]
    engine.respond(1, 200, NO_FIELDS, b"")
    assert isinstance(engine.feed(headers(7, GET), 0.0)[0], RequestReceived)


def test_behind_an_early_answer_a_short_rest_is_dropped() -> None:
    engine = server()
    engine.feed(headers(1, POST, end=False), 0.0)
    engine.respond(1, 403, NO_FIELDS, b"no")
    assert engine.feed(frame(DATA, 0, 1, b"late") + frame(DATA, END_STREAM, 1, b"later"), 0.0) == []
    assert codes(sent(engine), RST) == [] and not engine._streams
    assert engine.feed(headers(3, GET), 0.0)


def test_behind_an_early_answer_a_long_rest_is_reset() -> None:
    engine = server()
    engine.feed(headers(1, POST, end=False), 0.0)
    engine.respond(1, 403, NO_FIELDS, b"no")
    for size in range(0, DRAIN, 16384):
        assert engine.feed(frame(DATA, 0, 1, bytes(16384)), 0.0) == [], size
    assert codes(sent(engine), RST) == []
    assert engine.feed(frame(DATA, 0, 1, b"one more"), 0.0) == []
    assert codes(sent(engine), RST) == [(1, 0)] and not engine._streams


def test_behind_an_early_answer_a_slow_rest_is_reset() -> None:
    engine = server()
    engine.feed(headers(1, POST, end=False), 0.0)
    engine.respond(1, 403, NO_FIELDS, b"no")
    engine.pending()
    for second in range(1, 9):
        assert engine.tick(float(second)) == []
    assert codes(sent(engine), RST) == [(1, 0)] and not engine._streams


def test_answering_a_stream_that_the_peer_has_just_reset_harms_nobody() -> None:
    engine = server()
    events = engine.feed(headers(1, GET) + rst(1), 0.0)
    assert [type(e) for e in events] == [RequestReceived, StreamClosed]
    engine.respond(1, 200, NO_FIELDS, b"x")
    assert sent(engine) == [] and engine.window(1) == 0


def test_reset_tells_the_peer_whose_fault_it_was() -> None:
    engine = server()
    engine.feed(headers(1, GET) + headers(3, GET), 0.0)
    engine.reset(1, reason("application_raised"))
    engine.reset(3, reason("client_gone"))
    engine.reset(3, reason("client_gone"))
    assert codes(sent(engine), RST) == [(1, 2), (3, 8)]


def test_drain_waits_a_round_trip_then_for_what_is_open() -> None:
    engine = server()
    engine.feed(headers(1, GET), 0.0)
    engine.drain()
    frames = sent(engine)
    assert codes(frames, GOAWAY) == [(2**31 - 1, 0)]
    ping = next(p for k, _, _, p in frames if k == PING)
    assert len(engine.feed(headers(3, GET), 0.0)) == 1  # it was on its way
    engine.feed(frame(PING, ACK, 0, ping), 0.0)
    assert codes(sent(engine), GOAWAY) == [(3, 0)]
    assert engine.feed(headers(5, POST, end=False) + frame(DATA, 1, 5, b"x"), 0.0) == []
    engine.respond(1, 200, NO_FIELDS, b"x")
    assert not engine.closing
    engine.respond(3, 200, NO_FIELDS, b"x")
    assert engine.closing and engine.deadline() is None
    (event,) = engine.feed(b"", 0.0)
    assert event.reason is None


def test_drain_does_not_wait_for_ever_for_the_round_trip() -> None:
    engine = server()
    engine.drain()
    now = 60.0
    while (due := engine.deadline()) is not None:
        now = max(now, due)
        assert engine.tick(now) == []
    assert engine.closing and now <= 80.0


def test_extended_connect_opens_a_tunnel() -> None:
    engine = server()
    pairs = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    (event,) = engine.feed(headers(1, pairs, end=False), 0.0)
    assert event.request.protocol == "websocket" and not event.ended
    engine.accept(1, Fields([(b"sec-websocket-protocol", b"chat")]))
    engine.data(1, b"to you")
    (data,) = engine.feed(frame(DATA, 0, 1, b"to me"), 0.0)
    assert data.data == b"to me"
    engine.end(1)
    frames = sent(engine)
    assert head_of(frames, 1)[b":status"] == b"200" and body_of(frames, 1) == b"to you"
    assert codes(frames, RST) == []
    assert isinstance(engine.feed(frame(DATA, END_STREAM, 1), 0.0)[0], MessageEnded)
    engine.feed(headers(3, GET), 0.0)
    with pytest.raises(LocalError):
        engine.accept(3, NO_FIELDS)


def test_a_refused_tunnel_is_an_answer_like_any_other() -> None:
    engine = server()
    pairs = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    engine.feed(headers(1, pairs, end=False) + headers(3, pairs, end=False), 0.0)
    engine.respond(1, 403, TEXT, b"no")
    engine.start(3, 403, TEXT)
    engine.end(3)
    assert codes(sent(engine), RST) == [(1, 0), (3, 0)] and not engine._streams


def test_a_smaller_table_is_acknowledged_once() -> None:
    engine = server(hello=PREFACE + settings((1, 0)) + frame(SETTINGS, ACK))
    engine.feed(headers(1, GET) + headers(3, GET), 0.0)
    engine.respond(1, 200, TEXT, b"x")
    engine.respond(3, 200, TEXT, b"x")
    blocks = [p for k, _, _, p in sent(engine) if k == HEADERS]
    assert blocks[0] == b"\x20" + blocks[1]


def h2_pair(**values: int) -> tuple[h2.connection.H2Connection, Http2Server]:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=False))
    client.initiate_connection()
    if values:
        client.update_settings({getattr(h2.settings.SettingCodes, k): v for k, v in values.items()})
    engine = Http2Server("https", Http2Limits(), DateStamp(DATE))
    return client, engine


def turn(client: h2.connection.H2Connection, engine: Http2Server) -> tuple[list, list]:
    ours, theirs = [], []
    for _ in range(50):
        data = client.data_to_send()
        if data:
            ours += engine.feed(data, 0.0)
            for event in ours:
                if isinstance(event, DataReceived):
                    engine.consumed(event.stream, event.cost)
        back = b"".join(engine.pending())
        if back:
            theirs += client.receive_data(back)
        if not data and not back:
            return ours, theirs
    raise AssertionError("they talk for ever")


def test_h2_as_the_client_requests_bodies_and_trailers() -> None:
    client, engine = h2_pair()
    for stream in range(1, 20, 2):
        client.send_headers(stream, [*POST, (b"x-n", b"%d" % stream)])
        for _ in range(4):
            client.send_data(stream, b"d" * 1000, pad_length=stream)
        client.send_headers(stream, [(b"x-end", b"%d" % stream)], end_stream=True)
        ours, _ = turn(client, engine)
        assert len(ours[-1].body) == 4000 and ours[-1].trailers.get(b"x-end") == b"%d" % stream
        engine.start(stream, 200, TEXT)
        engine.data(stream, b"answer")
        engine.end(stream, Fields([(b"x-done", b"yes")]))
        _, theirs = turn(client, engine)
        assert [type(e) for e in theirs if isinstance(e, h2.events.TrailersReceived)]
        assert b"".join(e.data for e in theirs if isinstance(e, h2.events.DataReceived)) == b"answer"


def test_h2_as_the_client_flow_control() -> None:
    client, engine = h2_pair()
    body = bytes(range(256)) * 2000
    client.send_headers(1, GET, end_stream=True)
    turn(client, engine)
    engine.respond(1, 200, TEXT, body)
    received = b""
    for _ in range(100):
        _, theirs = turn(client, engine)
        for event in theirs:
            if isinstance(event, h2.events.DataReceived):
                received += event.data
                client.acknowledge_received_data(event.flow_controlled_length, 1)
        if any(isinstance(e, h2.events.StreamEnded) for e in theirs):
            break
    assert received == body and not engine._streams


def test_h2_as_the_client_reset_and_goaway() -> None:
    client, engine = h2_pair()
    client.send_headers(1, GET, end_stream=True)
    turn(client, engine)
    client.reset_stream(1)
    ours, _ = turn(client, engine)
    assert isinstance(ours[-1], StreamClosed)
    engine.drain()
    _, theirs = turn(client, engine)
    assert any(isinstance(e, h2.events.ConnectionTerminated) for e in theirs)


def test_rejected_is_answered_and_the_connection_goes_on() -> None:
    engine = server()
    (event,) = engine.feed(headers(1, [*GET, (b"expect", b"a-miracle")]), 0.0)
    assert isinstance(event, Rejected) and event.reason is reason("expectation_failed")
    assert event.request is not None and event.request.path == "/"
    engine.respond(1, event.reason.status, TEXT, b"no")
    assert head_of(sent(engine), 1)[b":status"] == b"417"
    assert isinstance(engine.feed(headers(3, GET), 0.0)[0], RequestReceived)


def test_whoever_waits_for_100_gets_it_when_the_body_is_wanted() -> None:
    """RFC 9110 section 10.1.1; a client that did not wait, or that has its answer, gets none."""
    engine = server()
    expecting = [*POST, (b"expect", b"100-continue")]
    engine.feed(headers(1, expecting, False) + headers(3, expecting, False) + headers(5, expecting, False), 0.0)
    assert sent(engine) == []
    engine.consumed(1, 0)
    engine.consumed(1, 0)
    assert [head_of([f], 1) for f in sent(engine)] == [{b":status": b"100"}]
    engine.feed(frame(DATA, 0, 3, b"a"), 0.0)
    engine.consumed(3, 0)
    engine.start(5, 200, NO_FIELDS)
    engine.consumed(5, 0)
    assert [f[2] for f in sent(engine)] == [5]
    engine.respond(1, 200, NO_FIELDS, b"")
    assert head_of(sent(engine), 1)[b":status"] == b"200"
