"""Every answer is checked byte for byte, and no two clients, or messages, are the same."""

from __future__ import annotations

import pytest

from enfilade.measure.talk import Dialogue, Echo, Verdict, exactly


@pytest.mark.parametrize(
    ("received", "verdict"),
    [
        (b"a", Verdict.PART),
        (b"abc", Verdict.WHOLE),
        (b"abd", Verdict.WRONG),
        (b"b", Verdict.WRONG),
        (b"abcd", Verdict.WRONG),
    ],
)
def test_an_answer_is_compared_byte_for_byte(received: bytes, verdict: Verdict) -> None:
    assert exactly(b"abc")(received) is verdict


def test_echoed_lines_are_all_different_and_of_one_size() -> None:
    echo = Echo(32)
    lines = [echo(client, number)[0] for client in range(12) for number in range(12)]
    assert len(set(lines)) == 144
    assert {len(line) for line in lines} == {32} and {line[-1:] for line in lines} == {b"\n"}


def test_a_dialogue_begins_again_when_it_is_over() -> None:
    talk = Dialogue([(b"one?", b"One."), (b"two?", b"Two.")])
    assert [talk(0, i)[0] for i in range(3)] == [b"one?", b"two?", b"one?"]
    assert talk(0, 3)[1](b"Two.") is Verdict.WHOLE
