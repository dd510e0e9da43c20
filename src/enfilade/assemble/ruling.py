"""Which rules hold for the requests of a route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from enfilade.config.in_force import in_force
from enfilade.config.schema import Condition, Config, OwnRule, RequestRules, Route, Site
from enfilade.config.units import texts
from enfilade.http.request import Request
from enfilade.observe.metrics import RuleRows, register_rules
from enfilade.process.board import Board
from enfilade.process.shared import Shared

if TYPE_CHECKING:
    from enfilade.rules.filter import Meter, Rules
    from enfilade.rules.rule import Condition as CompiledCondition
    from enfilade.rules.rule import Rule
    from enfilade.rules.ruleset import Ruleset

SECRET = 32
"""Bytes of the secret that proofs are sealed with."""


def rules_in_force(site: Site, route: Route | None) -> RequestRules | None:
    """What holds for this route, or (None) for the site's requests that no route takes; None: no rules."""
    said = in_force(site, route, lambda table: table.rules).value
    return RequestRules() if said is True else said or None


def any_rules(config: Config) -> bool:
    """Whether some site or route has rules."""
    return any(table.rules for site in config.sites.values() for table in (site, *site.routes.values()))


class SharedRules(NamedTuple):
    """What workers have in common: rows of the board, and a secret, which outlives reloads."""

    rows: RuleRows
    secret: Shared


def share_rules(config: Config, board: Board) -> SharedRules | None:
    """None where there are no rules. Made before the fork. Raises OSError."""
    if not any_rules(config):
        return None
    from enfilade.rules.shipped import GROUPS  # noqa: PLC0415
    from enfilade.rules.verdict import Verdict  # noqa: PLC0415

    rows = register_rules(board, GROUPS, [verdict.value for verdict in Verdict])
    return SharedRules(rows, board.secret("rules", SECRET))


def compile_rules(own: dict[str, OwnRule], said: RequestRules) -> Ruleset:
    """The shipped rules and `own`, as far as they hold where `said` is said. ValueError for one that cannot be compiled."""
    from enfilade.rules.rule import excluded  # noqa: PLC0415
    from enfilade.rules.ruleset import Ruleset  # noqa: PLC0415

    chosen = [rule for rule in all_rules(own) if rule.paranoia <= said.paranoia and not excluded(rule, said.exclude)]
    return Ruleset(chosen, frozenset(said.exclude_arguments))


def foretell(own: dict[str, OwnRule], said: RequestRules, request: Request) -> str:
    """What the rules would find in `request`, and what would become of it."""
    from enfilade.rules.verdict import Judgement  # noqa: PLC0415

    ruleset = compile_rules(own, said)
    hits = ruleset.find(request)
    verdict, score = Judgement.of(hits, said.threshold)
    found = (
        "; ".join(f"{hit} ({hit.rule.why.rstrip('.')})" if hit.rule.why else str(hit) for hit in hits) or "none of them"
    )
    would = "would be " if said.detect else ""
    return f"of {len(ruleset.rules)} rules hit: {found}; score {score} of {said.threshold}: {would}{verdict.value}"


def all_rules(own: dict[str, OwnRule]) -> Iterator[Rule]:
    """The shipped rules, then `own`. ValueError for one that cannot be compiled."""
    from enfilade.rules.rule import Rule  # noqa: PLC0415
    from enfilade.rules.shipped import OWN, RULES  # noqa: PLC0415

    yield from RULES
    for id, rule in own.items():
        when = tuple(map(_compiled, rule.when))
        yield Rule(id, rule.why, when, (OWN, *rule.tags), rule.action, rule.severity, rule.paranoia)


def _compiled(said: Condition) -> CompiledCondition:
    from enfilade.rules.rule import Condition, literally, parse_part, quote  # noqa: PLC0415

    parts = tuple(parse_part(text) for text in texts(said.at))
    expression = said.matches or ""
    if said.equals is not None:
        expression = literally(texts(said.equals))
    elif said.contains is not None:
        expression = "|".join(map(quote, texts(said.contains)))
    return Condition(parts, expression, said.longer_than, said.negate, tuple(said.transform))


class Rulings:
    """The filters of a worker's routes. Routes that say the same have one set, with one memory of what was clean."""

    def __init__(self, own: dict[str, OwnRule], meter: Meter, secret: bytes) -> None:
        self._own = own
        self._meter = meter
        self._secret = secret
        self._known: dict[bytes, Ruleset] = {}

    def of(self, said: RequestRules) -> Rules:
        """ValueError for rules that cannot be compiled."""
        from enfilade.rules.challenge import Challenge  # noqa: PLC0415
        from enfilade.rules.filter import Rules  # noqa: PLC0415

        key = msgspec.json.encode(said)
        if key not in self._known:
            self._known[key] = compile_rules(self._own, said)
        return Rules(self._known[key], said.threshold, said.detect, self._meter, Challenge(self._secret))
