"""The client's engine: against our own server, against `h2` as the server, and against servers that lie."""

from __future__ import annotations

from struct import pack

import h2.config
import h2.connection
import h2.events
import pytest
from tests.wire.http2.kit import (
    ACK,
    DATA,
    DATE,
    END_STREAM,
    GOAWAY,
    PREFACE,
    PUSH,
    RST,
    SETTINGS,
    codes,
    frame,
    headers,
    rst,
    sent,
    settings,
)
from tests.wire.outgoing import outgoing, unjoined

from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.reasons import reason
from enfilade.wire.codec import DateStamp, LocalError
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Drained,
    Event,
    MessageEnded,
    RequestReceived,
    ResponseReceived,
    StreamClosed,
    WindowOpened,
)
from enfilade.wire.http2 import Http2Client, Http2Limits, Http2Server

OK: list[Pair] = [(b":status", b"200")]


class Both:
    """Our client and our server on one wire; bodies are consumed as they come."""

    def __init__(self, limits: Http2Limits | None = None) -> None:
        self.client = Http2Client(Http2Limits())
        self.server = Http2Server("https", limits or Http2Limits(), DateStamp(DATE))
        self.at_client: list[Event] = []
        self.at_server: list[Event] = []
        self.run()

    def run(self) -> None:
        while (up := b"".join(self.client.pending())) or (down := b"".join(self.server.pending())):
            for engine, data, seen in (
                (self.server, up, self.at_server),
                (self.client, b"" if up else down, self.at_client),
            ):
                if data:
                    for event in engine.feed(data, 0.0):
                        seen.append(event)
                        if isinstance(event, DataReceived):
                            engine.consumed(event.stream, event.cost)


def get(client: Http2Client) -> int:
    return client.request(outgoing("GET", "https", "a.example", b"/x?y", NO_FIELDS), end=True)


def connected(*pairs: tuple[int, int]) -> Http2Client:
    client = Http2Client(Http2Limits())
    assert client.feed(settings(*pairs) + frame(SETTINGS, ACK), 0.0) == []
    client.pending()
    return client


def test_preface_and_no_push() -> None:
    out = b"".join(Http2Client(Http2Limits()).pending())
    assert out.startswith(PREFACE) and pack(">HI", 2, 0) in out


def test_many_exchanges_between_our_own_two() -> None:
    both = Both()
    for i in range(30):
        fields = Fields(
            [(b"x-n", b"%d" % i), (b"user-agent", b"enfilade"), (b"authorization", b"secret"), (b"connection", b"x")]
        )
        stream = both.client.request(outgoing("POST", "https", "a.example", b"/x?y", fields), end=False)
        both.client.data(stream, b"hello")
        both.client.end(stream, Fields([(b"x-sum", b"1")]))
        both.run()
        received, data, ended = unjoined(both.at_server)
        assert isinstance(received, RequestReceived) and received.request.fields.get(b"x-n") == b"%d" % i
        assert b"connection" not in received.request.fields and received.request.query == b"y"
        assert (
            isinstance(data, DataReceived) and isinstance(ended, MessageEnded) and ended.trailers.get(b"x-sum") == b"1"
        )
        both.server.inform(stream, 103, Fields([(b"link", b"</x>")]))
        both.server.start(stream, 200, NO_FIELDS)
        both.server.data(stream, b"answer")
        both.server.end(stream, Fields([(b"x-done", b"1")]))
        both.run()
        early, head, data, ended = unjoined(both.at_client)
        assert isinstance(early, ResponseReceived) and early.status == 103
        assert isinstance(head, ResponseReceived) and head.status == 200 and head.fields.get(b"date") == DATE
        assert isinstance(ended, MessageEnded) and ended.trailers == Fields([(b"x-done", b"1")])
        both.at_server.clear()
        both.at_client.clear()
    assert not both.client._streams and not both.server._streams


def test_big_bodies_flow_both_ways() -> None:
    both = Both()
    body = bytes(range(256)) * 8000
    stream = both.client.request(
        outgoing("POST", "https", "a.example", b"/", Fields([(b"content-length", b"%d" % len(body))])), end=False
    )
    sent_bytes = 0
    while sent_bytes < len(body):
        room = both.client.window(stream)
        assert room
        piece = body[sent_bytes : sent_bytes + room]
        sent_bytes += len(piece)
        both.client.data(stream, piece, sent_bytes == len(body))
        both.run()
    assert b"".join(e.data for e in both.at_server if isinstance(e, DataReceived)) == body
    both.server.respond(stream, 200, NO_FIELDS, body)
    both.run()
    assert b"".join(e.data for e in both.at_client if isinstance(e, DataReceived)) == body
    assert isinstance(both.at_client[-1], MessageEnded)


def test_a_tunnel_between_our_own_two() -> None:
    both = Both()
    assert both.client.tunnels
    stream = both.client.request(outgoing("CONNECT", "https", "a.example", b"/ws", NO_FIELDS, "websocket"), end=False)
    both.run()
    both.server.accept(stream, NO_FIELDS)
    both.server.data(stream, b"down")
    both.client.data(stream, b"up")
    both.run()
    both.client.end(stream)
    both.server.end(stream)
    both.run()
    assert [type(e) for e in both.at_client] == [ResponseReceived, DataReceived, MessageEnded]
    assert [type(e) for e in both.at_server] == [RequestReceived, DataReceived, MessageEnded]
    assert not both.client._streams and not both.server._streams
    with pytest.raises(LocalError):
        connected().request(outgoing("CONNECT", "https", "a", b"/", NO_FIELDS, "websocket"), end=False)


def test_no_more_streams_than_the_peer_allows() -> None:
    client = connected((3, 1))
    assert client.available == 1
    get(client)
    assert client.available == 0
    with pytest.raises(LocalError):
        get(client)
    client.feed(headers(1, OK), 0.0)
    assert client.available == 1


def test_goaway_tells_what_is_lost() -> None:
    client = connected()
    get(client), get(client)
    events = client.feed(frame(GOAWAY, 0, 0, pack(">II", 1, 0)), 0.0)
    assert isinstance(events[0], Drained) and events[0].last_stream == 1
    assert isinstance(events[1], StreamClosed) and (events[1].stream, events[1].reason) == (3, reason("shutting_down"))
    assert client.available == 0 and not client.closing
    assert isinstance(client.feed(headers(1, OK), 0.0)[0], ResponseReceived)
    assert client.closing


def test_drain_of_a_client_ends_with_its_last_answer() -> None:
    client = connected()
    get(client)
    client.drain()
    assert codes(sent(client), GOAWAY) == [(0, 0)] and not client.closing
    with pytest.raises(LocalError):
        get(client)
    client.feed(headers(1, OK), 0.0)
    assert client.closing


def test_a_refused_stream_can_be_told_from_a_reset() -> None:
    client = connected()
    get(client), get(client)
    one, two = client.feed(rst(1, 7) + rst(3, 8), 0.0)
    assert one.reason is reason("too_many_streams") and two.reason is reason("reset_by_peer")


LIES = {
    "no status": headers(1, [(b"x", b"1")]),
    "status twice": headers(1, OK + OK),
    "bad status": headers(1, [(b":status", b"2000")]),
    "101": headers(1, [(b":status", b"101")], end=False),
    "an interim that ends": headers(1, [(b":status", b"100")]),
    "request pseudo-field": headers(1, [*OK, (b":path", b"/")]),
    "upper case": headers(1, [*OK, (b"X", b"/")]),
    "connection field": headers(1, [*OK, (b"connection", b"close")]),
    "data first": frame(DATA, 0, 1, b"x"),
    "more than promised": headers(1, [*OK, (b"content-length", b"1")], end=False) + frame(DATA, 0, 1, b"ab"),
    "less than promised": headers(1, [*OK, (b"content-length", b"3")], end=False) + frame(DATA, END_STREAM, 1, b"ab"),
    "nothing of what was promised": headers(1, [*OK, (b"content-length", b"3")]),
    "two lengths": headers(1, [*OK, (b"content-length", b"3"), (b"content-length", b"3")], end=False),
    "body of 204": headers(1, [(b":status", b"204")], end=False) + frame(DATA, 1, 1, b"x"),
    "trailers that do not end": headers(1, OK, end=False) + headers(1, [(b"x", b"1")], end=False),
    "too many fields": headers(1, OK + [(b"x", b"1")] * 200),
}


@pytest.mark.parametrize("lie", LIES)
def test_f18_upstream_lies_end_the_stream(lie: str) -> None:
    client = connected()
    get(client)
    events = client.feed(LIES[lie], 0.0)
    assert isinstance(events[-1], StreamClosed) and codes(sent(client), RST) == [(1, 1)]
    assert get(client) == 3


@pytest.mark.parametrize("data", [frame(PUSH, 4, 1, b"\0\0\0\x02\x82"), headers(2, OK), headers(3, OK), settings((2, 1)),
                                  frame(0x10, 0, 0, b"\0\0\0\x01"), frame(DATA, 0, 2, b"x")])  # fmt: skip
def test_what_a_server_never_sends_ends_the_connection(data: bytes) -> None:
    client = connected()
    get(client)
    assert isinstance(client.feed(data, 0.0)[-1], ConnectionClosed) and client.closing


def test_head_has_a_length_and_no_body() -> None:
    client = connected()
    client.request(outgoing("HEAD", "https", "a", b"/", NO_FIELDS), end=True)
    (event,) = client.feed(headers(1, [*OK, (b"content-length", b"5")]), 0.0)
    assert isinstance(event, ResponseReceived) and event.ended and not client._streams


def test_the_end_of_the_connection_within_an_answer() -> None:
    client = connected()
    get(client)
    (event,) = client.feed(b"", 0.0)
    assert isinstance(event, ConnectionClosed) and event.reason is not None and client.closing
    (event,) = connected().feed(b"", 0.0)
    assert event.reason is None


def test_window_opened_for_an_upload() -> None:
    client = connected((4, 3))
    stream = client.request(outgoing("POST", "https", "a", b"/", NO_FIELDS), end=False)
    client.data(stream, b"abc")
    assert client.window(stream) == 0
    (event,) = client.feed(settings((4, 5)), 0.0)
    assert isinstance(event, WindowOpened) and client.window(stream) == 2


def test_h2_as_the_server() -> None:
    theirs = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=False))
    theirs.initiate_connection()
    theirs.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 128})
    client = Http2Client(Http2Limits())
    body = b"b" * 40_000
    for i in range(20):
        fields = Fields([(b"x-n", b"%d" % (i % 3)), (b"user-agent", b"enfilade/%d" % (i % 2)), (b"accept", b"*/*")])
        stream = client.request(outgoing("POST", "https", "a.example", b"/%d" % i, fields), end=False)
        client.data(stream, b"up" * 1000)
        client.end(stream, Fields([(b"x-sum", b"1")]))
        seen: list[h2.events.Event] = theirs.receive_data(b"".join(client.pending()))
        request = next(e for e in seen if isinstance(e, h2.events.RequestReceived))
        assert dict(request.headers)[b":path"] == b"/%d" % i and dict(request.headers)[b"x-n"] == b"%d" % (i % 3)
        for event in seen:
            if isinstance(event, h2.events.DataReceived):
                theirs.acknowledge_received_data(event.flow_controlled_length, stream)
        assert any(isinstance(e, h2.events.TrailersReceived) for e in seen)
        theirs.send_headers(stream, [(b":status", b"103"), (b"link", b"</x>")])
        theirs.send_headers(stream, [*OK, (b"content-length", b"%d" % len(body))])
        for start in range(0, len(body), 10_000):
            theirs.send_data(stream, body[start : start + 10_000], pad_length=9)
        theirs.send_headers(stream, [(b"x-done", b"1")], end_stream=True)
        hints, answer = client.feed(theirs.data_to_send(), 0.0)
        assert isinstance(hints, ResponseReceived) and hints.status == 103
        assert isinstance(answer, ResponseReceived) and (answer.status, answer.ended, answer.body) == (200, True, body)
        assert answer.trailers == Fields([(b"x-done", b"1")])
    theirs.receive_data(b"".join(client.pending()))
    theirs.close_connection()
    assert isinstance(client.feed(theirs.data_to_send(), 0.0)[-1], Drained) and client.closing
