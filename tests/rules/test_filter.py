"""What becomes of requests that hit rules."""

from __future__ import annotations

import logging

import pytest
from tests.rules.kit import Ruled, at, get, rule

from enfilade.exchange.response import Response
from enfilade.rules.filter import LINES
from enfilade.testing.exchange import make_exchange

DENY = rule(at("path", finds="^/evil"), id="no-evil", tags=("own", "x"))
THREE = rule(at("argument *", finds="odd"), id="odd", action="score", severity="warning")
TWO = rule(at("argument *", finds="strange"), id="strange", action="score", severity="notice")
TAG = rule(at("path", finds="bot"), id="bot", action="tag")
TAG_TOO = rule(at("path", finds="slow"), id="slow", action="tag")
LOG = rule(at("path", finds="seen"), id="seen", action="log")


def test_what_a_rule_denies_is_answered_403() -> None:
    route = Ruled(DENY)
    answer = route.ask("GET", "/evil")
    assert answer.status == 403
    assert answer.reason is not None and answer.reason.name == "rule_denied"
    assert not route.seen
    assert route.counted == [("denied", False, {"own"})]


def test_what_hits_no_rule_passes_and_is_not_counted() -> None:
    route = Ruled(DENY, THREE, TAG)
    assert route.ask("GET", "/fine?a=b").status == 200
    assert not route.counted


@pytest.mark.parametrize(
    ("target", "status"), [("/?a=odd", 200), ("/?a=strange", 200), ("/?a=odd&b=strange", 403), ("/?a=odd&b=odd", 200)]
)
def test_scores_add_up_each_rule_once(target: str, status: int) -> None:
    assert Ruled(THREE, TWO).ask("GET", target).status == status


def test_the_threshold() -> None:
    assert Ruled(THREE, threshold=3).ask("GET", "/?a=odd").status == 403


def test_with_detect_nothing_is_refused_but_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    route = Ruled(DENY, detect=True)
    assert route.ask("GET", "/evil").status == 200
    assert route.counted == [("denied", True, {"own"})]
    assert "would be denied" in caplog.text


def test_a_head_that_comes_again_on_a_connection_is_judged_as_the_first_time() -> None:
    """Engines hand out the same object: what was clean is looked at once, by each route's own rules."""
    strict, lax, tagging = Ruled(DENY), Ruled(THREE), Ruled(TAG)
    again = {target: get(target) for target in ("/evil", "/fine", "/bot")}

    def ask(route: Ruled, target: str) -> int:
        x = make_exchange("GET", target)
        x.request = again[target]
        answer = route.chain(x)
        assert isinstance(answer, Response)
        return answer.status

    for _ in range(3):
        assert [ask(lax, target) for target in again] == [200, 200, 200]
        assert [ask(strict, target) for target in again] == [403, 200, 200]
        assert ask(tagging, "/bot") == 200
    assert [request.fields.get(b"rule-tags") for request in tagging.seen] == [b"bot"] * 3
    assert strict.counted == [("denied", False, {"own"})] * 3


def test_tags_are_told_to_who_answers() -> None:
    route = Ruled(TAG, TAG_TOO)
    route.ask("GET", "/slow/bot")
    route.ask("GET", "/")
    assert [request.fields.get(b"rule-tags") for request in route.seen] == [b"bot, slow", None]


def test_nobody_tags_themselves() -> None:
    route = Ruled(TAG)
    route.ask("GET", "/", ("rule-tags", "bot"), ("Rule-Tags".lower(), "friend"))
    route.ask("GET", "/bot", ("rule-tags", "friend"))
    assert [request.fields.get(b"rule-tags") for request in route.seen] == [None, b"bot"]


def test_log_only_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert Ruled(LOG).ask("GET", "/seen?x").status == 200
    assert caplog.messages == ["rules: GET /seen?x of 192.0.2.1 passed, score 0: seen at path '/seen'"]


def test_the_log_says_where_and_why_and_escapes_what_strangers_say(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Ruled(DENY, THREE).ask("GET", "/evil?a=odd%0A%1B[31m%C3%A9")
    (message,) = caplog.messages
    assert message.isascii() and "\n" not in message and "\x1b" not in message
    asked, _, found = message.partition(", score 3: ")
    assert asked == "rules: GET /evil?a=odd%0A%1B[31m%C3%A9 of 192.0.2.1 denied"
    assert found == r"no-evil at path '/evil'; odd at argument a 'odd\n\x1b[31m\xe9'"


def test_the_log_is_no_flood(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    route = Ruled(DENY)
    for _ in range(LINES + 7):
        route.ask("GET", "/evil")
    assert len(caplog.messages) == LINES
    route.time += 1
    route.ask("GET", "/evil" + "x" * 5000)
    assert caplog.messages[LINES] == "rules: 7 requests more"
    assert len(caplog.messages) == LINES + 2
    assert len(caplog.messages[-1]) < 500
    assert len(route.counted) == LINES + 8
