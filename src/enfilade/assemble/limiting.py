"""Which routes are limited, and by which rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from enfilade.config.in_force import in_force, who_says
from enfilade.config.limit_checks import counts_users
from enfilade.config.schema import Config, RateLimit, Route, SharedLimits, Site
from enfilade.config.units import rate, texts
from enfilade.exchange.exchange import Filter
from enfilade.limits.bucket import Bucket
from enfilade.limits.filter import Limit, Meter, Rule, UserLimit
from enfilade.limits.key import compile_key
from enfilade.limits.sharing import Sharing, number_with
from enfilade.limits.table import SETS, Buckets, Table, Windows, table_size
from enfilade.limits.window import Window
from enfilade.net.redis.channel import RedisChannel
from enfilade.observe.metrics import register_alone
from enfilade.process.board import Board, Column
from enfilade.process.shared import Shared

_NANOSECONDS = 1_000_000_000


class Said(NamedTuple):
    """The limits of a route, or of a site's requests that no route takes. `own`: the route says so, not its site."""

    limits: list[RateLimit]
    own: bool

    def why(self, *, users: bool) -> str:
        """Of those that count by who a request comes from (`users`), or of the others: which they are, and who says so."""
        listed = [
            f"{limit.rate} by {by}" if (by := " and ".join(texts(limit.by))) else f"{limit.rate} in all"
            for limit in self.limits
            if counts_users(limit.by) is users
        ]
        return f"{who_says(self.own)}: {', '.join(listed)}"


def limits_of(site: Site, route: Route | None) -> Said:
    """`route`: None for requests that no route takes."""
    said, own = in_force(site, route, lambda table: table.limit)
    listed = said if isinstance(said, list) else [] if said is None else [said]
    return Said([RateLimit(rate=one) if isinstance(one, str) else one for one in listed], own)


def limited_routes(config: Config) -> Iterator[tuple[str, str]]:
    """Site and pattern of each route with a limit; the pattern "" stands for requests that no route takes."""
    for name, site in config.sites.items():
        routes: dict[str, Route | None] = {**site.routes, "": None}
        yield from ((name, pattern) for pattern, route in routes.items() if limits_of(site, route).limits)


def share_limits(config: Config, board: Board, workers: int) -> Shared | None:
    """Memory of all workers, made before the fork; None where nothing is limited. Raises OSError."""
    return board.shared("limits", tables_size(workers)) if any(True for _ in limited_routes(config)) else None


class Tables(NamedTuple):
    """What limits count in, of one worker."""

    buckets: Buckets
    windows: Windows
    sharing: Sharing | None = None
    number: Callable[[object], int] = hash


def tables_size(workers: int, sets: int = SETS) -> int:
    """Bytes of memory, zeros at first, that the tables need. Of what nobody writes to, nothing is taken."""
    return 2 * table_size(workers, sets)


def make_tables(cells: memoryview[int], workers: int, me: int) -> Tables:
    """Over `cells`, of the worker with the number `me`."""
    half = len(cells) // 2
    return Tables(Buckets(cells[:half], workers, me), Windows(cells[half:], workers, me))


def shared_tables(said: SharedLimits, tables: Tables, server: Shared, alone_row: int, column: Column) -> Tables:
    """`tables`, of which other servers hear: over the Redis that is named."""
    assert said.redis is not None

    def alone(is_so: bool) -> None:
        column.cells[alone_row] = int(is_so)

    channel = RedisChannel(said.redis, "enfilade:limits")
    sharing = Sharing(bytes(server.bytes), said.servers, channel, tables.buckets, tables.windows, alone)
    return tables._replace(sharing=sharing, number=number_with(said.redis.encode()))


def prepare_sharing(config: Config, board: Board) -> tuple[Shared, int] | None:
    """What all workers of this server are called by the others (eight bytes), and the row that says that nobody hears a worker;
    None where limits are nobody else's. Raises OSError or BoardFull."""
    if config.limits.redis is None:
        return None
    return board.secret("limits of", 8), register_alone(board)


def no_tables() -> Tables:
    """For limits that are compiled to be looked at."""
    return make_tables(memoryview(bytearray(tables_size(1, 1))).cast("q"), 1, 0)


def bucket_of(text: str, burst: int | None = None) -> Bucket:
    """The bucket of a rate such as "50/s", as large as that says unless it is `burst`. Raises ValueError."""
    count, seconds = rate(text)
    return Bucket(burst or count, seconds * _NANOSECONDS // count)


def make_limits(
    said: Said, site: str, pattern: str, tables: Tables, meter: Meter, clock: Callable[[], int] = time.monotonic_ns
) -> list[Filter]:
    """The filters of what limits the route `pattern` of `site`. What several routes have of their site is one limit. ValueError
    for something to count by that there is not."""
    rules = compile_limits(said.limits, (site, pattern if said.own else ""), tables)
    by_user = [rule for limit, rule in zip(said.limits, rules, strict=True) if counts_users(limit.by)]
    others = [rule for rule in rules if rule not in by_user]
    made: list[Filter] = [Limit(others, meter, clock)] if others else []
    return [*made, UserLimit(by_user, meter, clock)] if by_user else made


def compile_limits(limits: Sequence[RateLimit], owner: tuple[str, str], tables: Tables) -> list[Rule]:
    """`owner`: who says so, a site and the pattern of a route or "". ValueError for something to count by that there is not."""
    rules: list[Rule] = []
    for limit in limits:
        count, seconds = rate(limit.rate)
        length = seconds * _NANOSECONDS
        # Of two with one rate, clients are told which is which, but not what they are counted by.
        same = sum(rule.name.partition(" ")[0] == limit.rate for rule in rules)
        name = f"{limit.rate} {same + 1}" if same else limit.rate
        table: Table[Any]
        by: Window | Bucket
        if limit.algorithm == "sliding_window":
            table, by, size = tables.windows, Window(count, length), count
        else:
            table, by = tables.buckets, bucket_of(limit.rate, limit.burst)
            size, length = by.size, by.size * by.interval
        owned = tables.number((*owner, name, size, length, limit.algorithm, str(limit.by)))
        key = compile_key(owned, limit.by, table.spot, tables.number)
        took = table.count if tables.sharing is None else tables.sharing.counter(table)
        rules.append(Rule(name, size, length, key, table, by, took, limit.fields and not limit.shadow, limit.shadow))
    return rules
