"""The rules of a route: 403 for what they find to be an attack, and a challenge for what may be none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.reasons import reason
from enfilade.rules.challenge import Challenge
from enfilade.rules.ruleset import Hit, Ruleset
from enfilade.rules.verdict import Judgement, Verdict

RULE_DENIED = reason("rule_denied")
TAGS = b"rule-tags"
"""The field of the request that tells whoever answers it which rules with the action `tag` it hits."""
LINES = 20
"""So many lines a second are written to the log by one route of a worker; of the others, how many there were."""
TARGET = 200
"""Characters of a request's target that are logged."""
log = logging.getLogger("enfilade.rules")


class Meter(Protocol):
    def count(self, verdict: str, detect: bool, groups: Iterable[str]) -> None:
        """A request hit rules of these groups; with `detect`, the verdict is not carried out."""


class Rules(Filter):
    """Refuses requests that hit a rule that denies, or whose score reaches `threshold`; with `detect`, none. `clock`: monotonic,
    in seconds."""

    def __init__(
        self,
        ruleset: Ruleset,
        threshold: int,
        detect: bool,
        meter: Meter,
        challenge: Challenge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ruleset = ruleset
        self._threshold = threshold
        self._detect = detect
        self._meter = meter
        self._challenge = challenge
        self._challenges = any(rule.action == "challenge" for rule in ruleset.rules)
        self._tags = any(rule.action == "tag" for rule in ruleset.rules)
        self._lines = _Lines(clock)

    def on_request(self, x: Exchange) -> Response | None:
        request = x.request
        if request.clean is self.ruleset:  # the head that came last on this connection has come again
            return None
        if self._tags and TAGS in request.fields:  # what a client says of itself
            request = x.request = request.with_fields(request.fields.without(TAGS))
        hits = self.ruleset.find(request)
        if not hits:
            request.clean = self.ruleset
            return None
        if self._challenges and self._challenge.is_met(x):
            hits = [hit for hit in hits if hit.rule.action != "challenge"]
        return self._judge(x, hits) if hits else None

    def _judge(self, x: Exchange, hits: Sequence[Hit]) -> Response | None:
        judgement = Judgement.of(hits, self._threshold)
        verdict = judgement.verdict
        self._meter.count(verdict.value, self._detect, {hit.rule.tags[0] for hit in hits})
        self._lines.write(x, hits, judgement, self._detect)
        if verdict is Verdict.DENIED and not self._detect:
            return error_response(RULE_DENIED, x)
        if verdict is Verdict.CHALLENGED and not self._detect:
            return self._challenge.answer(x)
        tags = [hit.rule.id for hit in hits if hit.rule.action == "tag"]
        if tags:
            x.request = x.request.with_fields(x.request.fields.adding((TAGS, ", ".join(tags).encode())))
        return None


class _Lines:
    """One for each request that hits rules, but no more a second than LINES."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = 0
        self._written = 0

    def write(self, x: Exchange, hits: Sequence[Hit], judgement: Judgement, detect: bool) -> None:
        second = int(self._clock())
        if second != self._second:
            if self._written > LINES:
                log.info("rules: %d requests more", self._written - LINES)
            self._second, self._written = second, 0
        self._written += 1
        if self._written <= LINES:
            done = f"would be {judgement.verdict.value}" if detect else judgement.verdict.value
            log.info(
                "rules: %s %s of %s %s, score %d: %s",
                x.request.method, x.request.target[:TARGET], x.ends.client_ip, done, judgement.score, "; ".join(map(str, hits)),
            )  # fmt: skip
