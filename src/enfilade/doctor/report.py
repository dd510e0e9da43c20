"""Findings, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from enfilade.doctor.probe import Finding, Grade
from enfilade.doctor.rows import ROWS


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each, by group, and what to do where something is not good; those that were skipped for one reason, together."""
    for group, found in groupby(findings, lambda finding: finding.group):
        yield f"\n{group}"
        advice, unmade = "", Counter[str]()
        for _, probe, verdict in found:
            if verdict.grade is Grade.SKIPPED:
                unmade[verdict.happened] += 1
                continue
            yield f"  {verdict.grade.value:8} {probe.name:19} {probe.tries}: {verdict.happened}"
            if verdict.grade is not Grade.GOOD and probe.advice not in ("", advice):
                advice = probe.advice
                yield f"  {'':28} {advice}"
        for why, number in unmade.items():
            yield f"  {'skipped':8} {f'{number} probes' if number > 1 else '1 probe':19} {why}"
    yield f"\n{summary(findings)}"


def summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.verdict.grade for finding in findings)
    return ", ".join(f"{counts[grade]} {grade.value}" for grade in Grade)


def as_json(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "name": finding.probe.name,
            "group": finding.group,
            "row": finding.probe.row,
            "failure": ROWS[finding.probe.row],
            "tried": finding.probe.tries,
            "happened": finding.verdict.happened,
            "grade": finding.verdict.grade.value,
            "advice": finding.probe.advice,
        }
        for finding in findings
    ]


def failed(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict.grade is Grade.BAD for finding in findings)
