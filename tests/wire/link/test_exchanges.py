"""Both ends of a link face to face: what is said at one is heard at the other, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.wire.link.kit import ANSWER, BEGUN, CREDIT, Both, asking, body_of, frame, parse, told
from tests.wire.outgoing import unjoined

from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import REASONS, reason
from enfilade.wire.codec import HeadTooLarge, LocalError
from enfilade.wire.events import ConnectionClosed, Drained, RequestReceived, ResponseReceived
from enfilade.wire.link import LinkClient, LinkedRequest, LinkServer
from enfilade.wire.link.frames import DATA_SIZE, HEAD_SIZE, WINDOW

SUM = Fields([(b"x-sum", b"1")])


@pytest.fixture(params=[0, 1], ids=["whole", "byte by byte"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    both = Both(step=request.param)
    yield both
    assert both.idle() or both.client.closing


def arrived(both: Both) -> LinkedRequest:
    (event,) = both.at_server
    both.at_server.clear()
    assert isinstance(event, RequestReceived) and isinstance(event.request, LinkedRequest)
    return event.request


# -- heads


@pytest.mark.parametrize(
    "ends",
    [
        Ends(("192.0.2.7", 4711), ("192.0.2.1", 443), "https", "a.example", "h2", "TLSv1.3", object()),
        Ends(("::1", 1), ("::1", 65535)),
        Ends(("", None), ("/run/\udcff\N{SNOWMAN}.sock", None)),
    ],
)
def test_a_request_arrives_with_all_that_is_known_of_it(both: Both, ends: Ends) -> None:
    ends.client_ip = "203.0.113.9"
    fields = Fields([(b"host", b"a.example"), (b"cookie", b"a=\xff"), (b"x-empty", b""), (b"x", b"1"), (b"x", b"2")])
    sent = asking("GET", "/sn\N{SNOWMAN}w\ufffd", fields, ends=ends, mount="/m\N{SNOWMAN}", query=b"a=%00&b")
    sent.raw_path = b"/sn%E2%98%83w%FF"
    stream = both.asked(sent)
    got = arrived(both)
    names = "method scheme authority host path raw_path query fields version protocol mount"
    for name in names.split():
        assert getattr(got, name) == getattr(sent, name), name
    for name in ("client", "client_ip", "server", "scheme", "sni", "alpn", "tls_version"):
        assert getattr(got.ends, name) == getattr(ends, name), name
    assert got.ends.tls is None
    both.server.respond(stream, 204, NO_FIELDS, b"")
    both.run()


def test_the_same_head_gives_the_same_request_and_a_connection_the_same_ends(both: Both) -> None:
    request = asking("GET", "/a", SUM)
    seen = []
    for one in (request, request, asking("GET", "/a", SUM), asking("GET", "/b", SUM), asking("HEAD", "/a", SUM)):
        stream = both.asked(one)
        seen.append(arrived(both))
        both.server.respond(stream, 200, NO_FIELDS, b"x")
        both.run()
    assert seen[0] is seen[1] is seen[2] and len(set(map(id, seen))) == 3
    assert len({id(r.ends) for r in seen}) == 1
    both.server.forget()
    both.client.forget()
    stream = both.asked(request)
    assert arrived(both) is not seen[0]
    both.server.respond(stream, 200, NO_FIELDS, b"x")
    both.run()


def test_the_same_answer_gives_the_same_fields(both: Both) -> None:
    fields = Fields([(b"content-type", b"text/plain"), (b"connection", b"close"), (b"transfer-encoding", b"chunked")])
    heads = []
    for body in (b"hello", b"hello", b"hellohello"):
        stream = both.asked(asking())
        both.server.respond(stream, 200, fields, body)
        both.run()
        head = both.at_client[0]
        assert isinstance(head, ResponseReceived) and (head.status, head.ended) == (200, False)
        assert head.fields.pairs == ((b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)))
        assert told(both.at_client)[1:] == [f"DataReceived({stream}, {body!r})", f"MessageEnded({stream}, Fields([]))"]
        heads.append(head.fields)
    assert heads[0] is heads[1]


@pytest.mark.parametrize(
    ("method", "status", "fields", "body", "length"),
    [
        ("GET", 200, NO_FIELDS, b"", b"0"),
        ("HEAD", 200, NO_FIELDS, b"hello", b"5"),
        ("HEAD", 200, Fields([(b"content-length", b"7")]), b"", b"7"),
        ("HEAD", 200, NO_FIELDS, b"", None),
        ("GET", 204, NO_FIELDS, b"", None),
        ("GET", 304, Fields([(b"content-length", b"7")]), b"", b"7"),
        ("GET", 999, NO_FIELDS, b"", b"0"),
    ],
)
@pytest.mark.parametrize("twice", [False, True])
def test_answers_without_a_body(
    both: Both, method: str, status: int, fields: Fields, body: bytes, length: bytes | None, twice: bool
) -> None:
    request = asking(method)
    for _ in range(1 + twice):
        stream = both.asked(request)
        both.server.respond(stream, status, fields, body)
        both.run()
        (head,) = both.at_client
        both.at_client.clear()
        assert isinstance(head, ResponseReceived) and head.ended and head.status == status
        assert head.fields.get(b"content-length") == length


# -- bodies


def test_bodies_and_trailers_flow_both_ways(both: Both) -> None:
    stream = both.asked(asking("POST", "/up", Fields([(b"content-length", b"10")])), end=False)
    arrived(both)
    both.client.data(stream, b"hello")
    both.server.inform(stream, 103, Fields([(b"link", b"</x>")]))
    both.server.start(stream, 200, NO_FIELDS)
    both.server.data(stream, b"one")
    both.run()
    both.client.data(stream, b"world")
    both.client.end(stream, SUM)
    both.run()
    both.server.data(stream, b"two")
    both.server.end(stream, Fields([(b"x-done", b"1"), (b"content-length", b"3")]))
    both.run()
    assert told(both.at_server) == [
        f"DataReceived({stream}, b'helloworld')", f"MessageEnded({stream}, {SUM!r})"
    ]  # fmt: skip
    assert told(both.at_client) == [
        f"ResponseReceived({stream}, 103, Fields([(b'link', b'</x>')]), ended=False)",
        f"ResponseReceived({stream}, 200, Fields([]), ended=False)",
        f"DataReceived({stream}, b'onetwo')",
        f"MessageEnded({stream}, Fields([(b'x-done', b'1')]))",
    ]


def test_a_large_answer_comes_as_it_is_taken() -> None:
    both = Both(take=False)
    stream = both.asked(asking())
    body = bytes(range(256)) * 2048
    both.server.respond(stream, 200, NO_FIELDS, body)
    both.run()
    assert len(body_of(both.at_client, stream)) == WINDOW
    with pytest.raises(LocalError):
        both.server.data(stream, b"x")
    with pytest.raises(LocalError):
        both.server.end(stream)
    both.take = True
    both.client.consumed(stream, WINDOW)
    both.run()
    assert body_of(both.at_client, stream) == body and both.idle()
    (head, *_) = both.at_client
    assert isinstance(head, ResponseReceived) and head.fields.get(b"content-length") == b"%d" % len(body)


def test_a_slow_reader_holds_up_nobody_else() -> None:
    both = Both(take=False)
    slow, fast = both.asked(asking()), both.asked(asking())
    for stream in (slow, fast):
        both.server.start(stream, 200, NO_FIELDS)
    both.server.data(slow, b"s" * WINDOW)
    assert both.server.window(slow) == 0 and both.server.window(fast) == WINDOW
    both.server.data(fast, b"f" * 10)
    both.server.end(fast)
    frames = parse(b"".join(both.server.pending()))
    assert max(len(payload) for _, _, payload in frames) <= DATA_SIZE
    for kind, stream, payload in frames:
        both.at_client += unjoined(both.client.feed(frame(kind, stream, payload), 0.0))
    assert body_of(both.at_client, fast) == b"f" * 10
    both.client.consumed(slow, 10)
    assert not both.client.pending(), "credit is given back in batches"
    both.client.consumed(slow, WINDOW - 10)
    both.run()
    assert told(both.at_server)[2:] == [f"WindowOpened({slow})"] and both.server.window(slow) == WINDOW
    both.client.reset(slow, reason("client_gone"))
    both.run()
    assert both.idle()


def test_uploads_have_windows_too(both: Both) -> None:
    both.take = False
    stream = both.asked(asking("POST"), end=False)
    arrived(both)
    with pytest.raises(LocalError):
        both.client.data(stream, b"x" * (WINDOW + 1))
    both.client.data(stream, b"x" * WINDOW)
    assert both.client.window(stream) == 0
    both.run()
    assert body_of(both.at_server, stream) == b"x" * WINDOW
    both.server.consumed(stream, WINDOW)
    both.run()
    assert told(both.at_client) == [f"WindowOpened({stream})"]
    both.server.respond(stream, 200, NO_FIELDS, b"enough")
    both.run()


def test_an_answer_before_the_end_of_its_request_ends_both(both: Both) -> None:
    stream = both.asked(asking("POST"), end=False)
    both.server.respond(stream, 413, NO_FIELDS, b"no")
    both.client.data(stream, b"more")
    both.run()
    assert told(both.at_server)[1:] == [] and len(both.at_client) == 3
    both.client.data(stream, b"even more", end=True)
    both.client.reset(stream, reason("client_gone"))
    both.server.data(stream, b"more")
    assert both.client.window(stream) == 0
    assert both.client.pending() == both.server.pending() == []


def test_100_continue_is_sent_when_the_body_is_wanted(both: Both) -> None:
    expect = Fields([(b"expect", b"100-continue")])
    for early in (False, True):
        stream = both.asked(asking("POST", "/", expect), end=False)
        if early:
            both.client.data(stream, b"x")
            both.run()
        both.server.consumed(stream, 0)
        both.server.consumed(stream, 0)
        both.run()
        assert told(both.at_client) == ([] if early else [f"ResponseReceived({stream}, 100, Fields([]), ended=False)"])
        both.client.reset(stream, reason("client_gone"))
        both.run()


@pytest.mark.parametrize("why", ["application_raised", "client_gone"])
def test_a_reset_says_why(both: Both, why: str) -> None:
    for engine, seen in ((both.server, both.at_client), (both.client, both.at_server)):
        stream = both.asked(asking("POST"), end=False)
        both.at_server.clear()
        engine.reset(stream, reason(why))
        both.run()
        assert told(seen) == [f"StreamClosed({stream}, {REASONS[why]!r})"] and both.idle()


# -- tunnels


@pytest.mark.parametrize("end", [True, False], ids=["HTTP/1 upgrade", "extended CONNECT"])
def test_a_tunnel(both: Both, end: bool) -> None:
    empty = Fields([(b"content-length", b"0")])  # of the request, not of the tunnel
    stream = both.asked(asking("GET" if end else "CONNECT", "/ws", empty, protocol="websocket"), end=end)
    assert arrived(both).protocol == "websocket"
    both.server.accept(stream, Fields([(b"sec-websocket-protocol", b"chat")]))
    both.server.data(stream, b"down")
    both.run()
    both.client.data(stream, b"up")
    both.server.end(stream)
    both.run()
    both.client.data(stream, b"date")
    both.client.end(stream)
    both.run()
    assert told(both.at_client) == [
        f"ResponseReceived({stream}, 101, Fields([(b'sec-websocket-protocol', b'chat')]), ended=False)",
        f"DataReceived({stream}, b'down')",
        f"MessageEnded({stream}, Fields([]))",
    ]
    assert told(both.at_server) == [f"DataReceived({stream}, b'update')", f"MessageEnded({stream}, Fields([]))"]


@pytest.mark.parametrize("end", [True, False])
def test_a_tunnel_that_is_refused(both: Both, end: bool) -> None:
    for answer in (lambda s: both.server.respond(s, 403, NO_FIELDS, b"no"), lambda s: both.server.start(s, 403, SUM)):
        stream = both.asked(asking("GET", "/ws", protocol="websocket"), end=end)
        answer(stream)
        both.server.end(stream)
        both.run()
        head = both.at_client[0]
        assert isinstance(head, ResponseReceived) and head.status == 403 and both.idle()
        both.at_client.clear()


def test_a_tunnel_closed_by_the_client_first_stays_half_open(both: Both) -> None:
    stream = both.asked(asking("CONNECT", protocol="websocket"), end=False)
    both.client.end(stream)
    both.run()
    both.server.accept(stream, NO_FIELDS)
    both.run()
    with pytest.raises(LocalError):
        both.client.data(stream, b"x")
    both.server.data(stream, b"bye", end=True)
    both.run()
    assert told(both.at_client)[1:] == [f"DataReceived({stream}, b'bye')", f"MessageEnded({stream}, Fields([]))"]


# -- the end


def test_drain_of_the_application_loses_no_request(both: Both) -> None:
    before = both.asked(asking())
    both.server.drain()
    both.server.drain()
    crossing = both.client.request(asking(), end=True)
    up, down = b"".join(both.client.pending()), b"".join(both.server.pending())
    both.at_server += both.server.feed(up, 0.0)
    (event,) = both.client.feed(down, 0.0)
    assert isinstance(event, Drained) and event.last_stream == crossing
    assert both.client.available == 0 and not both.client.closing
    with pytest.raises(LocalError):
        both.client.request(asking(), end=True)
    both.run()
    assert not both.server.closing
    for stream in (before, crossing):
        both.server.respond(stream, 200, NO_FIELDS, b"x")
    both.run()
    assert len(both.at_client) == 6 and both.server.closing and both.client.closing


def test_drain_of_the_edge_closes_after_the_last_answer(both: Both) -> None:
    stream = both.asked(asking())
    both.client.drain()
    both.run()
    assert both.client.available == 0 and not both.client.closing and not both.server.closing
    both.server.respond(stream, 200, NO_FIELDS, b"x")
    assert both.server.closing
    both.run()
    assert both.client.closing and both.client.feed(b"", 0.0) == []


def test_an_idle_link_closes_at_once_when_it_drains(both: Both) -> None:
    both.server.drain()
    both.run()
    assert both.client.closing and both.server.closing and told(both.at_client) == ["Drained(0)"]


def test_the_end_of_the_socket(both: Both) -> None:
    ends: list[tuple[LinkClient | LinkServer, str | None]] = [
        (LinkClient(1), None), (LinkServer(), None), (both.client, "application_gone"), (both.server, "client_gone")
    ]  # fmt: skip
    for role, why in ends:
        if why == "application_gone":
            both.asked(asking())
        (event,) = role.feed(b"", 0.0)
        assert isinstance(event, ConnectionClosed) and event.reason is (why and reason(why))
        assert role.closing and role.feed(b"x", 0.0) == [] and not role.linger
    both.server.respond(1, 200, NO_FIELDS, b"nobody hears it")
    assert both.server.pending() == [] and both.client.available == 0


def test_no_more_streams_than_allowed() -> None:
    both = Both(limit=2)
    both.asked(asking()), both.asked(asking("POST"), end=False)
    assert both.client.available == 0
    with pytest.raises(LocalError):
        both.client.request(asking(), end=True)
    both.server.respond(1, 200, NO_FIELDS, b"x")
    both.run()
    assert both.client.available == 1


def test_there_are_no_time_outs(both: Both) -> None:
    both.asked(asking())
    for engine in (both.client, both.server):
        assert engine.deadline() is None and engine.tick(1e9) == [] and engine.wants_read
    both.server.respond(1, 200, NO_FIELDS, b"x")
    both.run()


# -- what we must not do


BAD_FIELDS = [Fields([(b"X", b"1")]), Fields([(b"x", b"1\n2")]), Fields([(b"x\0y", b"1")]), Fields([(b"x", b" 1")]),
              Fields([(b"content-length", b"x")]), Fields([(b"content-length", b"1"), (b"content-length", b"1")]),
              Fields([(b"x", b"y" * 300_000)])]  # fmt: skip


@pytest.mark.parametrize("fields", BAD_FIELDS)
def test_what_is_no_field_is_not_sent(fields: Fields) -> None:
    both = Both()
    with pytest.raises(LocalError):
        both.client.request(asking(fields=fields), end=True)
    assert both.client.available == 100
    stream = both.asked(asking())
    with pytest.raises(LocalError):
        both.server.respond(stream, 200, fields, b"")
    for begin in (both.server.start, both.server.inform):
        with pytest.raises(LocalError):
            begin(stream, 200 if begin == both.server.start else 103, fields)
    assert both.server.pending() == [] and both.client.pending() == []
    both.server.respond(stream, 500, NO_FIELDS, b"")


def test_what_the_state_does_not_allow_is_a_local_error() -> None:
    both = Both()
    with pytest.raises(LocalError):
        both.client.data(1, b"x")
    with pytest.raises(LocalError):
        both.client.request(asking(fields=Fields([(b"content-length", b"1")])), end=True)
    with pytest.raises(LocalError):
        both.client.request(asking(path="/\0"), end=True)
    post = Fields([(b"content-length", b"3")])
    stream = both.asked(asking("POST", fields=post), end=False)
    for wrong in (
        lambda: both.client.data(stream, b"four"),
        lambda: both.client.end(stream),
        lambda: both.client.end(stream, SUM),
        lambda: both.server.data(stream, b"x"),
        lambda: both.server.end(stream),
        lambda: both.server.inform(stream, 101, NO_FIELDS),
        lambda: both.server.inform(stream, 200, NO_FIELDS),
        lambda: both.server.start(stream, 199, NO_FIELDS),
        lambda: both.server.respond(stream, 1000, NO_FIELDS, b""),
        lambda: both.server.respond(stream, 200, post, b"four"),
        lambda: both.server.accept(stream, NO_FIELDS),
        lambda: both.server.respond(stream + 1, 200, NO_FIELDS, b""),
    ):
        with pytest.raises(LocalError):
            wrong()
    both.client.data(stream, b"abc", end=True)
    with pytest.raises(LocalError):
        both.client.data(stream, b"")
    both.run()
    both.server.start(stream, 200, post)
    for wrong in (
        lambda: both.server.respond(stream, 200, NO_FIELDS, b""),
        lambda: both.server.start(stream, 200, NO_FIELDS),
        lambda: both.server.inform(stream, 103, NO_FIELDS),
        lambda: both.server.data(stream, b"four"),
        lambda: both.server.end(stream),
    ):
        with pytest.raises(LocalError):
            wrong()
    both.server.data(stream, b"abc", end=True)
    both.run()
    assert both.idle() and len(both.at_client) == 3 and body_of(both.at_server, stream) == b"abc"


def test_the_largest_head_that_can_be_sent_arrives() -> None:
    both = Both()
    size = HEAD_SIZE
    stream = both.asked(asking())
    while True:
        try:
            both.server.respond(stream, 200, Fields([(b"x", b"y" * size)]), b"body")
            break
        except LocalError:
            size -= 1
    both.run()
    assert size > HEAD_SIZE - 100 and len(both.at_client) == 3 and both.idle()


@pytest.mark.parametrize("where", ["fields", "query"])
def test_a_request_whose_head_is_too_large_is_not_sent(where: str) -> None:
    both = Both()
    large = "y" * HEAD_SIZE
    request = asking(fields=Fields([(b"x", large.encode())])) if where == "fields" else asking(query=large.encode())
    with pytest.raises(HeadTooLarge):
        both.client.request(request, end=True)
    assert not both.client.pending() and both.idle()
    both.asked(asking())
    both.run()
    assert len(both.at_server) == 1


def test_credit_is_not_given_for_a_body_that_has_ended() -> None:
    both = Both(take=False)
    stream = both.asked(asking("POST"), end=False)
    both.client.data(stream, b"x" * WINDOW, end=True)
    both.run()
    both.server.consumed(stream, WINDOW)
    assert [kind for kind, _, _ in parse(b"".join(both.server.pending())) if kind == CREDIT] == []


# -- what the application has begun


def test_answers_say_what_was_begun_and_where_there_is_none_yet_a_frame_does() -> None:
    both = Both()
    for _ in range(3):
        both.client.request(asking(), end=True)
    assert (both.client.sent, both.client.begun) == (3, 0)
    both.server.feed(b"".join(both.client.pending()), 0.0)
    both.server.respond(1, 200, NO_FIELDS, b"")
    said = b"".join(both.server.pending())
    assert [frame[:2] for frame in parse(said)] == [(ANSWER, 1), (BEGUN, 3)]
    both.client.feed(said, 0.0)
    assert both.client.begun == 3
    for stream in (2, 3):
        both.server.respond(stream, 200, NO_FIELDS, b"")
    assert [frame[:2] for frame in parse(b"".join(both.server.pending()))] == [(ANSWER, 2), (ANSWER, 3)]


def test_what_is_answered_in_its_turn_needs_no_frame_of_its_own() -> None:
    both = Both()
    stream = both.asked(asking())
    other = both.client.request(asking(), end=True)
    both.server.feed(b"".join(both.client.pending()), 0.0)
    both.server.respond(other, 200, NO_FIELDS, b"")
    both.server.respond(stream, 200, NO_FIELDS, b"")
    said = b"".join(both.server.pending())
    assert [frame[:2] for frame in parse(said)] == [(ANSWER, other), (ANSWER, stream)]
    both.client.feed(said, 0.0)
    assert both.client.begun == other
