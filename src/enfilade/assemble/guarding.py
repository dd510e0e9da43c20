"""Who stands at the door: whom listeners let in, and how many connections there may be."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from enfilade.assemble.limiting import bucket_of
from enfilade.assemble.sketches import sketch_of
from enfilade.config.networks import admitted, check_list, list_files, list_urls
from enfilade.config.schema import Config, Firewall
from enfilade.http.addresses import Addresses, Networks
from enfilade.limits.arrivals import Arrivals, Rates
from enfilade.limits.sketch import SIZE
from enfilade.limits.table import Buckets, table_size
from enfilade.net.context import Connections, Tracked
from enfilade.net.firewall import Admitted, Guard
from enfilade.net.lists import LARGEST, FetchedLists
from enfilade.process.board import Board, Column
from enfilade.process.privileges import Identity, acting_as
from enfilade.process.shared import Shared


class PreparedGuard(NamedTuple):
    """What was made before the fork. `admitted`: None: everybody. `lists`: those at URLs; `every`: seconds after
    which they are asked for again. `open`: the row of how many connections a worker has; `sketch`: the first row of those that
    count them by address; `rates`: memory with the buckets of new ones; None where nobody asks."""

    admitted: Admitted | None
    lists: FetchedLists | None
    every: float
    open: int | None
    sketch: int | None
    rates: Shared | None


def prepare_guard(config: Config, board: Board, workers: int, identity: Identity | None = None) -> PreparedGuard:
    """Raises OSError or BoardFull, and ValueError where a list cannot be read. `identity`: whose the files are that are kept."""
    firewall = config.firewall
    lists = None if firewall.is_open else fetch_lists(firewall)
    if lists is not None:
        with acting_as(identity):
            lists.write()
    return PreparedGuard(
        None if firewall.is_open else _admitted(firewall, lists),
        lists,
        0.0 if firewall.lists is None else firewall.lists.every,
        board.rows("connections", gauge=True) if config.server.limits.connections else None,
        board.rows("connections by address", size=SIZE, gauge=True) if firewall.connections_per_address else None,
        board.shared("new connections", table_size(workers)) if _has_rates(firewall) else None,
    )


def _admitted(firewall: Firewall, lists: FetchedLists | None) -> Admitted:
    if lists is None:
        return Admitted(partial(admitted, firewall), list_files(firewall))
    return Admitted(lambda: admitted(firewall, lists.texts()), [*list_files(firewall), *lists.files])


def fetch_lists(firewall: Firewall) -> FetchedLists | None:
    """The lists at URLs, where there are any. Raises ValueError where one cannot be had, and OSError."""
    urls, table = list_urls(firewall), firewall.lists
    if not urls or table is None:
        return None
    from enfilade.net.fetch import Fetcher  # noqa: PLC0415

    def fetch(timeout: float) -> Fetcher:
        allow, authority = Networks(table.allow), table.authority
        return Fetcher(allow, http=bool(table.allow), authority=authority, timeout=timeout, body=LARGEST)

    lists = FetchedLists(urls, fetch, check_list, table.keep)
    lists.load(table.wait)
    return lists


def _has_rates(firewall: Firewall) -> bool:
    return bool(firewall.new_connections or firewall.new_connections_per_address)


def make_guard(
    config: Config,
    prepared: PreparedGuard,
    board: Board,
    column: Column,
    workers: int,
    slot: int,
    banned: Addresses | None,
) -> Guard | None:
    """The guard of one worker; None: everybody comes in."""
    admitted = prepared.admitted
    arrivals = _arrivals(config, prepared, board, column, workers, slot) if config.firewall.counts else None
    return Guard(admitted, arrivals, banned) if is_guarded(config) else None


def is_guarded(config: Config) -> bool:
    """Whether somebody may not come in."""
    bans = config.bans is not None and not config.bans.dry_run
    return bans or config.firewall.counts or not config.firewall.is_open


def _arrivals(
    config: Config, prepared: PreparedGuard, board: Board, column: Column, workers: int, slot: int
) -> Arrivals:
    firewall, first = config.firewall, prepared.sketch
    sketch = rates = None
    if first is not None:
        sketch = sketch_of(board, column, first)
    if prepared.rates is not None:
        table = Buckets(prepared.rates.cells, workers, slot)
        one, total = firewall.new_connections_per_address, firewall.new_connections
        rates = Rates(None if one is None else bucket_of(one), None if total is None else bucket_of(total), table)
    # Whoever brings the connections of many others.
    uncounted = Networks([*config.server.proxy_protocol, *config.server.trusted_proxies])
    return Arrivals(firewall.connections_per_address, sketch, rates, uncounted)


def make_connections(prepared: PreparedGuard, board: Board, column: Column) -> set[Tracked]:
    """Where a worker has its connections: a set that counts with those of the others where their number is limited."""
    row = prepared.open
    return set() if row is None else Connections(column.cells[row : row + 1], partial(board.total, row))
