"""What the admin listener shows of the cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from enfilade.cache.listing import ORDERS, Asked, Listed, Search
from enfilade.cache.purge_text import purge_name
from enfilade.cache.stores.memory import Memory
from enfilade.cache.stores.tally import Figures
from enfilade.observe.metrics import RouteResults, read_cache_results
from enfilade.process.board import Board

if TYPE_CHECKING:
    from enfilade.assemble.stores import Stores

MOST = 1000
"""Answers that are listed at once."""


class StoreView(TypedDict):
    """`answers` and `bytes` of bodies that are meant; of the whole store: what is in use of the budget, in bytes, and how many
    answers had to leave; the disk's as of its last sweep."""

    store: str
    answers: int
    bytes: int
    used: int
    budget: int
    evictions: int


class CacheView(TypedDict):
    purges: int
    stores: list[StoreView]
    routes: list[RouteResults]
    answers: list[Listed]


async def view_cache(stores: Stores | None, board: Board, query: Mapping[str, str]) -> CacheView:
    """What is stored, counted and the first of it listed. `query`: `name` (purge_text.py), `by` and `top`. What Redis and
    Memcached hold cannot be listed. Raises ValueError for a query that means nothing."""
    if stores is None:
        raise ValueError("nothing is cached")
    asked = _asked(query)
    view = CacheView(purges=stores.purges.count, stores=[], routes=read_cache_results(board), answers=[])
    now = time.time()
    if isinstance(stores.memory, Memory):
        search = Search("memory", stores.memory.entries(), asked)
        for _ in search.run():
            await asyncio.sleep(0)
        view["stores"].append(_store("memory", search, stores.memory.figures()))
        view["answers"] += search.listed(stores.purges, now)
    if stores.disk is not None:
        search = Search("disk", stores.disk.entries(), asked)
        await asyncio.to_thread(list, search.run())
        view["stores"].append(_store("disk", search, stores.disk.figures()))
        view["answers"] += search.listed(stores.purges, now)
    return view


def _asked(query: Mapping[str, str]) -> Asked:
    name, order, top = query.get("name"), query.get("by", "size"), query.get("top", "20")
    if order not in ORDERS:
        raise ValueError(f'there is no order "{order}"; there are {", ".join(ORDERS)}')
    if not top.isdecimal() or int(top) > MOST:
        raise ValueError(f"top is a number up to {MOST}")
    return Asked(None if name is None else purge_name(name), order, int(top))


def _store(name: str, search: Search, figures: Figures) -> StoreView:
    _, used, budget, evicted = figures
    return StoreView(store=name, answers=search.found, bytes=search.size, used=used, budget=budget, evictions=evicted)
