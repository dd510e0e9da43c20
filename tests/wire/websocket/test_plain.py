"""Whole messages between an edge worker and an application's process."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.wire.websocket.plain import PIECE, PlainFrames, PlainNegotiator

LIMIT = 4 * PIECE
MESSAGES: list[str | bytes] = [
    "", b"", "hällo", b"\x00\xff", "x" * PIECE, b"y" * (PIECE + 1), "ü" * PIECE, b"z" * LIMIT, "last",
]  # fmt: skip


def wire(*messages: str | bytes, close: tuple[int, str] | None = None) -> bytes:
    """What says `messages`."""
    frames = PlainFrames(LIMIT)
    for message in messages:
        if isinstance(message, str):
            frames.text(message)
        else:
            frames.binary(message)
    if close is not None:
        frames.close(*close)
    return frames.pending()


def heard(data: bytes, size: int) -> tuple[list[str | bytes], PlainFrames]:
    """What is heard in `data`, which comes in pieces of `size`."""
    frames = PlainFrames(LIMIT)
    messages: list[str | bytes] = []
    for at in range(0, len(data), size):
        messages += frames.feed(data[at : at + size])
    return messages, frames


@pytest.mark.parametrize("size", [1 << 30, PIECE + 5, 4096, 7])
def test_messages_arrive_as_they_were_sent(size: int) -> None:
    messages, frames = heard(wire(*MESSAGES), size)
    assert messages == MESSAGES and not frames.over


@pytest.mark.parametrize("size", [1 << 30, 1])
@pytest.mark.parametrize("close", [(1000, ""), (4000, "genug für heute"), (1006, ""), (1005, "")])
def test_a_close_says_how_and_is_the_last_word(size: int, close: tuple[int, str]) -> None:
    messages, frames = heard(wire("bye", close=close) + wire("behind it"), size)
    assert messages == ["bye"]
    assert (frames.code, frames.reason) == close and frames.over and frames.ended and frames.failure is None
    assert frames.pending() == b""  # it needs no answer


def test_an_end_without_a_close_is_1006() -> None:
    frames = PlainFrames(LIMIT)
    assert frames.feed(b"") == [] and (frames.code, frames.over, frames.ended) == (1006, True, True)


def test_after_our_close_nothing_is_heard_or_said() -> None:
    frames = PlainFrames(LIMIT)
    frames.close(1000, "")
    said = frames.pending()
    assert frames.over and frames.ended and heard(said, 1)[1].code == 1000
    frames.text("x")
    frames.close(1001, "")
    assert frames.feed(wire("y")) == [] and frames.pending() == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x83\0\0\0\0", 1002),  # a kind that there is not
        (b"\x88\0\0\0\x01\0", 1002),  # a close without its code
        (b"\x81" + (PIECE + 1).to_bytes(4, "big"), 1002),
        (b"\x01\0\0\0\x01a" + b"\x82\0\0\0\x01b", 1002),  # binary in the middle of a text
        (b"\x81\0\0\0\x01\xff", 1007),
        (b"\x02\0\0\x80\0" + bytes(PIECE), 1009),
    ],
)
@pytest.mark.parametrize("size", [1 << 30, 1])
def test_nonsense_closes(data: bytes, code: int, size: int) -> None:
    frames = PlainFrames(PIECE - 1)
    for at in range(0, len(data), size):
        assert frames.feed(data[at : at + size]) == []
    assert frames.over and frames.ended and frames.failure is reason("bad_frame") and frames.code == 1006
    assert heard(frames.pending(), 1)[1].code == code


@pytest.mark.parametrize("message", ["x" * (LIMIT + 1), b"x" * (LIMIT + 1), "\ud800"])
def test_what_cannot_be_sent_is_said(message: str | bytes) -> None:
    with pytest.raises(ValueError):
        wire(message)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_feed_never_raises_and_holds_one_message_at_most(data: bytes, cuts: list[int]) -> None:
    frames = PlainFrames(50)
    places = [0, *sorted(cuts), len(data)]
    for start, stop in itertools.pairwise(places):
        if data[start:stop]:
            frames.feed(data[start:stop])
        assert len(frames._message) <= 50 and len(frames._rest) <= PIECE + 5


@pytest.mark.parametrize(
    ("offered", "subprotocols"), [(None, ()), (b"a", ("a",)), (b"a, b,c", ("a", "b", "c")), (b",", ())]
)
def test_what_the_client_offers(offered: bytes | None, subprotocols: tuple[str, ...]) -> None:
    fields = Fields([] if offered is None else [(b"sec-websocket-protocol", offered)])
    handshake = PlainNegotiator(5)(Request("GET", "http", "a", "a", "/", b"/", b"", fields, "1.1", "websocket"))
    assert handshake.subprotocols == subprotocols and not handshake.fields
    assert handshake.frames().max_size == 5
