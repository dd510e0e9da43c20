"""How many requests are in flight at once: over all workers, who waits, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from enfilade.assemble.concurrency import make_bulkhead
from enfilade.config.schema import Concurrency as Table
from enfilade.exchange.chain import compile_chain, done_hooks
from enfilade.exchange.exchange import Outcome, Route
from enfilade.exchange.response import Response
from enfilade.limits.bulkhead import LOOK, Concurrency
from enfilade.limits.line import LEVELS
from enfilade.limits.sketch import SIZE, Sketch
from enfilade.testing.exchange import make_exchange


class Timers:
    """`time` stands until it is moved."""

    def __init__(self) -> None:
        self.time = 0.0
        self.due: list[Timers.One] = []

    class One:
        def __init__(self, at: float, what: Callable[[], None]) -> None:
            self.at = at
            self.what = what
            self.over = False

        def cancel(self) -> None:
            self.over = True

    def __call__(self, seconds: float, what: Callable[[], None]) -> One:
        one = self.One(self.time + seconds, what)
        self.due.append(one)
        return one

    def pass_by(self, seconds: float) -> None:
        until = self.time + seconds
        while due := [one for one in self.due if one.at <= until and not one.over]:
            one = min(due, key=lambda one: one.at)
            self.time = one.at
            one.cancel()
            one.what()
        self.time = until


class Workers:
    """Some that have one limit in common."""

    def __init__(self, number: int, **table: Any) -> None:
        self.cells = [memoryview(bytearray(SIZE * 8)).cast("q") for _ in range(number)]
        self.timers = [Timers() for _ in range(number)]
        self.bulkheads = [
            make_bulkhead(Table(**table), ("a", "b"), Sketch(self.cells[i], lambda: self.cells), self.timers[i])
            for i in range(number)
        ]

    def ask(self, worker: int = 0, client: str = "192.0.2.1", priority: str = "normal") -> Asked:
        return Asked(Concurrency(self.bulkheads[worker], LEVELS.index(priority)), client)


class Asked:
    """A request, and what became of it. Its handler answers at once, but it is in flight until it is `done`."""

    def __init__(self, concurrency: Concurrency, client: str) -> None:
        chain = compile_chain([concurrency], lambda x: Response(200))
        self.x = make_exchange("GET", "/", route=Route("a", "b", chain), client=(client, 1))
        self.hooks = done_hooks([concurrency])
        answer = chain(self.x)
        self.task: asyncio.Future[Response] | None = None
        self.response: Response | None = None
        if isinstance(answer, Response):
            self.response = answer
        else:
            self.task = asyncio.ensure_future(answer)

    @property
    def status(self) -> int | None:
        """None: it waits."""
        if self.task is not None and self.task.done():
            self.response = self.task.result()
        return None if self.response is None else self.response.status

    def done(self) -> None:
        if self.task is not None:
            self.task.cancel()  # as where the client has gone away
        for hook in self.hooks:
            hook(self.x, Outcome(self.status or 499, 0, 0.0, None))


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(main())  # type: ignore[arg-type]


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_the_next_one_is_refused_until_one_is_over() -> None:
    workers = Workers(1, limit=2)
    first, second, third = (workers.ask() for _ in range(3))
    assert [one.status for one in (first, second, third)] == [200, 200, 503]
    assert third.response is not None and third.response.fields.get(b"retry-after") == b"1"
    assert third.response.reason is not None and third.response.reason.name == "concurrency_limited"
    third.done()
    assert workers.ask().status == 503, "who was refused was never in flight"
    first.done()
    assert [workers.ask().status for _ in range(2)] == [200, 503]


def test_all_workers_count_together_and_a_dead_one_no_more() -> None:
    workers = Workers(2, limit=2)
    assert [workers.ask(worker).status for worker in (0, 0, 1)] == [200, 200, 503]
    workers.cells[0][:] = memoryview(bytes(SIZE * 8)).cast("q")  # as the board does with what was killed
    assert [workers.ask(1).status for _ in range(3)] == [200, 200, 503]


def test_each_address_by_itself() -> None:
    workers = Workers(1, limit=1, by="address")
    asked = [
        workers.ask(client=client) for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
    ]
    assert [one.status for one in asked] == [200, 503, 200, 200, 503]


def test_who_waits_comes_next_and_nobody_overtakes() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=2)
        first, second, third, fourth = (workers.ask() for _ in range(4))
        assert [one.status for one in (first, second, third, fourth)] == [200, None, None, 503]
        first.done()
        late = workers.ask()
        await turn()
        assert [one.status for one in (second, third, late)] == [200, None, None]
        second.done()
        third.done()
        late.done()
        assert workers.ask().status == 200

    run(main)


def test_who_waits_for_too_long_is_refused() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=2, wait=5.0)
        first, second = workers.ask(), workers.ask()
        workers.timers[0].pass_by(4.9)
        await turn()
        assert second.status is None
        workers.timers[0].pass_by(0.2)
        await turn()
        assert second.status == 503
        second.done()
        first.done()
        assert workers.ask().status == 200

    run(main)


def test_a_client_that_goes_away_leaves_the_line() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=1)
        first, second = workers.ask(), workers.ask()
        second.done()
        await turn()
        third = workers.ask()
        assert third.status is None, "there is room in the line"
        first.done()
        await turn()
        assert third.status == 200
        third.done()
        assert workers.ask().status == 200

    run(main)


def test_one_that_was_let_in_as_its_client_went_away_is_over_too() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=1)
        first, second = workers.ask(), workers.ask()
        first.done()
        second.done()  # before it has seen that it was let in
        await turn()
        assert workers.ask().status == 200

    run(main)


def test_what_another_worker_lets_go_of_is_seen_soon() -> None:
    async def main() -> None:
        workers = Workers(2, limit=1, queue=1)
        first, second = workers.ask(0), workers.ask(1)
        first.done()
        workers.timers[1].pass_by(LOOK * 1.5)
        await turn()
        assert second.status == 200
        second.done()
        workers.timers[1].pass_by(1.0)
        assert not [one for one in workers.timers[1].due if not one.over], "nobody looks where nobody waits"

    run(main)


def test_each_address_has_its_turn_and_high_priority_goes_first() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=9)
        last = workers.ask()
        waiting = {
            name: workers.ask(client=client, priority=priority)
            for name, client, priority in (
                ("low", "192.0.2.9", "low"),
                ("a", "192.0.2.1", "normal"),
                ("a too", "192.0.2.1", "normal"),
                ("b", "192.0.2.2", "normal"),
                ("high", "192.0.2.1", "high"),
            )
        }
        order = []
        while waiting:
            last.done()
            await turn()
            ((name, last),) = [(name, one) for name, one in waiting.items() if one.status == 200]
            order.append(name)
            del waiting[name]
        assert order == ["high", "a", "b", "a too", "low"]

    run(main)


def test_where_nobody_is_to_be_told_apart_who_came_first_goes_first() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=9, fair=[])
        last = workers.ask()
        one, same, other = (workers.ask(client=client) for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2"))
        for expected in (one, same, other):
            last.done()
            await turn()
            assert expected.status == 200
            last = expected

    run(main)


def test_the_last_of_the_low_ones_makes_room_for_who_is_more() -> None:
    async def main() -> None:
        workers = Workers(1, limit=1, queue=1)
        workers.ask()
        low, high, normal = (workers.ask(priority=level) for level in ("low", "high", "normal"))
        await turn()
        assert [one.status for one in (low, high, normal)] == [503, None, 503]

    run(main)


def test_the_adaptive_one_begins_lower_and_measures_from_when_it_was_let_in() -> None:
    workers = Workers(1, limit=100, adaptive=True)
    asked = [workers.ask() for _ in range(25)]
    assert [one.status for one in asked].count(200) == 20
    gradient = workers.bulkheads[0].gradient
    assert gradient is not None
    for one in asked:
        one.done()
    for _ in range(50):
        for one in [workers.ask() for _ in range(int(gradient.limit))]:
            one.done()
    assert int(gradient.limit) == 100
