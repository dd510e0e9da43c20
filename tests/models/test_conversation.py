"""One client's messages to a handler: what is answered, and how it ends, does not depend on how the bytes were cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.framing import Chunks, Delimiter, Fixed, Framing, Length, framed
from enfilade.models.conversation import ENOUGH, Conversation
from enfilade.models.handler import handler_of

LIMIT = 9


class Outcome(NamedTuple):
    answers: bytes
    over: bool
    why: str | None
    error: str | None
    requests: int


def said(message: bytes) -> bytes | None:
    """Raise for `boom`, end at `end`, leave for `exit`, and otherwise turn it around."""
    if message == b"boom":
        raise ValueError("boom")
    if message == b"exit":
        raise SystemExit(3)
    return None if message == b"end" else message[::-1]


def conversation(framing: Framing, *, awaited: bool = False) -> Conversation:
    async def later(message: bytes) -> bytes | None:
        await asyncio.sleep(0)
        return said(message)

    def at_once(message: bytes) -> bytes | None:
        return said(message)

    return Conversation(handler_of("a test's", framed(framing)(later if awaited else at_once)), LIMIT)


def outcome(talk: Conversation, answers: bytes) -> Outcome:
    assert talk.said == len(answers)
    why = None if talk.why is None else talk.why.name
    return Outcome(answers, talk.over, why, None if talk.error is None else repr(talk.error), talk.requests)


def told(pieces: list[bytes], framing: Framing) -> Outcome:
    """What comes of it when the client says these pieces."""
    talk = conversation(framing)
    answers = b""
    for piece in pieces:
        answers += talk.received(piece)
        while talk.waiting:
            answers += talk.received(None)
    return outcome(talk, answers)


def told_later(pieces: list[bytes], framing: Framing) -> Outcome:
    """The same by a handler that is awaited."""

    async def tell() -> Outcome:
        talk = conversation(framing, awaited=True)
        answers = b""
        for piece in pieces:
            answers += await talk.answers(piece)
            while talk.waiting:
                answers += await talk.answers(None)
        return outcome(talk, answers)

    return asyncio.run(tell())


LINE = Delimiter(b"\n")
CASES = [
    (LINE, b"", Outcome(b"", False, None, None, 0)),
    (LINE, b"ab\n", Outcome(b"ba\n", False, None, None, 1)),
    (LINE, b"ab\ncd\nef", Outcome(b"ba\ndc\n", False, None, None, 2)),
    (LINE, b"ab\nend\ncd\n", Outcome(b"ba\n", True, None, None, 1)),
    (LINE, b"ab\nboom\ncd\n", Outcome(b"ba\n", True, "handler_failed", "ValueError('boom')", 1)),
    (LINE, b"ab\nexit\ncd\n", Outcome(b"ba\n", True, "handler_failed", "SystemExit(3)", 1)),
    (LINE, b"ab\n1234567890\ncd\n", Outcome(b"ba\n", True, "message_too_long", None, 1)),
    (LINE, b"123456789\n1234567890", Outcome(b"987654321\n", True, "message_too_long", None, 1)),
    (LINE, b"end\n1234567890\n", Outcome(b"", True, None, None, 0)),
    (LINE, b"boom\n1234567890\n", Outcome(b"", True, "handler_failed", "ValueError('boom')", 0)),
    (Delimiter(b"?", b"."), b"ab?cd?", Outcome(b"ba.dc.", False, None, None, 2)),
    (Length(1), b"\2ab\3end\2cd", Outcome(b"\2ba", True, None, None, 1)),
    (Length(1), b"\2ab\xff", Outcome(b"\2ba", True, "message_too_long", None, 1)),
    (Fixed(3), b"abcendabc", Outcome(b"cba", True, None, None, 1)),
]
cases = pytest.mark.parametrize(("framing", "data", "expected"), CASES, ids=repr)


@cases
@pytest.mark.parametrize("tell", [told, told_later])
def test_a_case_whole(framing: Framing, data: bytes, expected: Outcome, tell: type) -> None:
    assert tell([data], framing) == expected


@cases
@pytest.mark.parametrize("tell", [told, told_later])
def test_a_case_byte_by_byte(framing: Framing, data: bytes, expected: Outcome, tell: type) -> None:
    assert tell([data[i : i + 1] for i in range(len(data))], framing) == expected


WORDS = st.sampled_from([b"", b"a", b"bc", b"123456789", b"1234567890", b"end", b"boom", b"exit", b"\n", b"\r"])


@given(st.lists(WORDS, max_size=8), st.lists(st.integers(0, 60), max_size=6), st.sampled_from([b"\n", b"\r\n"]))
def test_it_does_not_matter_how_the_bytes_were_cut(words: list[bytes], cuts: list[int], end: bytes) -> None:
    framing = Delimiter(end)
    data = end.join(words)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[begin:until] for begin, until in pairwise(bounds)]
    whole = told([data], framing)
    assert told(pieces, framing) == whole == told_later(pieces, framing)


@pytest.mark.parametrize(
    ("framing", "message"),
    [
        (Delimiter(b"\r\n"), b"\r" * 9999 + b"\n"),
        (Delimiter(b"\r\n"), b"\n" * 9999 + b"\r\n"),
        (Length(4), b"\0\0\x27\x10" + bytes(10_000)),
        (Fixed(10_000), bytes(10_000)),
    ],
    ids=["first byte of the end", "last byte of the end", "length", "fixed"],
)
def test_what_comes_byte_by_byte_is_not_cut_again_for_each(
    framing: Framing, message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, sizes = framing.cut, []

    def remembered(self: Framing, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        sizes.append(len(data))
        return cut(data, limit)

    monkeypatch.setattr(type(framing), "cut", remembered)
    talk = Conversation(handler_of("echo", framed(framing)(lambda message: message)), 10_000)
    for i in range(len(message)):
        assert talk.requests == 0
        talk.received(message[i : i + 1])
    assert talk.requests == 1
    assert sum(sizes) <= 2 * len(message)


def test_a_chunk_is_answered_as_it_came_an_empty_datagram_too() -> None:
    talk = conversation(Chunks())
    assert talk.received(b"abc") == b"cba"
    assert talk.received(b"") == b""
    assert talk.requests == 2 and not talk.over


def test_no_more_is_answered_at_once_than_is_enough() -> None:
    answer = bytes(ENOUGH // 2)

    @framed(LINE)
    def big(line: bytes) -> bytes:
        return answer

    talk = Conversation(handler_of("big", big), LIMIT)
    sizes = [len(talk.received(b"1\n2\n3\n4\n5\n"))]
    while talk.waiting:
        sizes.append(len(talk.received(None)))
    assert sizes == [2 * len(answer) + 2] * 2 + [len(answer) + 1]
    assert talk.requests == 5


def test_what_waits_is_answered_before_what_comes_and_before_a_message_that_is_too_long() -> None:
    @framed(LINE)
    def big(line: bytes) -> bytes:
        return line * ENOUGH

    talk = Conversation(handler_of("big", big), 2)
    firsts = [talk.received(b"a\nb\n")[:1], talk.received(b"c\ntoo long\nd\n")[:1]]
    assert talk.waiting and not talk.over
    firsts.append(talk.received(b"e\n")[:1])
    assert firsts == [b"a", b"b", b"c"]
    assert talk.over and talk.why is not None and talk.why.name == "message_too_long"
    assert talk.received(b"f\n") == talk.received(None) == b""


def test_bytes_are_counted_both_ways() -> None:
    talk = conversation(LINE)
    talk.received(b"ab\nc")
    talk.received(b"d\n")
    assert (talk.heard, talk.said, talk.requests) == (6, 6, 2)


def test_when_the_client_has_ended_nothing_more_is_said() -> None:
    talk = conversation(LINE)
    talk.received(b"half a li")
    assert talk.ended() == b""
    assert talk.over and talk.why is None


def test_an_answer_that_cannot_be_framed_is_the_handlers_fault() -> None:
    @framed(Length(1))
    def long(message: bytes) -> bytes:
        return bytes(256)

    talk = Conversation(handler_of("long", long), LIMIT)
    assert talk.received(b"\1a") == b""
    assert talk.why is not None and talk.why.name == "handler_failed" and isinstance(talk.error, OverflowError)


def test_a_framing_of_ones_own_that_raises_is_the_handlers_fault() -> None:
    class Broken(Delimiter):
        def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
            raise ValueError("broken")

    talk = conversation(Broken(b"x"))
    assert talk.received(b"a") == b""
    assert talk.why is not None and talk.why.name == "handler_failed" and isinstance(talk.error, ValueError)
