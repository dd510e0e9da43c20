"""Names that have a certificate when they are asked for: which, how many, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.acme.authority import Clock
from tests.acme.test_manager import Edge

from enfilade.acme.demand import MINUTE, NAMES, NEW_A_MINUTE, PENDING, Demand, is_host_name
from enfilade.acme.manager import Means
from enfilade.acme.schedule import DAY
from enfilade.acme.state import State, Wanted

NAME = "a.customers.test"


class World(Edge):
    """An edge that certifies on demand whatever ends in .customers.test, if who is asked agrees; `asked`: what that was."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Clock(), names=())
        self.asked: list[str] = []
        self.agrees = True
        self.view._on_certificate = lambda name, held: self.demand.end(name)
        self.demand = Demand(
            self.storage, self.view, lambda name: name.endswith(".customers.test"), self._permit, self.clock
        )

    async def _permit(self, name: str) -> bool:
        self.asked.append(name)
        return self.agrees

    async def settle(self) -> None:
        """Whatever was begun is over, and seen, as a second later."""
        while self.demand._tasks:
            await asyncio.wait(set(self.demand._tasks))
        await self.view.look()
        self.clock.now += 1
        self.demand.tick()

    async def keep(self, seconds: float) -> None:
        """As one of the workers does, for so long."""
        end = self.clock.now + seconds
        step = max(1.0, seconds / 200)

        async def sleep(_: float) -> None:
            self.clock.now += step
            await self.view.look()
            self.demand.tick()
            if self.clock.now >= end:
                raise TimeoutError

        means = Means(self._fetch, sleep, lambda: 0.0, self.counted.append, self.clock)
        with pytest.raises(TimeoutError):
            await self.demand.keep(self.manager, means)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    def run(work: Callable[[World], Any]) -> None:
        asyncio.run(work(World(tmp_path / "storage")))

    return run


Run = Callable[[Callable[[World], Awaitable[None]]], None]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a.de", True), ("xn--bcher-kva.example.com", True), (f"{'a' * 63}.de", True), ("1.2.example", True),
        ("", False), ("localhost", False), ("127.0.0.1", False), ("::1", False), ("a..de", False), (".de", False),
        ("a.de.", False), ("-a.de", False), ("a-.de", False), ("a_b.de", False), ("*.a.de", False), ("A.de", False),
        (f"{'a' * 64}.de", False), (f"{'a.' * 126}de", False), ("a.de\n", False), ("a/b.de", False), ("b\xfc.de", False),
    ],
)  # fmt: skip
def test_only_names_of_hosts_can_have_one(name: str, good: bool) -> None:
    assert is_host_name(name) is good


def test_a_name_that_may_have_one_is_waited_for_until_it_has(run: Run) -> None:
    async def work(world: World) -> None:
        ready = world.demand.want(NAME)
        assert ready is not None and world.demand.want(NAME) is ready
        await world.settle()
        assert not ready.done() and world.asked == [NAME]
        await world.keep(10)
        assert ready.done()
        held = world.demand.held(NAME)
        assert held is not None and held.chain.names == (NAME,)

    run(work)


def test_a_name_that_may_not_is_refused_at_once_and_nobody_is_asked(run: Run) -> None:
    async def work(world: World) -> None:
        assert world.demand.want("a.others.test") is None
        assert not world.asked

    run(work)


def test_what_was_stored_for_a_name_that_may_no_longer_have_one_is_not_shown(run: Run) -> None:
    async def work(world: World) -> None:
        await world.manager.look_at("a.others.test")
        assert "a.others.test" in world.view.certificates and world.demand.held("a.others.test") is None

    run(work)


def test_a_no_holds_for_a_minute(run: Run) -> None:
    async def work(world: World) -> None:
        world.agrees = False
        ready = world.demand.want(NAME)
        await world.settle()
        assert ready is not None and ready.done()
        assert world.demand.want(NAME) is None and world.asked == [NAME]
        world.clock.now += MINUTE
        assert world.demand.want(NAME) is not None
        await world.settle()
        assert world.asked == [NAME, NAME] and not world.view.wanted

    run(work)


def test_only_some_are_waited_for_at_once(run: Run) -> None:
    async def work(world: World) -> None:
        found = [world.demand.want(f"{i}.customers.test") for i in range(PENDING + 1)]
        assert None not in found[:PENDING] and found[PENDING] is None
        await world.settle()
        assert len(world.asked) == PENDING

    run(work)


def test_only_some_are_new_in_a_minute_whichever_worker_they_asked(run: Run) -> None:
    async def work(world: World) -> None:
        wanted = msgspec.json.encode(Wanted(world.clock.now, world.clock.now))
        for i in range(NEW_A_MINUTE):
            await world.storage.put("wanted", f"{i}.customers.test", wanted)
        await world.settle()
        assert world.demand.want(NAME) is None
        assert world.demand.want("0.customers.test") is not None  # it is not new
        world.clock.now += MINUTE
        world.demand.tick()
        assert world.demand.want(NAME) is not None
        await world.demand.close()

    run(work)


def test_there_are_only_so_many(run: Run) -> None:
    async def work(world: World) -> None:
        world.view.wanted.update((f"{i}.customers.test", Wanted(0.0, 0.0)) for i in range(NAMES))
        assert world.demand.want(NAME) is None

    run(work)


def test_a_failure_ends_the_wait_and_is_not_repeated_before_its_time(run: Run) -> None:
    async def work(world: World) -> None:
        world.ca.validate = lambda name, token: None
        ready = world.demand.want(NAME)
        await world.settle()
        await world.keep(2)
        assert ready is not None and ready.done()
        assert world.demand.want(NAME) is None
        await world.keep(2 * MINUTE)
        assert world.orders() == 1 and not world.view.wanted
        world.clock.now = world.view.states[NAME].again
        assert world.demand.want(NAME) is not None
        await world.settle()
        assert world.asked == [NAME, NAME]

    run(work)


def test_one_that_takes_long_holds_up_no_other(run: Run) -> None:
    async def work(world: World) -> None:
        look_at, other = world.manager.look_at, "b.customers.test"
        hanging = asyncio.Event()

        async def slow(name: str) -> float:
            if name == NAME:
                hanging.set()
                await asyncio.Event().wait()
            return await look_at(name)

        world.manager.look_at = slow  # type: ignore[method-assign]
        for name in (NAME, other):
            world.demand.want(name)
        await world.settle()
        await world.keep(1)
        assert hanging.is_set() and world.demand.held(NAME) is None
        assert world.demand.held(other) is not None

    run(work)


def test_old_failures_are_forgotten(run: Run) -> None:
    async def work(world: World) -> None:
        await world.storage.put("states", NAME, msgspec.json.encode(State(1, world.clock.now, "no")))
        await world.view.look()
        await world.keep(DAY + 1000)
        assert not world.view.states

    run(work)


def test_a_wait_has_an_end(run: Run) -> None:
    async def work(world: World) -> None:
        ready = world.demand.want(NAME)
        await world.settle()
        world.clock.now += MINUTE
        world.demand.tick()
        assert ready is not None and ready.done()

    run(work)


async def certified(world: World) -> None:
    world.demand.want(NAME)
    await world.settle()
    await world.keep(1)
    assert world.orders() == 1


def test_what_is_asked_for_is_renewed_if_it_still_may_have_one(run: Run) -> None:
    async def work(world: World) -> None:
        await certified(world)
        world.clock.now += 40 * DAY
        world.demand.use(NAME)
        world.demand.tick()
        await world.settle()
        world.agrees = False
        world.clock.now += 25 * DAY
        await world.keep(1)
        assert world.orders() == 1
        world.agrees = True
        world.clock.now += MINUTE
        await world.keep(1)
        assert world.orders() == 2

    run(work)


def test_what_nobody_asks_for_any_more_is_let_go(run: Run) -> None:
    async def work(world: World) -> None:
        world.agrees = True
        await certified(world)
        world.agrees = False  # nobody renews it
        world.clock.now += 95 * DAY
        await world.keep(2)
        assert world.orders() == 1
        assert not world.view.wanted and not world.view.certificates and not world.view.states

    run(work)
