"""TLS around a conversation, against the client that OpenSSL is: every flight whole and byte by byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
from tests.models.tls import Client, contexts_in

from enfilade.framing import Delimiter, framed
from enfilade.models.conversation import Conversation
from enfilade.models.encrypted import Encrypted
from enfilade.models.handler import handler_of


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return contexts_in(tmp_path_factory.mktemp("tls"))


@framed(Delimiter(b"\n"))
def shout(line: bytes) -> bytes | None:
    return None if line == b"end" else line.upper()


@framed(Delimiter(b"\n"))
async def shout_later(line: bytes) -> bytes | None:
    await asyncio.sleep(0)
    return shout(line)


class Meeting:
    """The two ends, and how what goes to our own is cut."""

    def __init__(self, contexts: tuple[ssl.SSLContext, ssl.SSLContext], size: int, *, later: bool = False) -> None:
        self.size, self.later = size, later
        self.conversation = Conversation(handler_of("shout", shout_later if later else shout), 20)
        self.ours = Encrypted(contexts[0], self.conversation)
        self.client = Client(contexts[1])

    def exchange(self) -> None:
        """Until nobody has anything more to say."""
        while flight := self.client.flight():
            self.client.hear(self.tell(flight))

    def tell(self, data: bytes) -> bytes:
        pieces = [data[at : at + self.size] for at in range(0, len(data), self.size)]
        if self.later:
            return b"".join(asyncio.run(self.ours.answers(piece)) for piece in pieces)
        return b"".join(map(self.ours.received, pieces))


Make = Callable[[], Meeting]


@pytest.fixture(params=[(1, False), (7, False), (100_000, False), (100_000, True)], ids=str)
def meet(contexts: tuple[ssl.SSLContext, ssl.SSLContext], request: pytest.FixtureRequest) -> Make:
    size, later = request.param
    return lambda: Meeting(contexts, size, later=later)


def test_what_is_asked_is_answered(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    assert meeting.client.is_shaken
    for line in (b"one\n", b"two\nthr", b"ee\n"):
        meeting.client.say(line)
        meeting.exchange()
    assert meeting.client.heard == b"ONE\nTWO\nTHREE\n"
    assert not meeting.conversation.over


def test_bytes_are_counted_as_the_handler_sees_them(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    meeting.client.say(b"one\n")
    meeting.exchange()
    assert (meeting.conversation.heard, meeting.conversation.said) == (4, 4)


def test_a_question_right_in_front_of_the_farewell_is_answered_before_our_own(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    meeting.client.say(b"one\n")
    meeting.client.leave()
    meeting.exchange()
    assert meeting.client.heard == b"ONE\n" and meeting.client.has_ended
    assert meeting.conversation.over and meeting.conversation.why is None


def test_when_the_conversation_ends_we_say_farewell(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    meeting.client.say(b"one\nend\ntwo\n")
    meeting.exchange()
    assert meeting.client.heard == b"ONE\n" and meeting.client.has_ended
    assert meeting.conversation.over and meeting.conversation.why is None


def test_when_the_client_is_gone_we_say_farewell(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    meeting.client.hear(meeting.ours.ended())
    assert meeting.client.has_ended
    assert meeting.conversation.over and meeting.conversation.why is None


def test_a_client_that_goes_in_the_middle_of_the_handshake_is_an_error_of_tls(meet: Make) -> None:
    meeting = meet()
    meeting.tell(meeting.client.flight()[:50])
    assert meeting.ours.ended() == b""
    assert meeting.conversation.why is not None and meeting.conversation.why.name == "tls_error"


def test_plain_http_is_an_error_of_tls(meet: Make) -> None:
    meeting = meet()
    assert meeting.tell(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    assert meeting.conversation.over
    assert meeting.conversation.why is not None and meeting.conversation.why.name == "tls_error"


def test_who_offers_no_version_that_we_speak_is_told_by_an_alert(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], meet: Make
) -> None:
    meeting = meet()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.minimum_version = ssl.TLSVersion.TLSv1_3
    meeting.ours = Encrypted(ours, meeting.conversation)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client = Client(old)
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        client.hear(meeting.tell(client.flight()))
    assert meeting.conversation.why is not None and meeting.conversation.why.name == "tls_error"


def test_a_broken_record_is_an_error_of_tls_and_told_by_an_alert(meet: Make) -> None:
    meeting = meet()
    meeting.exchange()
    meeting.client.say(b"one\n")
    meeting.exchange()
    meeting.client.say(b"two\n")
    broken = bytearray(meeting.client.flight())
    broken[-1] ^= 1
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        meeting.client.hear(meeting.tell(bytes(broken)))
    assert meeting.client.heard == b"ONE\n"
    assert meeting.conversation.why is not None and meeting.conversation.why.name == "tls_error"


def test_long_answers_and_questions_go_through(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    meeting = Meeting(contexts, 65536)

    @framed(Delimiter(b"\n"))
    def double(line: bytes) -> bytes:
        return line * 2

    meeting.conversation = Conversation(handler_of("double", double), 1_000_000)
    meeting.ours = Encrypted(contexts[0], meeting.conversation)
    meeting.exchange()
    meeting.client.say(b"a" * 500_000 + b"\n")
    meeting.exchange()
    assert meeting.client.heard == b"a" * 1_000_000 + b"\n"


def test_messages_that_wait_are_answered_before_the_farewell(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    meeting = Meeting(contexts, 100_000)

    @framed(Delimiter(b"\n"))
    def big(line: bytes) -> bytes:
        return line * 70_000

    meeting.conversation = Conversation(handler_of("big", big), 20)
    meeting.ours = Encrypted(contexts[0], meeting.conversation)
    meeting.exchange()
    meeting.client.say(b"a\nb\n")
    meeting.client.leave()
    meeting.client.hear(meeting.tell(meeting.client.flight()))
    assert meeting.conversation.waiting and not meeting.conversation.over
    meeting.client.hear(meeting.ours.received(None))
    assert meeting.client.heard == b"a" * 70_000 + b"\n" + b"b" * 70_000 + b"\n"
    assert meeting.client.has_ended and meeting.conversation.over and meeting.conversation.why is None
