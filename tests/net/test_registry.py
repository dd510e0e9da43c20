"""Registered peers: who is told, what is passed over, and that a store that was away takes nobody with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.net.clock import Clock, rest

from enfilade.net.registry import BEATS, LOOK, RETRY, SETTLE, Registration, Registry, StoreError
from enfilade.upstream.addresses import Wanted, parse_address


class Memory:
    """A store that forgets nothing by itself, and may be away."""

    def __init__(self, clock: Clock) -> None:
        self.texts: dict[str, str] = {}
        self.away = False
        self.log: list[str] = []
        self._clock = clock

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Memory]:
        yield self

    def _here(self) -> None:
        if self.away:
            raise StoreError("connection refused")

    async def read(self) -> dict[str, str]:
        self._here()
        return dict(self.texts)

    async def changed(self, seconds: float) -> None:
        self._here()
        await self._clock.sleep(seconds)
        self._here()

    async def put(self, member: str, text: str, ttl: float, *, announce: bool) -> None:
        self._here()
        self.texts[member] = text
        self.log.append(f"{self._clock.now:g} put {member} for {ttl:g}{' loudly' if announce else ''}")

    async def remove(self, member: str) -> None:
        self._here()
        del self.texts[member]
        self.log.append(f"{self._clock.now:g} remove {member}")


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.store = Memory(self.clock)
        self.peers: list[str] | None = None

    def take(self, peers: Sequence[Wanted]) -> None:
        self.peers = [one.address.host for one in peers]

    def play(self, scene: Callable[[], Coroutine[None, None, None]]) -> None:
        async def run() -> None:
            registry = Registry(
                "api", self.store.connect, lambda text: Wanted(parse_address(text)),
                sleep=self.clock.sleep, now=lambda: self.clock.now, chance=lambda: 0.0,
            )  # fmt: skip
            watching = asyncio.create_task(registry.watch(self.take))
            await rest()
            await scene()
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching

        asyncio.run(run())


def test_who_comes_and_goes_is_seen_with_the_next_look_in_the_order_of_addresses() -> None:
    stage = Stage()
    stage.store.texts = {"z": "http://a", "y": "http://b"}

    async def scene() -> None:
        assert stage.peers == ["a", "b"]
        stage.store.texts = {"x": "http://c", "z": "http://a"}
        await stage.clock.advance(LOOK)
        assert stage.peers == ["a", "c"]
        stage.store.texts = {}
        await stage.clock.advance(LOOK)
        assert stage.peers == []

    stage.play(scene)


def test_a_broken_registration_is_passed_over_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.store.texts = {"m1": "http://a", "m2": "nonsense"}

    async def scene() -> None:
        await stage.clock.advance(10 * LOOK)
        assert stage.peers == ["a"]

    stage.play(scene)
    (record,) = caplog.records
    assert record.getMessage().startswith("upstream api: the registration m2 is passed over: ")


def test_while_the_store_is_away_everybody_stays(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.store.texts = {"m1": "http://a"}

    async def scene() -> None:
        stage.store.away = True
        await stage.clock.advance(1000)
        assert stage.peers == ["a"]

    stage.play(scene)
    (record,) = caplog.records
    assert record.getMessage() == "upstream api keeps 1 registered peers: connection refused"


def test_a_store_that_has_forgotten_everybody_is_not_believed_at_once() -> None:
    stage = Stage()
    stage.store.texts = {"m1": "http://a", "m2": "http://b"}

    async def scene() -> None:
        stage.store.away = True
        await stage.clock.advance(LOOK)
        stage.store.away = False
        stage.store.texts = {}
        await stage.clock.advance(1)  # the first retry
        assert stage.peers == ["a", "b"]
        stage.store.texts = {"m1": "http://a", "m3": "http://c"}
        await stage.clock.advance(LOOK)
        assert stage.peers == ["a", "b", "c"], "who comes is taken at once"
        await stage.clock.advance(SETTLE)
        assert stage.peers == ["a", "c"]

    stage.play(scene)


def test_without_a_store_there_is_nobody_until_it_comes() -> None:
    stage = Stage()
    stage.store.away = True
    stage.store.texts = {"m1": "http://a"}

    async def scene() -> None:
        assert stage.peers == []
        stage.store.away = False
        await stage.clock.advance(1)
        assert stage.peers == ["a"]

    stage.play(scene)


# -- staying registered


def test_a_registration_is_renewed_in_time_and_announced_once() -> None:
    clock = Clock()
    store = Memory(clock)

    async def run() -> None:
        registration = Registration(store.connect, "m", "http://a", 9, sleep=clock.sleep)
        keeping = asyncio.create_task(registration.keep())
        await clock.advance(2 * 9 / BEATS)
        keeping.cancel()
        await registration.end()

    asyncio.run(run())
    assert store.log == ["0 put m for 9 loudly", "3 put m for 9", "6 put m for 9", "6 remove m"]
    assert store.texts == {}


def test_a_registration_goes_on_when_the_store_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    store = Memory(clock)

    async def run() -> None:
        keeping = asyncio.create_task(Registration(store.connect, "m", "http://a", 9, sleep=clock.sleep).keep())
        await rest()
        store.away = True
        await clock.advance(10 * RETRY)
        store.away = False
        store.texts = {}
        await clock.advance(RETRY)
        keeping.cancel()

    with caplog.at_level(logging.INFO, "enfilade.upstream"):
        asyncio.run(run())
    assert store.log == ["0 put m for 9 loudly", "11 put m for 9 loudly"]
    assert [record.getMessage() for record in caplog.records] == [
        "registered: http://a",
        "cannot register: connection refused; trying on",
        "registered: http://a",
    ]


def test_an_end_that_cannot_be_told_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    store = Memory(Clock())
    store.away = True
    asyncio.run(Registration(store.connect, "m", "http://a", 9).end())
    assert [record.getMessage() for record in caplog.records] == [
        "the registration ends only after its time to live: connection refused"
    ]
