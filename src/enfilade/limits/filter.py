"""The limits of a route: 429 (RFC 6585 section 4) where one of them lets a request through no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.filters.remade import Remade
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.limits.bucket import Bucket
from enfilade.limits.table import Spot, Table
from enfilade.limits.window import Window

RATE_LIMITED = reason("rate_limited")
LOG_EVERY = 1_000_000_000
"""Nanoseconds between two lines in the log about limits that only watch."""
_SECOND = 1_000_000_000
log = logging.getLogger("enfilade.limits")


class Meter(Protocol):
    def count(self, shadow: bool) -> None:
        """A request was refused; `shadow`: it would have been."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit. `name`: what clients and the log call it; `size` requests in `length` nanoseconds. `key`: who is counted by it
    (limits/key.py). `table` says how many more `by` lets come of whom, and when; `took`: one of them did. `told`: clients are
    told of it. `shadow`: it refuses nothing."""

    name: str
    size: int
    length: int
    key: Callable[[Exchange], Spot]
    table: Table[Any]
    by: Bucket | Window
    took: Callable[[int], None]
    told: bool
    shadow: bool


class Limit(Filter):
    """Lets a request through that all `rules` let through, and counts it with each; one that is refused counts with none.
    `clock`: monotonic, in nanoseconds, the same for all workers."""

    def __init__(self, rules: Sequence[Rule], meter: Meter, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._rules = tuple(rules)
        self._alone = rules[0] if len(rules) == 1 and not rules[0].shadow else None
        self._meter = meter
        self._clock = clock
        self._silent_until = 0
        told = [rule for rule in rules if rule.told]
        self._tells = bool(told)
        policy = b"ratelimit-policy", b", ".join([_policy(rule) for rule in told])
        # How each is told of in RateLimit: `r` are left, and it is `t` seconds until there is one more.
        left = b", ".join([b'"%s";r=%%d;t=%%d' % rule.name.encode() for rule in told])
        self._remade: Remade[tuple[int, ...]] = Remade(
            lambda fields, numbers: fields.adding(policy, (b"ratelimit", left % numbers))
        )

    def on_request(self, x: Exchange) -> Response | None:
        rule, clock = self._alone, self._clock
        if rule is None:
            return self._ask_all(x, clock())
        key, took = rule.key, rule.took  # what is no method costs less to call by a name of its own
        place, free, more = rule.table.look(rule.by, key(x), clock())
        if not free:
            return self._refuse(x, [0, -(-more // _SECOND)], more)
        took(place)
        if self._tells:
            x.keep(type(self), (free - 1, -(-more // _SECOND)))
        return None

    def _ask_all(self, x: Exchange, now: int) -> Response | None:
        wait = 0
        taken: list[tuple[Rule, int]] = []
        told: list[int] = []
        for rule in self._rules:
            place, free, more = rule.table.look(rule.by, rule.key(x), now)
            if rule.told:
                told += free, _seconds(more)
            if free:
                taken.append((rule, place))
            elif rule.shadow:
                self._note(rule, x, now)
            else:
                wait = max(wait, more)
        if wait:
            return self._refuse(x, told, wait)
        for rule, place in taken:
            rule.took(place)
        if self._tells:
            told[::2] = [free - 1 for free in told[::2]]
            x.keep(type(self), tuple(told))
        return None

    def on_response(self, x: Exchange, r: Response) -> Response:
        return self._remade.of(r, x.kept(type(self))) if self._tells else r

    def _refuse(self, x: Exchange, told: list[int], wait: int) -> Response:
        x.keep(type(self), tuple(told))
        self._meter.count(False)
        return error_response(RATE_LIMITED, x, Fields([(b"retry-after", b"%d" % _seconds(wait))]))

    def _note(self, rule: Rule, x: Exchange, now: int) -> None:
        self._meter.count(True)
        if now >= self._silent_until:
            self._silent_until = now + LOG_EVERY
            log.info("%s would refuse %s %s of %s", rule.name, x.request.method, x.request.target, x.ends.client_ip)


class UserLimit(Limit):
    """For those `rules` that count by who the request comes from: behind the filters that find that out."""


def _policy(rule: Rule) -> bytes:
    """A member of RateLimit-Policy: `q` in `w` seconds."""
    return f'"{rule.name}";q={rule.size};w={_seconds(rule.length)}'.encode()


def _seconds(nanoseconds: int) -> int:
    """Whole ones, never too few."""
    return -(-nanoseconds // _SECOND)
