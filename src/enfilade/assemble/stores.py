"""The cache as the configuration has it: memory made before the fork, the stores of a worker, the filter of a route."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from enfilade.cache.claims import SIZE as CLAIMS_SIZE
from enfilade.cache.claims import Claims
from enfilade.cache.decide import Rules
from enfilade.cache.feed import Feed
from enfilade.cache.filter import Cache
from enfilade.cache.front import Meter
from enfilade.cache.keeper import Keeper
from enfilade.cache.key import KeyRules
from enfilade.cache.purges import SIZE as PURGES_SIZE
from enfilade.cache.purges import Purges
from enfilade.cache.stored import Store
from enfilade.cache.stores.directory import Directory
from enfilade.cache.stores.disk import Disk
from enfilade.cache.stores.memcached import memcached
from enfilade.cache.stores.memory import Memory
from enfilade.cache.stores.recent import Recent
from enfilade.cache.stores.remote import Remote
from enfilade.cache.stores.tally import CELLS as TALLY_CELLS
from enfilade.cache.stores.tally import SIZE as TALLY_SIZE
from enfilade.cache.stores.tally import Figures, Tally
from enfilade.cache.tiers import Tiers
from enfilade.config.checks import LEAST_CACHE
from enfilade.config.schema import CacheRules, Config, DiskStore
from enfilade.http.cookies import cookie_reader
from enfilade.http.field_texts import field_name
from enfilade.http.fields import Fields
from enfilade.net.redis.cache import redis_cache, redis_journal
from enfilade.process.board import Board
from enfilade.process.privileges import Identity, acting_as
from enfilade.process.shared import Shared

CELL = 8
_BELOW = ("disk", "redis", "memcached")


class SharedCache(NamedTuple):
    """Memory of all workers, made before the fork. `memory`: None where answers are not to be kept in it. `tallies`: of the
    stores below it, one after the other."""

    memory: Shared | None
    purges: Shared
    claims: Shared
    tallies: Shared

    def tally(self, store: str) -> Tally:
        first = _BELOW.index(store) * TALLY_CELLS
        return Tally(self.tallies.cells[first : first + TALLY_CELLS], self.tallies.locked)


def share_cache(config: Config, board: Board, identity: Identity | None) -> SharedCache:
    """Raises OSError or ForeignDirectory where the disk store cannot be had."""
    claims = board.shared("claims", CLAIMS_SIZE)
    tallies = board.shared("tallies", TALLY_SIZE * len(_BELOW))
    size = config.cache.memory // CELL * CELL
    memory = board.shared("cache", size) if size else None
    disk = disk_of(config)
    if disk is None:
        return SharedCache(memory, board.shared("purges", PURGES_SIZE), claims, tallies)
    with acting_as(identity):
        # Beside what is stored, so that what was purged stays purged.
        purges = Shared.open(f"{Directory(disk.path, disk.size).path}/purges", PURGES_SIZE)
        return SharedCache(memory, purges, claims, tallies)


def disk_of(config: Config) -> DiskStore | None:
    said = config.cache.disk
    return DiskStore(path=said) if isinstance(said, str) else said


class Stores:
    """What the caches of all routes of a worker have in common. `tallies`: of the stores below memory, by name."""

    def __init__(
        self,
        memory: Memory | Recent,
        purges: Purges,
        claims: Claims,
        disk: Disk | None = None,
        others: Sequence[Remote] = (),
        feed: Feed | None = None,
        tallies: Mapping[str, Tally] = MappingProxyType({}),
    ) -> None:
        self.memory = memory
        self.purges = purges
        self.claims = claims
        self.disk = disk
        self.tallies = tallies
        self._others = others
        self._feed = feed
        below: list[Store] = [] if disk is None else [disk]
        self.tiers = Tiers(memory, [*below, *others], disk)

    async def catch_up(self) -> None:
        """With what other servers purged, before what is stored is used."""
        if self._feed is not None:
            await self._feed.catch_up()

    def follow(self) -> None:
        """What other servers purge, and tell them what is purged here: for one of the workers."""
        if self._feed is not None:
            self._feed.start()

    def sweep(self) -> None:
        """Keep the disk in order, in a thread: for one of the workers, now and then."""
        if self.disk is not None:
            asyncio.get_running_loop().run_in_executor(None, self.disk.sweep)

    def figures(self) -> Iterator[tuple[str, Figures]]:
        """Of the stores whose answers can be counted."""
        if isinstance(self.memory, Memory):
            yield "memory", self.memory.figures()
        if self.disk is not None:
            yield "disk", self.disk.figures()

    async def close(self) -> None:
        """Write what is to be written."""
        if self.disk is not None:
            await asyncio.to_thread(self.disk.close)
        if self._feed is not None:
            await self._feed.close()
        for store in self._others:
            await store.close()


def open_stores(
    config: Config, shared: SharedCache, purges: Purges, workers: int, alive: Callable[[int], bool]
) -> Stores:
    """In a worker, one of `workers`. `alive`: whether there is a worker with such a pid. Over `shared.purges` the worker has made
    `purges`."""
    memory = Recent() if shared.memory is None else Memory(shared.memory.cells, shared.memory.locked)
    table, said = config.cache, disk_of(config)
    recent = memory if isinstance(memory, Recent) else None
    named = {"disk": said, "redis": table.redis, "memcached": table.memcached}
    tallies = {name: shared.tally(name) for name, where in named.items() if where is not None}
    disk = None if said is None else Disk(said.path, said.size, workers, recent, tallies["disk"])
    others, feed = [], None
    if table.redis is not None:
        others.append(redis_cache(table.redis, tally=tallies["redis"]))
        feed = Feed(purges, redis_journal(table.redis), "purges in Redis")
    if table.memcached is not None:
        others.append(memcached(table.memcached.removeprefix("unix:"), tally=tallies["memcached"]))
    # Alone it saves the lock; where a reload has two at once for a while, a word that is garbled costs a fetch at worst.
    locked = shared.claims.locked if workers > 1 else nullcontext()
    claims = Claims(shared.claims.cells, locked, os.getpid(), alive, time.monotonic)
    return Stores(memory, purges, claims, disk, others, feed, tallies)


@cache
def nowhere() -> Stores:
    """For caches that are compiled to be looked at."""
    cells = memoryview(bytearray(LEAST_CACHE)).cast("q")
    table = memoryview(bytearray(PURGES_SIZE)).cast("q")
    claims = memoryview(bytearray(CLAIMS_SIZE)).cast("q")
    return Stores(
        Memory(cells, nullcontext()),
        Purges(table, nullcontext()),
        Claims(claims, nullcontext(), os.getpid(), lambda pid: True, time.monotonic),
    )


def cache_filter(rules: CacheRules, stores: Stores, meter: Meter) -> Cache:
    """ValueError for a part of requests that there is not."""
    parts = tuple(_part(text) for text in rules.key)
    keyed = rules.ignore_cookies or any(text.split()[:1] == ["cookie"] for text in rules.key)
    keeper = Keeper(
        stores.tiers,
        stores.purges,
        Rules(ttl=rules.ttl, negative=rules.negative, grace=rules.grace, refresh=rules.refresh, cookies_keyed=keyed),
        clock=time.time,
        dice=random.random,
        jitter=rules.jitter,
        min_uses=rules.min_uses,
    )
    query = None if rules.query is None else tuple(rules.query)
    return Cache(keeper, KeyRules(query, tuple(rules.ignore_query), rules.sort_query, parts), meter, stores.claims)


def _part(text: str) -> Callable[[Fields], bytes | None]:
    """What reads `header NAME` or `cookie NAME`."""
    kind, *names = text.split() or [""]
    if kind == "header" and len(names) == 1:
        name = field_name(names[0])
        return lambda fields: fields.get(name)
    if kind == "cookie" and len(names) == 1:
        return cookie_reader(names[0])
    raise ValueError(f'"{text}" is no part of a key: write "header NAME" or "cookie NAME"')
