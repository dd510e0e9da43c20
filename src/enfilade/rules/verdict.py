"""What follows from the rules that a request hits."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from enfilade.rules.ruleset import Hit


class Verdict(Enum):
    """The names are labels of `enfilade_rule_verdicts_total`."""

    PASSED = "passed"
    CHALLENGED = "challenged"
    DENIED = "denied"


class Judgement(NamedTuple):
    """`score`: the sum of what the rules that score add, each once."""

    verdict: Verdict
    score: int

    @classmethod
    def of(cls, hits: Sequence[Hit], threshold: int) -> Judgement:
        score = sum(hit.rule.points for hit in hits)
        actions = {hit.rule.action for hit in hits}
        if score >= threshold or "deny" in actions:
            return cls(Verdict.DENIED, score)
        return cls(Verdict.CHALLENGED if "challenge" in actions else Verdict.PASSED, score)
