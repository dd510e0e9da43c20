"""The shipped rules find each attack of the table, and nothing of what honest people ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.rules import attacks, benign
from tests.rules.kit import request_of

from enfilade.rules.rule import Rule
from enfilade.rules.ruleset import Ruleset
from enfilade.rules.scanner import check_expression
from enfilade.rules.shipped import GROUPS, RULES
from enfilade.rules.verdict import Judgement, Verdict

DOCS = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
HONEST_AT_2 = {"select a plan from the union", 'project = "ABC" and status = open'}
"""What the second level takes for SQL, which it looks like."""
RULESETS = {level: Ruleset([rule for rule in RULES if rule.paranoia <= level]) for level in (1, 2)}


@pytest.mark.parametrize("asked", benign.requests(), ids=str)
def test_what_is_honest_passes(asked: benign.Asked) -> None:
    hits = RULESETS[1].find(request_of(asked))
    assert [*map(str, hits)] == []


@pytest.mark.parametrize("asked", benign.requests(), ids=str)
def test_what_is_honest_passes_at_the_second_level_but_for_what_looks_like_sql(asked: benign.Asked) -> None:
    hits = RULESETS[2].find(request_of(asked))
    denied = Judgement.of(hits, 5).verdict is Verdict.DENIED
    assert denied == any(hit.text in HONEST_AT_2 for hit in hits)


@pytest.mark.parametrize(("group", "asked"), attacks.requests(), ids=str)
def test_an_attack_is_denied_for_what_it_is(group: str, asked: benign.Asked) -> None:
    hits = RULESETS[1].find(request_of(asked))
    assert Judgement.of(hits, 5).verdict is Verdict.DENIED
    assert group in {hit.rule.tags[0] for hit in hits}


def test_each_group_is_attacked() -> None:
    assert {group for group, _ in attacks.requests()} == {*GROUPS} - {"own"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_is_needed(rule: Rule) -> None:
    """Some attack of the table, or of those below, is found by it."""
    everything = Ruleset([rule])
    more = {
        "protocol-method": request_of(("/", []), "TRACK"),
        "protocol-host": request_of(("/", [])),
        "protocol-twice": request_of(("/?a=%252e", [])),
        "sql-select": request_of(("/?q=select+name+from+users", [])),
        "sql-quote": request_of(("/?q=x'+or+name+like+'a%25", [])),
        "nosql-json": request_of(("/?q={%22$ne%22:1}", [])),
        "xss-markup": request_of(("/?q=<a+href=x>", [])),
        "ssrf-local": request_of(("/?q=http://127.0.0.1/", [])),
    }
    if rule.id == "protocol-host":
        more[rule.id].host = "192.0.2.1"
    asked = [more[rule.id]] if rule.id in more else [request_of(asked) for _, asked in attacks.requests()]
    assert any(everything.find(request) for request in asked)


def test_ids_are_unique_and_say_their_group() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {tag for rule in RULES for tag in rule.tags}
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", id) for id in ids)


def test_each_expression_is_one_by_itself() -> None:
    for rule in RULES:
        for condition in rule.when:
            check_expression(condition.expression)


def test_the_docs_have_the_counts() -> None:
    assert f"{len(attacks.requests())} attacks" in DOCS
    assert f"{len(benign.requests())} honest requests" in DOCS
    assert f"{len(HONEST_AT_2)} of them" in DOCS
