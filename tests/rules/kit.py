"""Requests as the engines make them, and rule sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tests.rules.benign import Asked

from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.request import Request
from enfilade.http.uri import split_target
from enfilade.rules.challenge import Challenge
from enfilade.rules.filter import Rules
from enfilade.rules.rule import Action, Condition, Rule
from enfilade.rules.ruleset import Ruleset
from enfilade.testing.exchange import make_exchange


def request_of(asked: Asked, method: str = "GET") -> Request:
    target, fields = asked
    pairs = [(b"host", b"example.com"), *((name.encode(), value.encode("utf-8")) for name, value in fields)]
    return Request(method, "http", "example.com", "example.com", *split_target(target.encode()), Fields(pairs), "1.1")


def get(target: str, *fields: tuple[str, str]) -> Request:
    return request_of((target, [*fields]))


def rule(
    *when: Condition, action: Action = "deny", id: str = "r", tags: tuple[str, ...] = ("own",), **more: Any
) -> Rule:
    return Rule(id, "why", when, tags, action, **more)


def at(*parts: str, finds: str = "", **more: Any) -> Condition:
    return Condition(parts, finds, **more)


def hit(rules: Sequence[Rule] | Rule, request: Request, passed_over: Iterable[str] = ()) -> list[str]:
    """The ids of those that `request` hits."""
    listed = [rules] if isinstance(rules, Rule) else rules
    return [hit.rule.id for hit in Ruleset(listed, frozenset(passed_over)).find(request)]


class Ruled:
    """A route with rules. `time`: its clock, in seconds. `seen`: the requests that came to its handler."""

    def __init__(self, *rules: Rule, threshold: int = 5, detect: bool = False) -> None:
        self.time = 1000.0
        self.counted: list[tuple[str, bool, set[str]]] = []
        self.seen: list[Request] = []
        challenge = Challenge(b"secret", lambda: self.time)
        filter = Rules(Ruleset(rules), threshold, detect, self, challenge, lambda: self.time)
        self.chain = compile_chain([filter], self._answer)

    def _answer(self, x: Exchange) -> Response:
        self.seen.append(x.request)
        return Response(200, NO_FIELDS, b"x")

    def count(self, verdict: str, detect: bool, groups: Iterable[str]) -> None:
        self.counted.append((verdict, detect, set(groups)))

    def ask(self, method: str = "GET", target: str = "/", *fields: tuple[str, str], **more: Any) -> Response:
        answer = self.chain(make_exchange(method, target, [(n.encode(), v.encode()) for n, v in fields], **more))
        assert isinstance(answer, Response)
        return answer
