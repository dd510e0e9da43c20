"""A conversation, without any model: what a handler returns is sent, or ends it."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.framing import Chunks, Delimiter, Fixed, Framing, Length, framed
from enfilade.models.conversation import HANDLER_FAILED, Conversation
from enfilade.models.handler import handler_of

ASKED: list[tuple[Framing, bytes]] = [
    (Chunks(), b"ask"),
    (Fixed(3), b"ask"),
    (Delimiter(b"\n"), b"ask\n"),
    (Length(2), b"\0\3ask"),
]


def conversation(framing: Framing, answer: Any) -> Conversation:
    @framed(framing)
    def handler(message: bytes) -> Any:
        return answer

    return Conversation(handler_of("handler", handler), 1024)


@pytest.mark.parametrize(("framing", "asked"), ASKED)
@pytest.mark.parametrize("answer", ["text", 7, [b"list"]])
def test_a_handler_that_returns_no_bytes_has_failed(framing: Framing, asked: bytes, answer: Any) -> None:
    talk = conversation(framing, answer)
    assert talk.received(asked) == b""
    assert (talk.why, talk.requests) == (HANDLER_FAILED, 0)
    assert isinstance(talk.error, TypeError)


@pytest.mark.parametrize(("framing", "asked"), ASKED)
def test_what_was_answered_before_is_sent_nevertheless(framing: Framing, asked: bytes) -> None:
    answers = iter([b"yes", "text"])

    @framed(framing)
    def handler(message: bytes) -> Any:
        return next(answers)

    talk = Conversation(handler_of("handler", handler), 1024)
    said = talk.received(asked) + talk.received(asked)
    assert (said, talk.requests, talk.why) == (framing.wrap(b"yes"), 1, HANDLER_FAILED)


@pytest.mark.parametrize(("framing", "asked"), ASKED)
def test_an_answer_may_be_a_bytearray(framing: Framing, asked: bytes) -> None:
    said = conversation(framing, bytearray(b"yes")).received(asked)
    assert (type(said), said) == (bytes, framing.wrap(b"yes"))


def test_a_conversation_that_begins_anew_knows_nothing_of_the_last_and_counts_on() -> None:
    talk = conversation(Delimiter(b"\n"), b"yes")
    assert talk.received(b"one\ntwo") == b"yes\n"
    talk.begin()
    assert talk.received(b"three") == b""
    assert talk.received(b"\n") == b"yes\n"
    assert (talk.requests, talk.heard, talk.said) == (2, 13, 8)
    assert not talk.received(bytes(2000))
    assert talk.over
    talk.begin()
    assert (talk.over, talk.why, talk.received(b"\n")) == (False, None, b"yes\n")
