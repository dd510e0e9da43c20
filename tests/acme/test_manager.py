"""Who has certificates made: when, how often, by whom, and what is remembered."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from tests.acme.authority import HOST, Clock, FakeAuthority

from enfilade.acme.challenges import SETTLE, Http01
from enfilade.acme.client import Terms
from enfilade.acme.disk import Disk, prepare
from enfilade.acme.manager import AT_ONCE, ELSEWHERE, Authority, Manager, Means
from enfilade.acme.schedule import DAY
from enfilade.acme.state import Held
from enfilade.acme.storage import locked
from enfilade.acme.view import View
from enfilade.exchange.fetch import Fetched
from enfilade.http.fields import Pair

NAME = "a.example.com"
OTHER = "https://other.test"


def no_validation(pem: bytes) -> ssl.SSLContext:
    raise AssertionError("nobody answers so here")


class AtOnce(Executor):
    """Does in its caller's thread what it is given: tests look at a disk ten thousand times."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **more))
        except Exception as error:
            done.set_exception(error)
        return done


class Edge:
    """One edge on the storage in `folder`; `ca` sees what its view shows."""

    def __init__(
        self, folder: Path, clock: Clock, names: Sequence[str] = (NAME,), authorities: Sequence[str] = (HOST,)
    ) -> None:
        prepare(str(folder))
        self.clock = clock
        self.storage = Disk(str(folder), clock)
        self.storage._thread = AtOnce()  # type: ignore[assignment]
        self.presented: list[tuple[str, Held]] = []
        self.view = View(self.storage, lambda name, held: self.presented.append((name, held)), no_validation)
        self.cas = {url: FakeAuthority(clock, self._validate, url) for url in authorities}
        self.ca = self.cas[authorities[0]]
        self.counted: list[bool] = []
        means = Means(self._fetch, self._sleep, lambda: 0.0, self.counted.append, clock)
        signing = [Authority(f"{url}/dir", Terms(None, None), None) for url in authorities]
        self.manager = Manager(names, self.storage, self.view, signing, [Http01(self.storage)], means)

    async def _fetch(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        host = url[: url.index("/", len("https://"))]
        return await self.cas[host](method, url, fields, body)

    async def _sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        await self.view.look()  # as a worker does each second

    def _validate(self, name: str, token: str) -> str | None:
        answer = self.view.answers.get(token)
        return None if answer is None else answer.decode()

    async def go_on(self, seconds: float) -> None:
        """As the manager's own loop does, for so long."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            wait = min([await self.manager.look_at(name) for name in self.manager._names])
            due = min(self.manager.next(name) for name in self.manager._names)  # nothing happens before
            await self._sleep(min(max(wait, due - self.clock.now), end - self.clock.now) or 0.001)

    def orders(self) -> int:
        return sum(len(ca.orders) for ca in self.cas.values())


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path / "storage", Clock())


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_a_name_without_a_certificate_has_one_made_and_shown(edge: Edge) -> None:
    run(edge.manager.look_at(NAME))
    assert [name for name, _ in edge.presented] == [NAME]
    assert edge.presented[0][1].chain.names == (NAME,)
    assert edge.counted == [True]
    assert edge.view.answers == {}


def test_everybody_has_had_the_time_to_look_before_the_authority_is_told(edge: Edge) -> None:
    run(edge.manager.look_at(NAME))
    assert SETTLE in edge.clock.slept


def test_one_that_is_good_is_left_alone_until_two_thirds_of_its_life_are_over(edge: Edge) -> None:
    run(edge.go_on(59 * DAY))
    assert edge.orders() == 1
    run(edge.go_on(2 * DAY))
    assert edge.orders() == 2
    assert len(edge.presented) == 2


def test_a_stored_one_is_used_by_whoever_starts(edge: Edge, tmp_path: Path) -> None:
    run(edge.manager.look_at(NAME))
    other = Edge(tmp_path / "storage", edge.clock)
    run(other.view.look())
    assert other.presented == edge.presented
    run(other.manager.look_at(NAME))
    assert other.orders() == 0


def test_one_that_cannot_be_read_is_made_anew(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    run(edge.storage.put("certificates", NAME, b"junk"))
    run(edge.view.look())
    assert "certificates of a.example.com in the storage cannot be used" in caplog.text
    run(edge.manager.look_at(NAME))
    assert len(edge.presented) == 1


def test_what_fails_is_tried_ever_more_rarely(edge: Edge) -> None:
    edge.ca.validate = lambda name, token: None
    run(edge.go_on(3600))
    assert edge.orders() <= 4  # of the five that Let's Encrypt lets fail in an hour
    run(edge.go_on(10 * DAY))
    assert edge.orders() <= 17
    assert not any(edge.counted)


def test_what_failed_is_remembered_over_a_restart(edge: Edge, tmp_path: Path) -> None:
    edge.ca.validate = lambda name, token: None
    run(edge.manager.look_at(NAME))
    other = Edge(tmp_path / "storage", edge.clock)
    run(other.view.look())
    run(other.manager.look_at(NAME))
    assert other.orders() == 0
    assert "something else answered" in other.view.states[NAME].error


def test_the_authority_says_how_long_at_least(edge: Edge) -> None:
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "wait"}
    edge.ca.problems["order"] = [(429, problem, "7200")]
    run(edge.go_on(7100))
    assert edge.orders() == 0
    run(edge.go_on(200))
    assert edge.orders() == 1


def test_a_success_forgets_the_failures(edge: Edge) -> None:
    edge.ca.problems["order"] = [(500, {}, "")]
    run(edge.manager.look_at(NAME))
    assert edge.view.states[NAME].failures == 1
    run(edge.go_on(400))
    assert (edge.view.states[NAME].failures, edge.view.states[NAME].error) == (0, "")
    assert edge.counted == [False, True]


def test_what_fails_says_what_to_do_and_what_is_still_good(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    run(edge.manager.look_at(NAME))
    edge.ca.validate = lambda name, token: None
    with caplog.at_level(logging.ERROR):
        run(edge.go_on(61 * DAY))
    assert (
        "no certificate for a.example.com: https://ca.test/dir: a.example.com: found None (incorrectResponse)"
        in caplog.text
    )
    assert "next try at 20" in caplog.text and "the one in use is good until 20" in caplog.text


def test_where_the_first_authority_does_not_sign_the_next_one_does(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "s", Clock(), authorities=(OTHER, HOST))
    edge.ca.away = True
    run(edge.manager.look_at(NAME))
    assert edge.counted == [True]
    assert len(edge.cas[HOST].orders) == 1


def test_where_none_signs_each_says_why(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "s", Clock(), authorities=(OTHER, HOST))
    for ca in edge.cas.values():
        ca.away = True
    run(edge.manager.look_at(NAME))
    error = edge.view.states[NAME].error
    assert error.count("cannot be reached") == 2 and OTHER in error and HOST in error


def test_two_edges_on_one_storage_order_once(edge: Edge, tmp_path: Path) -> None:
    other = Edge(tmp_path / "storage", edge.clock)

    async def together() -> None:
        await asyncio.gather(edge.manager.look_at(NAME), other.manager.look_at(NAME))
        await asyncio.gather(edge.manager.look_at(NAME), other.manager.look_at(NAME))
        await asyncio.gather(edge.view.look(), other.view.look())

    run(together())
    assert edge.orders() + other.orders() == 1
    assert len(edge.presented) == len(other.presented) == 1


def test_who_finds_the_lock_taken_looks_again_soon(edge: Edge) -> None:
    async def taken() -> float:
        async with locked(edge.storage, NAME):
            return await edge.manager.look_at(NAME)

    assert run(taken()) == ELSEWHERE
    assert edge.orders() == 0


def test_whoever_is_stopped_leaves_no_lock_and_no_challenge(edge: Edge, tmp_path: Path) -> None:
    async def stopped() -> None:
        settling = asyncio.Event()

        async def hang(seconds: float) -> None:
            settling.set()
            await asyncio.Event().wait()

        edge.manager._means.sleep = hang
        task = asyncio.ensure_future(edge.manager.look_at(NAME))
        await settling.wait()
        task.cancel()
        await asyncio.wait([task])

    run(stopped())
    run(edge.view.look())
    assert edge.view.answers == {}
    other = Edge(tmp_path / "storage", edge.clock)
    run(other.manager.look_at(NAME))
    assert other.orders() == 1


def test_one_account_is_opened_for_all_names_and_kept_over_restarts(tmp_path: Path) -> None:
    names = (NAME, "b.example.com")
    edge = Edge(tmp_path / "s", Clock(), names)
    run(edge.go_on(60))
    assert len(edge.ca.accounts) == 1 and len(edge.presented) == 2
    other = Edge(tmp_path / "s", edge.clock, [*names, "c.example.com"])
    other.cas = edge.cas
    edge.ca.validate = other._validate
    run(other.go_on(60))
    assert len(edge.ca.accounts) == 1 and len(edge.ca.orders) == 3


def test_a_storage_that_is_away_is_no_end(edge: Edge, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "storage").rename(tmp_path / "away")
    assert run(edge.manager.look_at(NAME)) == ELSEWHERE
    assert "no certificate for a.example.com can be had" in caplog.text
    (tmp_path / "away").rename(tmp_path / "storage")
    run(edge.manager.look_at(NAME))
    assert len(edge.presented) == 1


# -- several names


class Settling:
    """A `sleep` in which orders stand still until `go_on` is set, so that it is seen how many are under way."""

    def __init__(self, edge: Edge) -> None:
        self._sleep = edge.manager._means.sleep
        edge.manager._means.sleep = self
        self.go_on = asyncio.Event()
        self.more = asyncio.Semaphore(0)
        self.now = self.most = 0

    async def __call__(self, seconds: float) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.more.release()
        await self.go_on.wait()
        self.now -= 1
        await self._sleep(seconds)

    async def wait_for(self, count: int) -> None:
        for _ in range(count):
            await self.more.acquire()


NAMES = [f"{i}.example.com" for i in range(AT_ONCE + 3)]


@pytest.fixture
def many(tmp_path: Path) -> Edge:
    return Edge(tmp_path / "storage", Clock(), NAMES)


def test_a_few_names_are_seen_to_at_once(many: Edge) -> None:
    async def work() -> None:
        settling = Settling(many)
        looks = [asyncio.ensure_future(many.manager.look_at(name)) for name in NAMES]
        await settling.wait_for(AT_ONCE)
        settling.go_on.set()
        await asyncio.gather(*looks)
        assert settling.most == AT_ONCE

    run(work())
    assert sorted(name for name, _ in many.presented) == NAMES
    assert len(many.ca.accounts) == 1 and many.ca.asked.count("/account") == 1
    assert many.ca.asked.count("/nonce") <= AT_ONCE


def test_one_that_takes_long_passes_its_turn_on(many: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.acme.manager.SLOW", 0.0)

    async def work() -> None:
        settling = Settling(many)
        looks = [asyncio.ensure_future(many.manager.look_at(name)) for name in NAMES]
        await settling.wait_for(len(NAMES))
        settling.go_on.set()
        await asyncio.gather(*looks)

    run(work())
    assert many.orders() == len(NAMES)
    run(many.go_on(61 * DAY))
    assert many.orders() == 2 * len(NAMES), "turns that were passed on are there again, and no more of them"
    assert many.manager._turns._value == AT_ONCE


def test_one_that_fails_fails_alone_and_it_is_said_how_many_are_left(
    many: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    good, many.ca.validate = many.ca.validate, lambda name, token: None if name == NAMES[0] else good(name, token)

    async def work() -> None:
        with caplog.at_level(logging.INFO):
            await asyncio.gather(*[many.manager.look_at(name) for name in NAMES])

    run(work())
    assert sorted(name for name, _ in many.presented) == NAMES[1:]
    assert len(many.ca.accounts) == 1
    assert "; 1 of 7 names have none yet" in caplog.text


def test_the_loop_sees_to_all_of_them_until_it_is_cancelled(many: Edge) -> None:
    async def work() -> None:
        task = asyncio.ensure_future(many.manager.run())
        sleep = many.manager._means.sleep

        async def rest(seconds: float) -> None:
            if len(many.presented) == len(NAMES):
                task.cancel()
            await sleep(seconds)

        many.manager._means.sleep = rest
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())
    assert sorted(name for name, _ in many.presented) == NAMES


# -- when the authority says when (RFC 9773)


@pytest.fixture
def asked(edge: Edge) -> Edge:
    """It wants it renewed on the twentieth day."""
    edge.ca.window = (edge.clock.now + 20 * DAY, edge.clock.now + 21 * DAY)
    run(edge.go_on(60))
    return edge


def test_a_certificate_is_renewed_when_its_authority_wants_it(asked: Edge) -> None:
    run(asked.go_on(20 * DAY - 120))
    assert asked.orders() == 1
    run(asked.go_on(120))
    assert asked.orders() == 2
    assert asked.ca.wishes[1]["replaces"] == asked.ca._ids()[0]


def test_it_is_asked_as_often_as_it_says_and_may_change_its_mind(asked: Edge) -> None:
    run(asked.go_on(2 * DAY))
    looks = [path for path in asked.ca.asked if path.startswith("/renewal/")]
    assert len(looks) in (8, 9)
    asked.ca.window = (asked.clock.now - 10, asked.clock.now)  # it is revoked tomorrow: at once, please
    run(asked.go_on(6 * 3600 + 60))
    assert asked.orders() == 2


@pytest.mark.parametrize(("says", "asked_in_a_day"), [("0", 1440), ("1000000000", 1)])
def test_how_often_has_bounds(edge: Edge, says: str, asked_in_a_day: int) -> None:
    edge.ca.window, edge.ca.window_again = (edge.clock.now + 20 * DAY, edge.clock.now + 21 * DAY), says
    run(edge.go_on(0.1 * DAY))
    looks = [path for path in edge.ca.asked if path.startswith("/renewal/")]
    assert asked_in_a_day * 0.09 <= len(looks) <= asked_in_a_day * 0.1 + 1


def test_no_authority_can_have_it_order_again_and_again(edge: Edge) -> None:
    edge.ca.window = (edge.clock.now - 2, edge.clock.now - 1)
    run(edge.go_on(7 * DAY))
    assert edge.orders() <= 4  # Let's Encrypt signs five a week for the same name


def test_no_authority_can_talk_it_beyond_its_end(edge: Edge) -> None:
    edge.ca.window = (edge.clock.now + 200 * DAY, edge.clock.now + 201 * DAY)
    run(edge.go_on(80 * DAY))
    assert edge.orders() == 1
    run(edge.go_on(2 * DAY))
    assert edge.orders() == 2


def test_one_that_does_not_answer_is_no_reason_to_forget_it(asked: Edge) -> None:
    asked.ca.away = True
    run(asked.go_on(2 * DAY))
    asked.ca.away = False
    assert asked.view.states[NAME].renew > asked.clock.now
    run(asked.go_on(18 * DAY))
    assert asked.orders() == 2


def test_what_was_replaced_already_is_ordered_once_more(asked: Edge) -> None:
    asked.ca.replaced.add(asked.ca._ids()[0])
    run(asked.go_on(21 * DAY))
    assert len(asked.presented) == 2
    assert ["replaces" in wish for wish in asked.ca.wishes] == [False, True, False]


def test_another_authority_is_not_told_of_it(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "s", Clock(), authorities=(OTHER, HOST))
    edge.cas[OTHER].window = edge.cas[HOST].window = (edge.clock.now + 20 * DAY, edge.clock.now + 21 * DAY)
    run(edge.go_on(60))
    edge.cas[OTHER].away = True
    run(edge.go_on(21 * DAY))
    assert [("replaces" in wish) for wish in edge.cas[HOST].wishes] == [False]
