"""Bans that servers have in common, over a store that is only remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.limits.test_bans import ADDRESS, World

from enfilade.limits.bans import BY_HAND, Ban
from enfilade.limits.shared_bans import LOOK, PAUSE, SharedBans, StoreError


class FakeStore:
    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.number = 0
        self.writes: list[int] = []
        self.away = False

    async def version(self) -> int:
        if self.away:
            raise StoreError("away")
        return self.number

    async def read(self) -> Mapping[str, str]:
        return dict(self.texts)

    async def write(self, changed: Mapping[str, str], seconds: int) -> None:
        self.texts.update(changed)
        self.number += 1
        self.writes.append(seconds)

    async def remove(self, addresses: Sequence[str]) -> None:
        for address in addresses:
            del self.texts[address]


class Server(World):
    def __init__(self, store: FakeStore) -> None:
        super().__init__()
        self.store = store
        self.shared = SharedBans(self.bans, lambda: self.now)

    def look(self) -> None:
        asyncio.run(self.shared.look(self.store))


def two() -> tuple[FakeStore, Server, Server]:
    store = FakeStore()
    return store, Server(store), Server(store)


def looks(*servers: Server) -> None:
    for _ in range(2):
        for server in servers:
            server.look()


def test_what_one_bans_the_other_bans_too() -> None:
    store, one, other = two()
    one.bans.ban(ADDRESS, "404")
    looks(one, other)
    assert other.bans.find(ADDRESS) == Ban(ADDRESS, 1600, 1, "404")
    assert store.writes == [601], "each is written once, for as long as it holds"
    looks(one, other)
    assert len(store.writes) == 1


def test_one_that_is_lifted_is_lifted_everywhere_and_may_be_made_anew() -> None:
    _, one, other = two()
    one.bans.ban(ADDRESS, "404")
    looks(one, other)
    other.bans.lift(ADDRESS)
    looks(other, one)
    assert ADDRESS not in one.bans and ADDRESS not in other.bans
    one.bans.ban(ADDRESS, BY_HAND, 9000)
    looks(one, other)
    assert ADDRESS in one.bans and ADDRESS in other.bans


def test_the_longer_one_counts() -> None:
    _, one, other = two()
    one.bans.ban(ADDRESS, BY_HAND, 60)
    other.bans.ban(ADDRESS, BY_HAND, 600)
    looks(one, other)
    assert [server.bans.listed()[0].until for server in (one, other)] == [1600, 1600]


def test_a_store_that_forgets_everything_is_told_again() -> None:
    store, one, other = two()
    one.bans.ban(ADDRESS, "404")
    looks(one)
    store.texts.clear()
    store.number = 0
    looks(one)
    assert ADDRESS in one.bans, "nobody is let in because it has forgotten"
    looks(other)
    assert ADDRESS in other.bans


def test_what_has_ended_or_is_not_understood_is_removed() -> None:
    store, one, other = two()
    one.bans.ban(ADDRESS, "404")
    looks(one)
    store.texts |= {"192.0.2.2": "nonsense", "192.0.2.3": "[]", "192.0.2.4": '{"until": "x"}'}
    other.now = 1600
    looks(other)
    assert store.texts == {} and other.bans.listed() == []


def test_a_store_that_is_away_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store, one, other = two()
    one.bans.ban(ADDRESS, "404")
    store.away = True
    waits: list[float] = []

    @asynccontextmanager
    async def connect() -> AsyncIterator[FakeStore]:
        yield store

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        store.away = len(waits) < 3
        if len(waits) == 5:
            raise asyncio.CancelledError

    with caplog.at_level(logging.ERROR), pytest.raises(asyncio.CancelledError):
        asyncio.run(one.shared.follow(connect, sleep))
    assert waits == [PAUSE, PAUSE, PAUSE, LOOK, LOOK]
    assert [record.message for record in caplog.records] == ["bans are not shared: away"]
    looks(other)
    assert ADDRESS in other.bans
