"""What a probe is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from enfilade.doctor.answers import Answer
from enfilade.doctor.target import Target


class Grade(Enum):
    GOOD = "good"
    UNCLEAR = "unclear"
    BAD = "bad"
    SKIPPED = "skipped"
    """Not tried, or it says nothing about this server."""


class Verdict(NamedTuple):
    grade: Grade
    happened: str


def good(happened: object) -> Verdict:
    return Verdict(Grade.GOOD, str(happened))


def unclear(happened: object) -> Verdict:
    return Verdict(Grade.UNCLEAR, str(happened))


def bad(happened: object) -> Verdict:
    return Verdict(Grade.BAD, str(happened))


def skipped(why: object) -> Verdict:
    return Verdict(Grade.SKIPPED, str(why))


class Usual(NamedTuple):
    """What the server does with ordinary requests.

    `answer`: to GET for the URL; `echoes`: whether it has fields of the request in it; `h2`: whether it speaks HTTP/2 here;
    `seconds`: how long the answer took.
    """

    answer: Answer
    echoes: bool = False
    h2: bool = False
    seconds: float = 0.0

    @property
    def status(self) -> int:
        return self.answer.status


class Needs(Enum):
    """Without which a probe says nothing."""

    NOTHING = ""
    TLS = "the URL is not https"
    H2 = "HTTP/2 is not spoken here"
    ECHO = "the answer does not show the request's fields"


class Probe(NamedTuple):
    """`tries`: what is sent, for people; `row`: which way of failing it looks for; `look`: sends it, and returns what `judge` has
    to know; `advice`: what to change where it is not good; `slow`: it lasts as long as it may."""

    name: str
    row: int
    tries: str
    look: Callable[[Target], Any]
    judge: Callable[[Any, Usual], Verdict]
    advice: str = ""
    needs: Needs = Needs.NOTHING
    slow: bool = False


class Finding(NamedTuple):
    """A probe that was made."""

    group: str
    probe: Probe
    verdict: Verdict
