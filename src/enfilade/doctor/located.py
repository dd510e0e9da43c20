"""Advice with the places in the file that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from enfilade.config import Config
from enfilade.config.errors import Problem
from enfilade.config.locate import Places
from enfilade.config.report import Report
from enfilade.doctor.advice import advise
from enfilade.doctor.probe import Grade


class Located(NamedTuple):
    grade: Grade
    problem: Problem
    instead: str


def advise_in(config: Config, file: str) -> list[Located]:
    """What to change in the configuration that was read from `file`, in the order of its lines. Advice that is the same for
    several routes comes once, for the first of them."""
    report = Report(file, None if file.endswith(".py") else _places(file))
    found: list[Located] = []
    told: set[tuple[str, str]] = set()
    for advice in advise(config, file):
        if (advice.text, advice.instead) in told:
            continue
        told.add((advice.text, advice.instead))
        report(advice.path, advice.at_key, advice.text)
        found.append(Located(advice.grade, report.problems[-1], advice.instead))
    return sorted(found, key=lambda located: (located.problem.line, located.problem.column))


def _places(file: str) -> Places:
    with open(file, encoding="utf-8", newline="") as text:
        return Places(text.read())


def lines(located: Sequence[Located]) -> list[str]:
    """For people: where, what, the line as it is, and what to write instead."""
    out = []
    for grade, problem, instead in located:
        out.append(f"{grade.value:8} {problem}")
        if instead:
            out.append(f"    instead: {instead}")
    return out


def as_json(located: Sequence[Located]) -> list[dict[str, object]]:
    return [{"grade": grade.value, **problem._asdict(), "instead": instead} for grade, problem, instead in located]
