"""Mutated conversations raise nothing and leave nothing behind; and what is said arrives, whoever is slow."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.test_engines import cuts, mutated, pieces
from tests.wire.link.kit import DRAIN, Both, answer, asking, body_of, credit, frame, started, told
from tests.wire.outgoing import unjoined

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.events import ConnectionClosed, DataReceived, Event, MessageEnded
from enfilade.wire.link import LinkClient, LinkServer
from enfilade.wire.link.frames import DATA_SIZE, HEAD_SIZE, HEADER_SIZE, WINDOW
from enfilade.wire.link.heads import encode_request

GET = encode_request(asking(fields=Fields([(b"accept", b"*/*")])))
UP = [
    frame(1, 1, GET) + frame(1, 2, GET),
    frame(2, 1, GET) + frame(7, 1, b"one") + credit(1, 0) + frame(8, 1, b"two") + frame(1, 2, GET),
    frame(2, 1, encode_request(asking("CONNECT", protocol="websocket")))
    + frame(7, 1, b"x")
    + frame(10, 1, b"internal"),
    frame(2, 7, GET) + frame(9, 7, b"x-sum\x001") + frame(DRAIN, 0),
]
DOWN = [
    answer(1, 200, b"x\x001\0content-length\x005", b"hello") + answer(2, 204),
    started(3, 103, kind=5) + started(3, 200, b"content-length\x003") + frame(7, 3, b"ab") + frame(8, 3, b"c"),
    started(1, 200) + frame(7, 1, b"ab") + frame(9, 1, b"x-sum\x001") + frame(10, 2, b"internal"),
    started(4, 101, kind=6) + frame(7, 4, b"ab") + frame(8, 4) + frame(DRAIN, 0) + answer(1),
]
BITS = [frame(7, 1, b"x"), frame(8, 1), frame(10, 1), credit(1, 5), frame(DRAIN, 0), frame(1, 9, GET), answer(1), b"\0",
        frame(13, 2), b"\0\0\0\1", b"\xff", b"content-length\x001\0", b"\x01\0\0\0"]  # fmt: skip


def app() -> LinkServer:
    return LinkServer()


def edge() -> LinkClient:
    client = LinkClient(100)
    client.request(asking(), end=True)
    client.request(asking("HEAD"), end=True)
    client.request(asking("POST"), end=False)
    client.request(asking(protocol="websocket"), end=True)
    client.pending()
    return client


def heard(make: Callable[[], LinkClient | LinkServer], parts: list[bytes]) -> list[Event]:
    engine = make()
    events = []
    for part in [*parts, b""]:
        events += unjoined(engine.feed(part, 0.0))
        assert len(engine._rest) <= HEADER_SIZE + HEAD_SIZE + DATA_SIZE + 16 and len(engine._streams) <= 20
    assert engine.closing
    if [type(e) for e in events].count(ConnectionClosed) != 1 or not isinstance(events[-1], ConnectionClosed):
        assert engine._final and ConnectionClosed not in map(type, events), "it was drained, and nothing was open"
    return events


@given(mutated(UP, BITS), cuts)
def test_an_edge_may_say_anything(data: bytes, marks: list[int]) -> None:
    assert told(heard(app, pieces(data, marks))) == told(heard(app, [data] if data else []))


@given(mutated(DOWN, BITS), cuts)
def test_an_application_may_say_anything(data: bytes, marks: list[int]) -> None:
    assert told(heard(edge, pieces(data, marks))) == told(heard(edge, [data] if data else []))


sizes = st.sampled_from([0, 1, 100, DATA_SIZE, DATA_SIZE + 1, WINDOW, WINDOW + 1, 3 * WINDOW + 7])
exchanges = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 5, WINDOW * 2 + 1]),  # bytes of the request's body
        sizes,  # and of the answer's
        st.sampled_from(["whole", "pieces", "reset"]),
        st.booleans(),  # its reader takes everything at once, or only after the others
    ),
    min_size=1,
    max_size=5,
)


@given(exchanges)
def test_what_is_said_arrives_whoever_is_slow(plan: list[tuple[int | None, int, str, bool]]) -> None:
    both = Both(take=False)
    for n, (up, down, how, eager) in enumerate(plan, 1):
        stream = both.asked(asking("GET" if up is None else "POST", f"/{n}"), end=up is None)
        if up is not None:
            pour(both, both.client, stream, b"u" * up)
        assert body_of(both.at_server, stream) == b"u" * (up or 0)
        body = bytes([n]) * down
        if how == "whole":
            both.server.respond(stream, 200, NO_FIELDS, body)
        else:
            both.server.start(stream, 200, NO_FIELDS)
            both.server.data(stream, body[:WINDOW])
        both.run()
        if eager:
            finish(both, stream, body, how)
    for n, (_, down, how, eager) in enumerate(plan, 1):
        if not eager:
            finish(both, n, bytes([n]) * down, how)
    assert both.idle()


def pour(both: Both, end: LinkClient | LinkServer, stream: int, body: bytes) -> None:
    """Send `body` as fast as its reader takes it."""
    other: LinkClient | LinkServer = both.server if end is both.client else both.client
    at = 0
    while at < len(body):
        room = end.window(stream)
        end.data(stream, body[at : at + room])
        both.run()
        other.consumed(stream, min(room, len(body) - at))
        both.run()
        at += room
    end.end(stream)
    both.run()


def finish(both: Both, stream: int, body: bytes, how: str) -> None:
    """Take what is there of `stream` at the edge, and then the rest."""
    if how == "reset":
        both.client.reset(stream, reason("client_gone"))
        both.run()
        return
    taken = 0
    while taken < (there := len(body_of(both.at_client, stream))):
        both.client.consumed(stream, there - taken)
        taken = there
        both.run()
    if how == "pieces":
        pour(both, both.server, stream, body[WINDOW:])
    assert body_of(both.at_client, stream) == body
    ends = [e for e in both.at_client if isinstance(e, MessageEnded) and e.stream == stream]
    assert len(ends) == (1 if body or how == "pieces" else 0)
    assert all(len(e.data) <= DATA_SIZE for e in both.at_client if isinstance(e, DataReceived))
