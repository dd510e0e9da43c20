"""The tables: complete, drawn as they are, and held by the engines in every state with every frame."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire.http2.kit import DATE, GET, GOAWAY, HELLO, POST, RST, codes, frame, headers, rst, sent, server
from tests.wire.outgoing import unjoined

from enfilade.http.fields import NO_FIELDS
from enfilade.http.reasons import reason
from enfilade.wire.codec import DateStamp
from enfilade.wire.events import ConnectionClosed, Event, StreamClosed
from enfilade.wire.http2 import Http2Limits, Http2Server
from enfilade.wire.http2.states import FRAME_RULES, MOVES, VERDICTS, Frame, State, Step, Verdict

# A right payload for each frame, so that nothing but the state can be wrong with it.
PAYLOADS = {
    Frame.DATA: (0, b"x"),
    Frame.HEADERS: (5, b"\x82\x87\x84\x01\x01a"),
    Frame.PRIORITY: (0, b"\0\0\0\0\0"),
    Frame.RST_STREAM: (0, b"\0\0\0\x08"),
    Frame.PUSH_PROMISE: (4, b"\0\0\0\x02"),
    Frame.WINDOW_UPDATE: (0, b"\0\0\x10\0"),
    Frame.CONTINUATION: (4, b""),
}


def _stream(event: Event) -> float:
    """The end of the connection is that of all streams."""
    return getattr(event, "stream", inf)


def in_state(state: State) -> Http2Server:
    """A server whose stream 1 is in `state`."""
    engine = server()
    if state is State.IDLE:
        return engine
    tunnel = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    engine.feed(
        headers(1, tunnel if state is State.HALF_CLOSED_LOCAL else POST, end=state is State.HALF_CLOSED_REMOTE), 0.0
    )
    if state is State.HALF_CLOSED_LOCAL:
        engine.accept(1, NO_FIELDS)
        engine.end(1)
    elif state is State.CLOSED:
        engine.feed(rst(1), 0.0)
    elif state is State.RESET:
        engine.reset(1, reason("internal"))
    engine.pending()
    assert engine._state(1) is state
    return engine


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", PAYLOADS)
def test_every_frame_in_every_state_does_what_the_table_says(state: State, kind: Frame) -> None:
    engine = in_state(state)
    flags, payload = PAYLOADS[kind]
    events = engine.feed(frame(kind, flags, 1, payload), 0.0)
    frames = sent(engine)
    verdict = VERDICTS[state][kind]
    error = {Verdict.CONNECTION_ERROR_PROTOCOL: 1, Verdict.CONNECTION_ERROR_CLOSED: 5}.get(verdict)
    if error is not None:
        assert isinstance(events[-1], ConnectionClosed) and codes(frames, GOAWAY)[0][1] == error
    elif verdict is Verdict.STREAM_ERROR_CLOSED:
        assert isinstance(events[-1], StreamClosed) and codes(frames, RST) == [(1, 5)]
    else:
        assert not codes(frames, GOAWAY)
        if verdict is Verdict.IGNORE:
            assert events == [] and frames == [] and engine._state(1) is state
        elif verdict is Verdict.OPEN:
            assert engine._state(1) is State.HALF_CLOSED_REMOTE


def test_the_tables_are_complete() -> None:
    assert set(VERDICTS) == set(State) and all(set(row) == set(PAYLOADS) for row in VERDICTS.values())
    assert set(FRAME_RULES) == set(Frame)
    for state in (State.OPEN, State.HALF_CLOSED_LOCAL, State.HALF_CLOSED_REMOTE):
        assert MOVES[state, Step.SEND_RESET] is State.RESET and MOVES[state, Step.RECEIVE_RESET] is State.CLOSED


kinds = st.sampled_from([*Frame, 0x20])
sizes = st.sampled_from(
    [b"", b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\0\0", b"\0" * 8, b"\0\4\0\0\0\5", b"\x82\x87\x84\x01\x01a", b"\x20"]
)
frames_ = st.lists(st.tuples(kinds, st.integers(0, 47), st.sampled_from([0, 1, 1, 3, 2, 5]), sizes), max_size=12)


@settings(max_examples=250, deadline=None)
@given(frames_, st.sampled_from(list(State)), st.integers(0, 40))
def test_any_frames_in_any_state_end_in_a_known_one(
    found: list[tuple[int, int, int, bytes]], state: State, cut: int
) -> None:
    engine = in_state(state)
    data = b"".join(frame(*f) for f in found)
    events = [*engine.feed(data[:cut], 0.0)] if cut and data[:cut] else []
    if data[cut:]:
        events += engine.feed(data[cut:], 0.0)
    closed = [e for e in events if isinstance(e, ConnectionClosed)]
    assert len(closed) <= 1 and (not closed or (events[-1] is closed[0] and engine.closing and not engine._streams))
    assert all(
        s.state in (State.OPEN, State.HALF_CLOSED_LOCAL, State.HALF_CLOSED_REMOTE) for s in engine._streams.values()
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_conversations_never_raise_and_are_the_same_in_pieces(data: st.DataObject) -> None:
    good = HELLO + headers(1, POST, end=False) + frame(0, 0, 1, b"hello") + headers(3, GET) + headers(1, [(b"x", b"1")])
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(bad) - 1))
        if data.draw(st.booleans()):
            bad[place] = data.draw(st.integers(0, 255))
        else:
            del bad[place]
    whole = Http2Server("https", Http2Limits(), DateStamp(DATE))
    pieces = Http2Server("https", Http2Limits(), DateStamp(DATE))
    size = data.draw(st.integers(1, 30))
    one = list(unjoined(whole.feed(bytes(bad), 0.0)))
    two = [e for i in range(0, len(bad), size) for e in unjoined(pieces.feed(bytes(bad[i : i + size]), 0.0))]
    # What is read together is one event, where its head was: only each stream has an order.
    one.sort(key=_stream)
    two.sort(key=_stream)
    assert repr(one) == repr(two)
    assert b"".join(whole.pending()) == b"".join(pieces.pending())
    for engine in (whole, pieces):
        for now in (1.0, 20.0, 100.0, 200.0):
            engine.tick(now)
        engine.feed(b"", 300.0)
        assert engine.closing and engine.deadline() is None
