"""Verdicts, from what was seen alone."""

from __future__ import annotations

import pytest

from enfilade.doctor import judges
from enfilade.doctor.answers import Answer, Ending, Seen
from enfilade.doctor.probe import Grade, Usual

USUAL = Usual(Answer(200))
OPEN, CLOSED, RESET = Ending.OPEN, Ending.CLOSED, Ending.RESET
GOOD, UNCLEAR, BAD = Grade.GOOD, Grade.UNCLEAR, Grade.BAD


def seen(*statuses: int, ending: Ending = OPEN, sent: float = 1.0, rest: bytes = b"") -> Seen:
    return Seen(tuple(map(Answer, statuses)), ending, rest=rest, sent=sent)


@pytest.mark.parametrize(
    ("judge", "what", "grade"),
    [
        (judges.refused, seen(400), GOOD),
        (judges.refused, seen(501, ending=CLOSED), GOOD),
        (judges.refused, seen(ending=RESET), GOOD),
        (judges.refused, Seen(signals=("stream reset: PROTOCOL_ERROR",)), GOOD),
        (judges.refused, seen(), UNCLEAR),
        (judges.refused, seen(502), UNCLEAR),
        (judges.refused, seen(200, ending=CLOSED), BAD),
        (judges.closed, seen(400, ending=CLOSED), GOOD),
        (judges.closed, seen(400), UNCLEAR),
        (judges.closed, seen(200), BAD),
        (judges.unread, seen(200, ending=CLOSED), GOOD),
        (judges.unread, seen(200, 400, ending=CLOSED), BAD),
        (judges.unread, seen(200), BAD),
        (judges.ended, seen(ending=RESET), GOOD),
        (judges.ended, Seen(signals=("GOAWAY ENHANCE_YOUR_CALM",)), GOOD),
        (judges.ended, Seen(signals=("stream reset: PROTOCOL_ERROR",)), BAD),
        (judges.ended, seen(sent=0.5), UNCLEAR),
        (judges.ended, seen(431), GOOD),
        (judges.ended, seen(200), BAD),
        (judges.costs, seen(200), UNCLEAR),
        (judges.one_answer, seen(200, ending=CLOSED), GOOD),
        (judges.one_answer, seen(200, 404), BAD),
        (judges.one_answer, seen(), UNCLEAR),
        (judges.two_answers, seen(200, 200), GOOD),
        (judges.two_answers, seen(304, ending=CLOSED), GOOD),
        (judges.two_answers, seen(200, rest=b"<html>"), BAD),
        (judges.two_answers, seen(200), UNCLEAR),
        (judges.status(414), seen(414), GOOD),
        (judges.status(414), seen(400), GOOD),
        (judges.status(414), seen(200), BAD),
        (judges.allowed(judges.refused, "why"), seen(200), UNCLEAR),
        (judges.allowed(judges.refused, "why"), seen(400), GOOD),
    ],
)
def test_verdicts(judge: judges.Judge, what: Seen, grade: Grade) -> None:
    assert judge(what, USUAL).grade is grade


def test_what_is_usual_is_no_refusal() -> None:
    assert judges.refused(seen(404), Usual(Answer(404))).grade is BAD
    assert judges.refused(seen(400), Usual(Answer(404))).grade is GOOD
