"""The table, held by both roles in every state with every frame."""

from __future__ import annotations

from struct import pack

import pytest
from tests.wire.link.kit import Both, asking, credit, frame

from enfilade.http.fields import NO_FIELDS
from enfilade.wire.events import ConnectionClosed
from enfilade.wire.link import LinkClient, LinkServer
from enfilade.wire.link.heads import encode_request
from enfilade.wire.link.states import MOVES, Half, Kind, Way

HEAD = encode_request(asking("CONNECT", protocol="websocket"))
STATUS = pack(">H", 200)
ANY_TIME = {Way.UP: (Kind.RESET, Kind.CREDIT), Way.DOWN: (Kind.RESET, Kind.CREDIT, Kind.BEGUN)}


def right(kind: Kind, stream: int) -> bytes:
    """A frame with which nothing but the state can be wrong."""
    return {
        Kind.REQUEST: frame(kind, stream, HEAD),
        Kind.OPEN: frame(kind, stream, HEAD),
        Kind.ANSWER: frame(kind, stream, STATUS, 2),
        Kind.START: frame(kind, stream, STATUS),
        Kind.INFORM: frame(kind, stream, pack(">H", 103)),
        Kind.ACCEPT: frame(kind, stream, pack(">H", 101)),
        Kind.DATA: frame(kind, stream, b"x"),
        Kind.LAST: frame(kind, stream, b"x"),
        Kind.TRAILERS: frame(kind, stream, b"x\x001"),
        Kind.RESET: frame(kind, stream, b"internal"),
        Kind.CREDIT: credit(stream, 0),
        Kind.DRAIN: frame(kind, stream),
        Kind.BEGUN: frame(kind, stream),
    }[kind]


def listening(way: Way, half: Half) -> tuple[LinkClient | LinkServer, int]:
    """The end that hears what goes `way`, and a stream whose other end has said `half`."""
    both = Both()
    stream = 1
    if way is Way.DOWN:
        tunnel = half is not Half.BODY  # in which trailers could not come
        stream = both.asked(asking("CONNECT", protocol="websocket" if tunnel else None), end=False)
        if half is Half.BODY:
            both.server.start(stream, 200, NO_FIELDS)
        elif half is Half.ENDED:
            both.server.accept(stream, NO_FIELDS)
            both.server.end(stream)
    elif half is not Half.HEAD:
        stream = both.asked(asking("POST"), end=half is Half.ENDED)
    both.run()
    end = both.client if way is Way.DOWN else both.server
    if stream in end._streams:
        assert end._streams[stream].reads is half
    return end, stream


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("half", Half)
@pytest.mark.parametrize("way", Way)
def test_every_frame_in_every_state_does_what_the_table_says(way: Way, half: Half, kind: Kind) -> None:
    end, stream = listening(way, half)
    events = end.feed(right(kind, stream), 0.0)
    after = MOVES[way][half].get(kind)
    opened = way is Way.DOWN or half is not Half.HEAD
    if after is None and not (opened and kind in ANY_TIME[way]):
        assert isinstance(events[-1], ConnectionClosed) and end.closing
    else:
        assert not end.closing
        s = end._streams.get(stream)
        assert s is None or s.reads is (half if after is None else after)
        assert s is not None or kind is Kind.RESET or after is Half.ENDED


def test_the_table_is_complete() -> None:
    assert set(MOVES) == set(Way) and all(set(rows) == set(Half) for rows in MOVES.values())
    said = {kind for rows in MOVES.values() for row in rows.values() for kind in row}
    assert said == set(Kind) - {*ANY_TIME[Way.DOWN], Kind.DRAIN}
