"""How an upstream deals out its requests, as its table says: everything of it but its peers."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from enfilade.config.errors import did_you_mean
from enfilade.config.schema import Breaker as BreakerTable
from enfilade.config.schema import Check as CheckTable
from enfilade.config.schema import Ejection, Upstream
from enfilade.config.units import octets
from enfilade.exchange.key import Key, client_ip, parse_key
from enfilade.upstream import upstream as rooms
from enfilade.upstream.breaker import Breaker, Tolerance
from enfilade.upstream.budget import RetryBudget
from enfilade.upstream.health import Health
from enfilade.upstream.health import Policy as HealthPolicy
from enfilade.upstream.latency import Percentile
from enfilade.upstream.later import Later
from enfilade.upstream.pick import BALANCERS
from enfilade.upstream.probe import Check, parse_statuses
from enfilade.upstream.queue import Queue
from enfilade.upstream.shared import Shared
from enfilade.upstream.sticky import Sticky
from enfilade.upstream.upstream import Policy
from enfilade.wire.proxy_protocol import announce

NO_EJECTION = Tolerance(failures=0)


Kind = TypeVar("Kind", bound=rooms.Upstream)


def make_upstream(
    name: str, table: Upstream, later: Later, clock: Callable[[], float], shared: Shared | None = None
) -> rooms.Upstream:
    """The upstream without its peers. ValueError where the table says what cannot be."""
    return make_kind(rooms.Upstream, name, table, later, clock, shared)


def make_kind(
    kind: type[Kind], name: str, table: Upstream, later: Later, clock: Callable[[], float], shared: Shared | None
) -> Kind:
    """The same of another kind."""
    balance, key = parse_balance(table.balance)
    policy = Policy(
        retries=table.retries,
        budget=RetryBudget(clock(), ratio=table.retry_budget) if table.retries or table.hedge else None,
        breaker=_breaker(table.breaker),
        hedge=Percentile() if table.hedge else None,
    )
    made = kind(
        name,
        BALANCERS[balance](random.random),
        Queue(table.queue, table.queue_timeout, later),
        Health(_health(table), check_of(table) or Check(), shared),
        clock,
        policy,
    )
    made.key = key
    if table.send_proxy is not None:
        made.announce = partial(announce, table.send_proxy)
    if table.sticky is not None:
        age = None if table.sticky.max_age is None else int(table.sticky.max_age)
        made.sticky = Sticky(table.sticky.cookie, table.sticky.secret.encode(), age)
    return made


def parse_balance(text: str) -> tuple[str, Key | None]:
    """The balancer that `text` names, and what its keys are made of. ValueError for others."""
    name, _, rest = text.partition(" ")
    if name not in BALANCERS or (rest and name != "hash"):
        near = did_you_mean(name, BALANCERS)
        raise ValueError(
            f'"{text}" is no way to balance; write one of {", ".join(BALANCERS)}{"; " + near if near else ""}'
        )
    if name == "hash":
        if not rest:
            raise ValueError('"hash" needs what it goes by, as in "hash cookie NAME" or "hash path"')
        return name, parse_key(rest)
    return name, client_ip if name == "ip_hash" else None


def check_of(table: Upstream) -> Check | None:
    """The active check; None if there is none."""
    said = CheckTable() if table.check is True else table.check
    if not isinstance(said, CheckTable):
        return None
    return Check(
        path=said.path,
        host=said.host or "",
        statuses=parse_statuses(said.status),
        contains=octets(said.contains),
        send=octets(said.send),
        interval=said.interval,
        timeout=said.timeout,
        rise=said.rise,
        fall=said.fall,
    )


def _health(table: Upstream) -> HealthPolicy:
    said = Ejection() if table.eject is True else table.eject
    if not isinstance(said, Ejection):
        return HealthPolicy(NO_EJECTION, slow_start=table.slow_start)
    tolerance = Tolerance(said.failures, said.rate, said.window, base=said.time, longest=said.longest)
    return HealthPolicy(tolerance, said.most, table.slow_start)


def _breaker(said: bool | BreakerTable) -> Breaker | None:
    table = BreakerTable() if said is True else said
    if not isinstance(table, BreakerTable):
        return None
    return Breaker(Tolerance(table.failures, table.rate, table.window, base=table.time))
