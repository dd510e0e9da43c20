"""The limits of a route: 429 (RFC 6585 section 4) where one of them lets a request through no more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.limits.bucket import Bucket
from enfilade.limits.table import Table

RATE_LIMITED = reason("rate_limited")
LOG_EVERY = 1_000_000_000
"""Nanoseconds between two lines in the log about limits that only watch."""
_SECOND = 1_000_000_000
log = logging.getLogger("enfilade.limits")


class Meter(Protocol):
    def count(self, shadow: bool) -> None:
        """A request was refused; `shadow`: it would have been."""


class Rule(NamedTuple):
    """One limit. `name`: what clients and the log call it. `key`: whose bucket a request is for (limits/key.py). `told`: clients
    are told of it. `shadow`: it refuses nothing."""

    name: str
    key: Callable[[Exchange], int]
    bucket: Bucket
    told: bool
    shadow: bool


class Limit(Filter):
    """Lets a request through that all `rules` let through, and counts it with each; one that is refused counts with none.
    `clock`: monotonic, in nanoseconds, the same for all workers."""

    def __init__(
        self, rules: Sequence[Rule], table: Table, meter: Meter, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        # With each, how it is told of in RateLimit: `r` are left, and it is `t` seconds until there is one more.
        self._rules = [(rule, b'"%s";r=%%d;t=%%d' % rule.name.encode() if rule.told else b"") for rule in rules]
        self._table = table
        self._meter = meter
        self._clock = clock
        self._silent_until = 0
        self._policy = b", ".join([_policy(rule) for rule in rules if rule.told])

    def on_request(self, x: Exchange) -> Response | None:
        table, now = self._table, self._clock()
        places, told, wait = [], [], 0
        for rule, member in self._rules:
            bucket = rule.bucket
            place = table.find(rule.key(x), bucket, now)
            free, more = bucket.look(table.debt(place, now))
            if member:
                told.append((member, free, more))
            if free:
                places.append(place)
            elif rule.shadow:
                self._note(rule, x, now)
            else:
                wait = max(wait, more)
        if not wait:
            for place in places:
                table.count(place)
        if told:
            taken = 0 if wait else 1
            left = [member % (free - taken if free else 0, _seconds(more)) for member, free, more in told]
            x.keep(Limit, b", ".join(left))
        if not wait:
            return None
        self._meter.count(False)
        return error_response(RATE_LIMITED, x, Fields([(b"retry-after", b"%d" % _seconds(wait))]))

    def on_response(self, x: Exchange, r: Response) -> Response:
        if not self._policy:
            return r
        return r.with_fields(r.fields.adding((b"ratelimit-policy", self._policy), (b"ratelimit", x.kept(Limit))))

    def _note(self, rule: Rule, x: Exchange, now: int) -> None:
        self._meter.count(True)
        if now >= self._silent_until:
            self._silent_until = now + LOG_EVERY
            log.info("%s would refuse %s %s of %s", rule.name, x.request.method, x.request.target, x.ends.client_ip)


def _policy(rule: Rule) -> bytes:
    """A member of RateLimit-Policy: `q` in `w` seconds."""
    size, interval = rule.bucket
    return f'"{rule.name}";q={size};w={_seconds(size * interval)}'.encode()


def _seconds(nanoseconds: int) -> int:
    """Whole ones, never too few."""
    return -(-nanoseconds // _SECOND)
