"""RFC 6455 sections 5 and 7 and RFC 7692 at the server's end; the library's client is the peer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from enfilade.wire.websocket.frames import Frames, Message

BAD_FRAME = "bad_frame"


def frame(opcode: Opcode, data: bytes, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


def sent(frames: Frames, extensions: list[PerMessageDeflate] | None = None) -> list[Frame]:
    """What a client reads of what `frames` wants to write."""
    client = Protocol(Side.CLIENT, max_size=None)
    client.extensions = list(extensions or [])
    client.receive_data(frames.pending())
    return [f for f in client.events_received() if isinstance(f, Frame)]


WIRE = (
    frame(Opcode.TEXT, b"short")
    + frame(Opcode.BINARY, bytes(range(200)))
    + frame(Opcode.TEXT, "grü".encode()[:3], fin=False)
    + frame(Opcode.PING, b"p")
    + frame(Opcode.CONT, "grü".encode()[3:])
    + frame(Opcode.BINARY, b"")
    + frame(Opcode.TEXT, b"x" * 70_000)
    + frame(Opcode.TEXT, b"end")
)
MESSAGES: list[Message] = ["short", bytes(range(200)), "grü", b"", "x" * 70_000, "end"]


def test_whole() -> None:
    frames = Frames()
    assert frames.feed(WIRE) == MESSAGES
    assert [(f.opcode, bytes(f.data)) for f in sent(frames)] == [(Opcode.PONG, b"p")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12))
def test_in_any_pieces(cuts: list[int]) -> None:
    frames, got, at = Frames(), [], 0
    for cut in cuts:
        if piece := WIRE[at : at + cut]:
            got += frames.feed(piece)
        at += cut
    if at < len(WIRE):
        got += frames.feed(WIRE[at:])
    assert got == MESSAGES


def test_byte_by_byte() -> None:
    wire, frames, got = WIRE[:300], Frames(), []
    for i in range(len(wire)):
        got += frames.feed(wire[i : i + 1])
    assert got == MESSAGES[:4]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("compressed", [False, True])
def test_sending(size: int, compressed: bool) -> None:
    ours = [PerMessageDeflate(True, True, 12, 12)] if compressed else []
    theirs = [PerMessageDeflate(True, True, 12, 12)] if compressed else []
    frames = Frames(ours)
    frames.text("x" * size)
    frames.binary(bytes(size))
    assert [(f.opcode, bytes(f.data)) for f in sent(frames, theirs)] == [
        (Opcode.TEXT, b"x" * size),
        (Opcode.BINARY, bytes(size)),
    ]


def test_compressed_and_plain_frames_mixed() -> None:
    client = PerMessageDeflate(False, False, 12, 12)
    frames = Frames([PerMessageDeflate(False, False, 12, 12)])
    squeezed = Frame(Opcode.TEXT, b"hello hello hello").serialize(mask=True, extensions=[client])
    plain = frame(Opcode.TEXT, b"plain")
    again = Frame(Opcode.TEXT, b"hello hello hello").serialize(mask=True, extensions=[client])
    assert frames.feed(squeezed + plain + again) == ["hello hello hello", "plain", "hello hello hello"]


def failure(frames: Frames, code: int) -> None:
    assert frames.over and frames.ended and frames.failure is not None and frames.failure.name == BAD_FRAME
    [close] = [f for f in sent(frames) if f.opcode is Opcode.CLOSE]
    assert Close.parse(close.data).code == code


BAD = {
    "not masked": (frame(Opcode.TEXT, b"x", mask=False), 1002),
    "reserved bit": (bytes([0xC1, 0x81, 0, 0, 0, 0, 1]), 1002),
    "unknown opcode": (bytes([0x83, 0x80, 0, 0, 0, 0]), 1002),
    "continuation of nothing": (frame(Opcode.CONT, b"x"), 1002),
    "fragmented ping": (bytes([0x09, 0x80, 0, 0, 0, 0]), 1002),
    "new message inside a message": (frame(Opcode.TEXT, b"x", False) + frame(Opcode.TEXT, b"x"), 1002),
    "close code that may not be sent": (frame(Opcode.CLOSE, (1006).to_bytes(2, "big")), 1002),
    "close of one byte": (frame(Opcode.CLOSE, b"x"), 1002),
    "text that is not UTF-8": (frame(Opcode.TEXT, b"\xff"), 1007),
    "long text that is not UTF-8": (frame(Opcode.TEXT, b"\xff" * 200), 1007),
    "fragments that are not UTF-8": (frame(Opcode.TEXT, b"a", False) + frame(Opcode.CONT, b"\xff"), 1007),
    "message too big": (frame(Opcode.BINARY, bytes(1001)), 1009),
    "fragments too big": (frame(Opcode.BINARY, bytes(900), False) + frame(Opcode.CONT, bytes(200)), 1009),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_frames_close_the_socket_f15(case: str) -> None:
    wire, code = BAD[case]
    frames = Frames(max_size=1000)
    assert frames.feed(frame(Opcode.TEXT, b"before") + wire) == ["before"]
    failure(frames, code)
    assert frames.feed(frame(Opcode.TEXT, b"after")) == []


@pytest.mark.parametrize("case", BAD)
def test_bad_frames_byte_by_byte_f15(case: str) -> None:
    wire, code = BAD[case]
    frames = Frames(max_size=1000)
    for i in range(len(wire)):
        assert frames.feed(wire[i : i + 1]) == []
    failure(frames, code)


def test_size_counts_after_inflating_f15() -> None:
    bomb = Frame(Opcode.BINARY, bytes(100_000)).serialize(mask=True, extensions=[PerMessageDeflate(True, True, 15, 15)])
    assert len(bomb) < 500
    frames = Frames([PerMessageDeflate(True, True, 15, 15)], max_size=10_000)
    assert frames.feed(bomb) == []
    failure(frames, 1009)


def test_fragments_are_counted_f15() -> None:
    frames = Frames(max_fragments=10)
    frames.feed(frame(Opcode.TEXT, b"", False) + frame(Opcode.CONT, b"", False) * 9)
    failure(frames, 1009)


def test_a_message_may_come_in_many_small_pieces() -> None:
    frames = Frames()
    wire = frame(Opcode.BINARY, b"abc", False) + frame(Opcode.CONT, b"abc", False) * 5000 + frame(Opcode.CONT, b"")
    assert frames.feed(wire) == [b"abc" * 5001]


def test_a_limit_below_the_short_frame() -> None:
    frames = Frames(max_size=3)
    assert frames.feed(frame(Opcode.TEXT, b"abc")) == ["abc"]
    frames.feed(frame(Opcode.TEXT, b"abcd"))
    failure(frames, 1009)


def test_the_peer_closes() -> None:
    frames = Frames()
    assert frames.feed(frame(Opcode.CLOSE, Close(1001, "bye").serialize())) == []
    assert (frames.over, frames.ended, frames.code, frames.reason, frames.failure) == (True, True, 1001, "bye", None)
    [reply] = sent(frames)
    assert Close.parse(reply.data).code == 1001


@pytest.mark.parametrize(
    ("close", "code", "answered"), [(Close(1001, "bye"), 1001, 1001), (None, 1005, 1000)], ids=["code", "no code"]
)
def test_the_peer_closes_amid_a_message(close: Close | None, code: int, answered: int) -> None:
    """Control frames may come between fragments (section 5.4); what follows a close is not read (section 5.5.1)."""
    frames = Frames()
    data = b"" if close is None else close.serialize()
    wire = frame(Opcode.TEXT, b"half", fin=False) + frame(Opcode.CLOSE, data) + frame(Opcode.CONT, b"a message")
    assert frames.feed(wire) == []
    assert (frames.over, frames.ended, frames.code, frames.failure) == (True, True, code, None)
    [reply] = sent(frames)
    assert Close.parse(reply.data).code == answered


def test_the_peer_answers_our_close_amid_a_message() -> None:
    frames = Frames()
    frames.feed(frame(Opcode.TEXT, b"half", fin=False))
    frames.close(1000, "")
    assert len(sent(frames)) == 1
    frames.feed(frame(Opcode.CLOSE, Close(1000, "").serialize()))
    assert (frames.over, frames.ended, frames.code, frames.failure) == (True, True, 1000, None)
    assert sent(frames) == []


def test_we_close() -> None:
    frames = Frames()
    frames.close(1000, "done")
    assert not frames.over and not frames.ended
    [close] = sent(frames)
    assert Close.parse(close.data) == Close(1000, "done")
    frames.text("too late")
    assert frames.pending() == b""
    frames.feed(frame(Opcode.CLOSE, Close(1000, "").serialize()))
    assert frames.over and frames.ended


@pytest.mark.parametrize(("code", "why"), [(1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)])
def test_a_close_that_cannot_be_sent(code: int, why: str) -> None:
    with pytest.raises(ValueError):
        Frames().close(code, why)


def test_the_connection_ends() -> None:
    frames = Frames()
    assert frames.feed(b"") == []
    assert frames.over and frames.code == 1006


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 60))
def test_whatever_comes_never_raises(data: bytes, cut: int) -> None:
    frames = Frames()
    for piece in (data[:cut], data[cut:]):
        if piece:
            frames.feed(piece)
    frames.pending()
