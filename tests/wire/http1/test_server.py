"""The server role: responses, keep-alive, pipelining, early answers, upgrades, time."""

from __future__ import annotations

import sys

import pytest
from tests.wire.http1.kit import DATE, GET, OK, answering, merged, server, told

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.codec import DateStamp, LocalError
from enfilade.wire.events import RequestReceived
from enfilade.wire.http1.connection import WINDOW
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import DRAIN, Http1Server

POST9 = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
BIG = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
DATE_LINE = b"date: Fri, 01 Jan 2027 00:00:00 GMT\r\n"


def out(engine: Http1Server) -> bytes:
    return b"".join(engine.pending())


def asked(data: bytes, limits: Http1Limits | None = None) -> Http1Server:
    engine = server(limits)
    engine.feed(data, 0.0)
    return engine


# -- responses


def test_a_whole_response() -> None:
    engine = asked(GET)
    engine.respond(1, 200, OK, b"hello")
    assert out(engine) == b"HTTP/1.1 200 OK\r\nserver: test\r\ncontent-length: 5\r\n" + DATE_LINE + b"\r\nhello"
    assert not engine.closing and engine.pending() == []


def test_a_remembered_head_goes_in_front_of_what_fields_have_more() -> None:
    date = DateStamp(b"one")
    engine = Http1Server("http", Http1Limits(), date)
    again = OK.adding((b"again", b"1"))
    for count, (fields, status, body, stamp) in enumerate([
        *[(OK.adding((b"left", b"%d" % i)), 200, b"a", b"one") for i in range(4)],
        *[(again.adding((b"left", b"%d" % i)), 200, b"a", b"one") for i in range(4)],
        (OK, 200, b"a", b"one"),
        (OK.adding((b"left", b"9")), 200, b"bb", b"one"),
        (OK.adding((b"left", b"9")), 404, b"bb", b"one"),
        (OK.adding((b"left", b"9")), 404, b"bb", b"two"),
        (OK.adding((b"date", b"mine")), 404, b"bb", b"two"),
        (OK.adding((b"content-length", b"2")), 404, b"bb", b"two"),
    ]):  # fmt: skip
        date.set(stamp) if stamp != date.value else None
        engine.feed(GET, 0.0)
        engine.respond(1, status, fields, body)
        engine.resume(0.0)
        head, _, sent = out(engine).partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        named = {b"content-length": b"%d" % len(body), b"date": stamp, **dict(fields)}
        assert first.startswith(b"HTTP/1.1 %d " % status), count
        assert sorted(lines) == sorted(b"%s: %s" % pair for pair in named.items()), count
        assert sent == body


def test_a_remembered_response_follows_status_length_and_date() -> None:
    date = DateStamp(b"one")
    engine = Http1Server("http", Http1Limits(), date)
    said = []
    for status, body, stamp in (
        (200, b"a", b"one"),
        (200, b"b", b"one"),
        (200, b"cc", b"one"),
        (404, b"d", b"one"),
        (404, b"e", b"two"),
    ):
        date.set(stamp) if stamp != date.value else None
        engine.feed(GET, 0.0)
        engine.respond(1, status, OK, body)
        engine.resume(0.0)
        said.append(out(engine))
    heads = [(200, 1, b"one"), (200, 1, b"one"), (200, 2, b"one"), (404, 1, b"one"), (404, 1, b"two")]
    for text, (status, size, stamp) in zip(said, heads, strict=True):
        assert text.startswith(b"HTTP/1.1 %d " % status)
        assert b"content-length: %d\r\ndate: %s\r\n\r\n" % (size, stamp) in text
    assert [text[-1:] for text in said] == [b"a", b"b", b"c", b"d", b"e"]


def test_streamed_responses_are_framed_by_length_or_chunks() -> None:
    engine = asked(GET)
    engine.start(1, 200, Fields([(b"content-length", b"4")]))
    engine.data(1, b"ab")
    engine.data(1, b"cd", end=True)
    assert out(engine) == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n" + DATE_LINE + b"\r\nabcd"
    engine.resume(0.0)
    engine.feed(GET, 0.0)
    engine.start(1, 200, NO_FIELDS)
    engine.data(1, b"")
    engine.data(1, b"hello, world!!!!")
    engine.end(1, Fields([(b"x-sum", b"1"), (b"content-length", b"7")]))
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + DATE_LINE + b"\r\n"
    assert out(engine) == head + b"10\r\nhello, world!!!!\r\n0\r\nx-sum: 1\r\n\r\n"
    assert not engine.closing


def test_http10_without_length_ends_with_the_connection() -> None:
    engine = asked(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    engine.start(1, 200, NO_FIELDS)
    engine.data(1, b"hi")
    assert not engine.closing
    engine.end(1)
    assert out(engine) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + DATE_LINE + b"\r\nhi"
    assert engine.closing


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"HEAD", 404)])
@pytest.mark.parametrize("streamed", [False, True])
def test_failures_13_no_body_and_no_desync(method: bytes, status: int, streamed: bool) -> None:
    engine = asked(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    if streamed:
        engine.start(1, status, NO_FIELDS)
        engine.data(1, b"hello")
        engine.end(1)
    else:
        engine.respond(1, status, NO_FIELDS, b"hello")
    text = out(engine)
    assert text.endswith(b"\r\n\r\n") and b"hello" not in text
    assert (b"content-length: 5" in text) == (method == b"HEAD" and not streamed)
    engine.resume(0.0)
    assert not engine.closing and engine.feed(GET, 0.0)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", False),
    ],
)
def test_failures_13_keep_alive(head: bytes, keeps: bool) -> None:
    engine = asked(head + b"\r\n")
    engine.respond(1, 200, NO_FIELDS, b"")
    text = out(engine)
    assert engine.closing is not keeps
    assert (b"connection: close\r\n" in text) is not keeps
    assert (b"connection: keep-alive\r\n" in text) == (keeps and b"HTTP/1.0" in head)


def test_the_engine_alone_says_how_the_connection_goes_on() -> None:
    mine = Fields(
        [(n, b"x") for n in (b"connection", b"transfer-encoding", b"keep-alive", b"upgrade", b"proxy-connection")]
    )
    engine = asked(GET)
    engine.respond(1, 200, mine, b"")
    assert out(engine) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n" + DATE_LINE + b"\r\n"


def test_a_date_of_the_caller_stays() -> None:
    engine = asked(GET)
    engine.respond(1, 200, Fields([(b"date", b"then")]), b"")
    assert out(engine).count(b"date:") == 1


@pytest.mark.parametrize(
    "pairs",
    [
        [(b"X", b"1")], [(b"x y", b"1")], [(b"", b"1")], [(b"x", b"1\r\ny: 2")], [(b"x", b"\x00")], [(b"x", b" 1")],
        [(b"x:", b"1")], [(b"content-length", b"5")], [(b"content-length", b"x")], [(b"content-length", b"2"),
        (b"content-length", b"2")],
    ],
)  # fmt: skip
def test_failures_21_bad_fields_of_ours_are_local_errors_and_another_answer_is_possible(
    pairs: list[tuple[bytes, bytes]],
) -> None:
    engine = asked(GET)
    with pytest.raises(LocalError):
        engine.respond(1, 200, Fields(pairs), b"hi")
    assert out(engine) == b""
    engine.respond(1, 500, NO_FIELDS, b"")
    assert out(engine).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000])
def test_no_status(status: int) -> None:
    engine = asked(GET)
    with pytest.raises(LocalError):
        engine.respond(1, status, NO_FIELDS, b"")
    with pytest.raises(LocalError):
        engine.start(1, status, NO_FIELDS)


def test_failures_23_bodies_that_do_not_fit_their_length() -> None:
    engine = asked(GET)
    engine.start(1, 200, Fields([(b"content-length", b"3")]))
    with pytest.raises(LocalError):
        engine.data(1, b"four")
    engine.data(1, b"ab")
    with pytest.raises(LocalError):
        engine.end(1)
    engine.reset(1, reason("application_length"))
    assert engine.closing and out(engine).endswith(b"\r\n\r\nab")


def test_a_chunked_body_that_is_reset_has_no_last_chunk() -> None:
    engine = asked(GET)
    engine.start(1, 200, NO_FIELDS)
    engine.data(1, b"ab")
    engine.reset(1, reason("application_raised"))
    assert out(engine).endswith(b"2\r\nab\r\n") and engine.closing


def test_interim_responses() -> None:
    engine = asked(GET)
    engine.inform(1, 103, Fields([(b"link", b"</x>")]))
    engine.respond(1, 200, NO_FIELDS, b"")
    assert out(engine).startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n")
    for status in (101, 200, 99):
        with pytest.raises(LocalError):
            asked(GET).inform(1, status, NO_FIELDS)
    old = asked(b"GET / HTTP/1.0\r\n\r\n")
    old.inform(1, 103, NO_FIELDS)
    assert out(old) == b""


# -- one request after the other


def test_the_same_head_gives_the_same_request_object() -> None:
    engine = server()
    first, second = (answering(engine, [GET])[0] for _ in range(2))
    assert isinstance(first, RequestReceived) and isinstance(second, RequestReceived)
    assert first.request is second.request
    other = answering(engine, [GET.replace(b"/", b"/x", 1)])[0]
    assert isinstance(other, RequestReceived) and other.request.fields is first.request.fields
    engine.forget()
    again = answering(engine, [GET])[0]
    assert isinstance(again, RequestReceived) and again.request is not first.request


def test_a_remembered_head_does_not_hide_the_version_or_the_body() -> None:
    engine = server()
    same = b"Host: a\r\nConnection: keep-alive\r\n\r\n"
    heads = [b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"HEAD / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"]
    texts = []
    for head in heads:
        answering(engine, [head + same])
        texts.append(out(engine))
    assert [b"connection: keep-alive" in t for t in texts] == [False, True, False, False]
    assert [t.endswith(b"ok") for t in texts] == [True, True, False, True]


def test_pipelined_requests_wait_for_the_response() -> None:
    engine = server()
    events = engine.feed(GET + GET.replace(b"/", b"/2", 1) + GET[:5], 0.0)
    assert len(events) == 1 and not engine.wants_read
    assert engine.resume(0.0) == []
    engine.respond(1, 200, OK, b"1")
    events = engine.resume(0.0)
    assert told(events[0])[2] == "/2" and len(events) == 1 and not engine.wants_read
    engine.respond(1, 200, OK, b"2")
    assert engine.resume(0.0) == [] and engine.wants_read
    assert len(engine.feed(GET[5:], 0.0)) == 1


def test_nothing_is_served_behind_connection_close() -> None:
    engine = asked(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
    engine.respond(1, 200, OK, b"")
    assert engine.resume(0.0) == [] and engine.closing


def test_drain_closes_behind_the_next_response() -> None:
    for idle in (True, False):
        engine = server()
        if idle:
            answering(engine, [GET])
            out(engine)
        else:
            engine.feed(GET, 0.0)
        engine.drain()
        assert not engine.closing
        if idle:
            assert len(engine.feed(GET, 0.0)) == 1
        engine.respond(1, 200, OK, b"")
        assert b"connection: close\r\n" in out(engine) and engine.closing


def test_the_end_of_the_stream() -> None:
    assert merged(server().feed(b"", 0.0)) == [("closed", None)]
    assert merged(asked(GET[:9]).feed(b"", 0.0)) == [("closed", "client_gone")]
    waiting = asked(GET)
    assert merged(waiting.feed(b"", 0.0)) == [("closed", "client_gone")]
    with pytest.raises(LocalError):
        waiting.respond(1, 200, OK, b"")
    refused = asked(b"nonsense\r\n\r\n")
    assert refused.feed(b"", 0.0) == []
    refused.respond(1, 400, OK, b"")
    assert out(refused).startswith(b"HTTP/1.1 400") and refused.closing


# -- bodies that are waited for, and bodies that nobody reads

EXPECT = POST9.replace(b"\r\n\r\n", b"\r\nExpect: 100-Continue\r\n\r\n")


def test_failures_3_continue_when_the_body_is_wanted_and_only_then() -> None:
    engine = asked(EXPECT)
    assert out(engine) == b""
    engine.consumed(1, 0)
    engine.consumed(1, 0)
    assert out(engine) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert merged(engine.feed(b"123456789", 0.0)) == [("data", b"123456789"), ("end", ())]


def test_failures_3_no_continue_behind_a_final_response_and_no_reuse() -> None:
    engine = asked(EXPECT)
    engine.respond(1, 401, OK, b"")
    engine.consumed(1, 0)
    text = out(engine)
    assert text.startswith(b"HTTP/1.1 401") and b"connection: close" in text and b"100 Continue" not in text
    assert engine.closing and engine.feed(b"123456789" + GET, 0.0) == []


def test_failures_3_no_continue_if_the_body_came_anyway_or_the_client_is_old() -> None:
    for data in (EXPECT + b"12", EXPECT.replace(b"1.1", b"1.0")):
        engine = asked(data)
        engine.consumed(1, 0)
        assert out(engine) == b""


def test_failures_4_a_short_rest_is_dropped_and_the_connection_used_again() -> None:
    engine = asked(POST9 + b"12")
    engine.respond(1, 401, OK, b"")
    assert engine.resume(0.0) == [] and not engine.closing
    assert b"connection: close" not in out(engine)
    assert [told(e)[0] for e in engine.feed(b"3456789" + GET, 0.0)] == ["request"]


@pytest.mark.parametrize("head", [BIG, CHUNKED, POST9.replace(b"Host", b"Connection: close\r\nHost")])
def test_failures_4_otherwise_it_is_closed_lingering(head: bytes) -> None:
    engine = asked(head)
    engine.respond(1, 413, OK, b"")
    assert b"connection: close\r\n" in out(engine)
    assert engine.resume(5.0) == [] and engine.closing and engine.linger and engine.wants_read
    assert engine.feed(b"2\r\nhi\r\n0\r\n\r\n" + GET, 5.0) == [] and engine.deadline() is None


def test_failures_4_dropping_has_a_cap() -> None:
    engine = asked(POST9.replace(b"9", b"%d" % (DRAIN + 1)))
    engine.start(1, 401, OK)
    engine.end(1)
    engine.resume(0.0)
    assert engine.feed(b"x" * DRAIN, 0.0) == [] and not engine.closing
    assert merged(engine.feed(b"x", 0.0)) == [("closed", None)] and engine.closing and engine.linger


def test_a_close_over_unread_requests_lingers_and_one_with_nothing_to_read_does_not() -> None:
    last = GET.replace(b"Host", b"Connection: close\r\nHost")
    for data, lingers in ((last, False), (last + GET, True)):
        engine = asked(data)
        engine.respond(1, 200, OK, b"")
        assert engine.closing and engine.linger is lingers and engine.wants_read


def test_failures_4_a_streamed_answer_may_overtake_its_request() -> None:
    engine = asked(CHUNKED)
    engine.start(1, 200, OK)
    engine.end(1)
    assert engine.resume(0.0) == []
    assert [told(e)[0] for e in engine.feed(b"2\r\nhi\r\n0\r\n\r\n" + GET, 0.0)] == ["request"]
    broken = asked(CHUNKED)
    broken.start(1, 200, OK)
    broken.end(1)
    assert merged(broken.feed(b"zz\r\n", 0.0)) == [("closed", "bad_chunk")] and broken.closing and broken.linger


def test_failures_4_requests_behind_the_dropped_rest_do_not_count() -> None:
    engine = asked(POST9)
    engine.respond(1, 401, OK, b"")
    engine.resume(0.0)
    events = engine.feed(b"123456789" + GET * (DRAIN // len(GET) + 1), 0.0)
    assert [told(e)[0] for e in events] == ["request"] and not engine.closing


def test_failures_11_a_rest_that_trickles_is_not_dropped_for_ever() -> None:
    engine = asked(POST9.replace(b"9", b"60000"))
    engine.start(1, 401, OK)
    engine.end(1)
    engine.resume(0.0)
    for seconds in (10.0, 20.0, 30.0):
        assert engine.feed(b"x", seconds) == []
    assert merged(engine.feed(b"x", 40.0)) == [("closed", "body_timeout")] and engine.closing


def test_failures_12_a_body_too_large_is_answered_and_the_close_lingers() -> None:
    limits = Http1Limits(body=10)
    engine = server(limits)
    events = engine.feed(BIG + b"x" * 100, 0.0)
    assert [told(e)[:2] for e in events] == [("rejected", "body_too_large")]
    engine.respond(1, 413, OK, b"")
    assert engine.closing and engine.linger and engine.feed(b"x" * 100, 0.0) == []


def test_a_reader_that_does_not_read_pauses_the_socket() -> None:
    engine = asked(BIG)
    engine.feed(b"x" * WINDOW, 0.0)
    assert not engine.wants_read
    engine.consumed(1, 1)
    assert engine.wants_read


# -- upgrades

WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


def protocol(data: bytes) -> str | None:
    event = server().feed(data, 0.0)[0]
    assert isinstance(event, RequestReceived), event
    return event.request.protocol


def test_failures_5_a_tunnel_only_behind_101() -> None:
    engine = server()
    assert protocol(WEBSOCKET) == "websocket"
    assert len(engine.feed(WEBSOCKET + b"ahead", 0.0)) == 1
    engine.accept(1, Fields([(b"sec-websocket-accept", b"x")]))
    head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n"
    assert out(engine) == head
    assert merged(engine.resume(0.0)) == [("data", b"ahead")]
    assert merged(engine.feed(GET, 0.0)) == [("data", GET)]
    engine.data(1, b"raw")
    assert out(engine) == b"raw"
    assert merged(engine.feed(b"", 0.0)) == [("end", ())]
    engine.data(1, b"still")
    engine.end(1)
    assert out(engine) == b"still" and engine.closing


def test_failures_5_what_is_no_upgrade() -> None:
    assert protocol(WEBSOCKET.replace(b"keep-alive, Upgrade", b"keep-alive")) is None
    assert protocol(WEBSOCKET.replace(b"1.1", b"1.0")) is None
    assert protocol(WEBSOCKET.replace(b"WebSocket", b"h2c")) is None
    assert protocol(WEBSOCKET.replace(b"GET", b"PUT")) is None
    assert protocol(WEBSOCKET.replace(b"WebSocket", b"chat/2")) == "chat/2"
    assert protocol(WEBSOCKET.replace(b"WebSocket", b"chat\r\nContent-Length: 1")) is None
    refused = server().feed(WEBSOCKET.replace(b"Host", b"Content-Length: 1\r\nHost"), 0.0)
    assert told(refused[0])[:2] == ("rejected", "bad_upgrade")
    plain = asked(GET)
    with pytest.raises(LocalError):
        plain.accept(1, NO_FIELDS)


def test_a_refused_upgrade_leaves_http() -> None:
    engine = asked(WEBSOCKET + GET)
    engine.respond(1, 403, OK, b"")
    assert [told(e)[0] for e in engine.resume(0.0)] == ["request"]


# -- time (FAILURES 11)


def test_failures_11_a_slow_head_is_answered_with_408() -> None:
    engine = server(now=100.0)
    assert engine.deadline() == 110.0
    engine.feed(GET[:3], 105.0)
    assert engine.deadline() == 115.0
    engine.feed(GET[3:6], 114.0)
    assert engine.deadline() == 115.0 and engine.tick(114.9) == []
    assert merged(engine.tick(115.0)) == [("rejected", "head_timeout", None)]
    engine.respond(1, 408, OK, b"")
    assert b"408" in out(engine) and engine.closing


def test_failures_11_silence_is_closed_without_a_word() -> None:
    fresh = server(now=0.0)
    assert merged(fresh.tick(10.0)) == [("closed", "idle_timeout")] and fresh.closing and out(fresh) == b""
    engine = asked(GET)
    assert engine.deadline() is None, "an application may take its time"
    engine.respond(1, 200, OK, b"")
    out(engine)
    assert engine.deadline() == float("-inf") and engine.tick(5.0) == [], "it is idle since the clock was looked at"
    assert engine.deadline() == 80.0
    assert merged(engine.tick(80.0)) == [("closed", "idle_timeout")] and engine.closing and out(engine) == b""


def test_what_is_remembered_is_never_told_at_the_end_of_stream() -> None:
    """A head that is too long to be remembered leaves nothing of the one before it."""
    engine = asked(GET)
    engine.respond(1, 200, OK, b"")
    long = GET[:-2] + b"x: " + b"y" * 5000 + b"\r\n\r\n"
    assert merged(engine.feed(long, 0.0))[0][:2] == ("request", "GET")
    engine.respond(1, 200, OK, b"")
    assert merged(engine.feed(b"", 0.0)) == [("closed", None)]


def test_failures_11_a_body_that_stops() -> None:
    engine = server()
    engine.feed(POST9, 0.0)
    engine.feed(b"1", 20.0)
    assert engine.deadline() == 50.0 and engine.tick(49.0) == []
    assert told(engine.tick(50.0)[0])[:2] == ("rejected", "body_timeout")
    engine.respond(1, 408, OK, b"")
    assert engine.closing


def test_failures_11_a_body_that_trickles() -> None:
    engine = server()
    engine.feed(BIG, 0.0)
    seconds, events = 0.0, []
    while not events or told(events[-1])[0] == "data":
        seconds += 10.0
        events = engine.feed(b"x" * 100, seconds)
    assert told(events[-1])[:2] == ("rejected", "body_timeout") and seconds == 40.0


def test_failures_11_our_own_slowness_is_not_the_clients() -> None:
    engine = server()
    engine.feed(BIG, 0.0)
    engine.feed(b"x" * WINDOW, 1.0)
    assert engine.tick(31.0) == []
    engine.consumed(1, WINDOW)
    assert engine.tick(61.0) == []
    assert told(engine.feed(b"x", 62.0)[0])[0] == "data"
    waiting = server()
    waiting.feed(EXPECT, 0.0)
    assert waiting.tick(30.0) == []
    waiting.consumed(1, 0)
    assert waiting.tick(60.0) == []
    assert told(waiting.tick(90.0)[0])[:2] == ("rejected", "body_timeout")


def test_an_idle_engine_is_small() -> None:
    engine = server()
    answering(engine, [GET])
    out(engine)
    engine.forget()
    held = [getattr(engine, name) for cls in type(engine).__mro__ for name in getattr(cls, "__slots__", ())]
    own = sum(sys.getsizeof(x) for x in held if isinstance(x, bytes | list | float) and x is not DATE)
    assert sys.getsizeof(engine) + own < 1500


def test_a_tunnel_whose_bytes_nobody_takes_is_not_read() -> None:
    """Also where `resume` is called behind every read."""
    c = server()
    c.feed(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 0.0)
    c.accept(1, Fields())
    for _ in range(5):
        c.feed(b"x" * 16_384, 0.0)
        c.resume(0.0)
    assert not c.wants_read
    c.consumed(1, 5 * 16_384)
    assert c.wants_read
