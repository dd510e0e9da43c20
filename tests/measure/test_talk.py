"""Every answer is checked byte for byte, and no two clients, or messages, are the same."""

from __future__ import annotations

import pytest

from enfilade.measure.talk import SIZE, Verdict, judge, message


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
    assert judge(b"abc", received) is verdict


def test_lines_are_all_different_and_of_one_size() -> None:
    lines = {message(client, number) for client in range(12) for number in range(12)}
    assert len(lines) == 144
    assert {len(line) for line in lines} == {SIZE} and {line[-1:] for line in lines} == {b"\n"}
