"""The workers of one application: who is started, replaced and ended, and when: with processes that only note what they hear."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from enfilade.process.app_pool import BOOT, AppPool, AppWorker
from enfilade.process.app_rows import SLOTS, SlotRows, read_apps, register_app
from enfilade.process.board import Board, BoardFull
from enfilade.process.control import State
from enfilade.process.lifecycle import FIRST_DELAY, GRACE, SPEAK_AFTER, STOP_NOW_TIMEOUT
from enfilade.process.plan import AppSpec
from enfilade.process.scale import Work

NOTHING = Work(0, 0, 0)


class FakeProcess:
    """`told`: messages and signals."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.told: list[Any] = []
        self.last_line = ""
        self.memory = 0
        self.cpu = 0.0

    def send(self, message: dict[str, Any], fd: int | None = None) -> bool:
        self.told.append(message)
        return True

    def signal(self, number: int) -> None:
        self.told.append(number)

    def kill(self) -> None:
        self.told.append("killed")


class FakeHost:
    """Makes fake processes; `news`: what the edges were told. `broken`: no further process can be made."""

    def __init__(self, board: Board, spec: AppSpec) -> None:
        self.board = board
        self.spec = spec
        self.made: list[AppWorker] = []
        self.processes: list[FakeProcess] = []
        self.news: list[tuple[str, object]] = []
        self.broken: Exception | None = None

    def start(self, pool: AppPool, now: float) -> AppWorker:
        if self.broken:
            raise self.broken
        number = len(self.made) + 1
        self.processes.append(FakeProcess(1000 + number))
        rows = SlotRows(self.board.supervisor, self.spec.rows, number - 1, 0)
        self.made.append(AppWorker(number, number - 1, self.processes[-1], rows, now))
        return self.made[-1]

    def serves(self, pool: AppPool, worker: AppWorker) -> None:
        self.news.append(("serves", worker.number))

    def leaves(self, pool: AppPool, worker: AppWorker) -> None:
        self.news.append(("leaves", worker.number))

    def failed(self, pool: AppPool, why: str) -> None:
        self.news.append(("failed", why))


class Stage:
    """A pool, and what happens to it. `now` moves by hand. Workers are numbered from 1."""

    def __init__(self, **options: Any) -> None:
        board = Board(rows=4096, columns=2)
        self.spec = AppSpec(
            "shop", ("x",), {}, register_app(board, "shop"), start_timeout=10, drain_timeout=30, **options
        )
        self.host = FakeHost(board, self.spec)
        self.pool = AppPool(self.spec, 1, self.host)
        self.now = 100.0
        self.served = [0] * SLOTS
        self.pool.open(self.now)

    def worker(self, number: int) -> AppWorker:
        return self.host.made[number - 1]

    def told(self, number: int) -> list[Any]:
        return self.host.processes[number - 1].told

    def ready(self, *numbers: int, concurrency: int = 1) -> Stage:
        for number in numbers:
            message = {"ready": {"interface": "asgi", "concurrency": concurrency}}
            self.pool.heard(self.worker(number), message, self.now)
        return self

    def ends(self, number: int, how: str = "ended with exit code 1", clean: bool = False) -> None:
        self.pool.buried(self.worker(number), how, self.now, clean=clean)

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tick(self.now)

    def look(self, work: Work = NOTHING, seconds: float = 1.0) -> None:
        self.now += seconds
        self.pool.look(work, self.served, seconds, self.now)

    @property
    def live(self) -> list[int]:
        return [worker.number for worker in self.pool.workers]

    @property
    def restarts(self) -> dict[str, int]:
        (app,) = read_apps(self.host.board, ["shop"])
        return app["restarts"]

    @property
    def due(self) -> list[float]:
        """In how many seconds it has something to do."""
        return sorted(when - self.now for when in self.pool.times() if when is not None)


# -- opening


def test_it_is_ready_when_as_many_serve_as_it_must_have() -> None:
    stage = Stage(minimum=2, maximum=4)
    assert stage.live == [1, 2] and not stage.pool.ready
    assert not stage.ready(1).pool.ready
    assert stage.ready(2).pool.ready
    assert stage.host.news == [("serves", 1), ("serves", 2)]


def test_the_first_that_fails_is_the_failure_of_the_pool_and_is_not_tried_again() -> None:
    stage = Stage(minimum=2, maximum=2).ready(1)
    stage.pool.heard(stage.worker(2), {"failed": "no module named 'shop'"}, stage.now)
    stage.ends(2)
    assert stage.pool.failure == "the application shop cannot be started: no module named 'shop'"
    stage.passes(100)
    assert len(stage.host.made) == 2 and not stage.pool.ready


def test_an_end_without_a_word_is_explained_by_the_last_line() -> None:
    stage = Stage()
    stage.host.processes[0].last_line = "ImportError: x"
    stage.ends(1, "ended with exit code 3")
    assert stage.pool.failure.endswith("worker 1001 (slot 0) ended with exit code 3: ImportError: x")


def test_a_start_that_takes_too_long_is_killed_and_said_so() -> None:
    stage = Stage()
    assert stage.due == [SPEAK_AFTER, 10 + BOOT]
    stage.passes(10 + BOOT)
    assert stage.told(1) == ["killed"]
    stage.ends(1, "was killed by signal 9")
    assert "it was not ready within 15.0 s" in stage.pool.failure


def test_who_starts_long_is_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    with caplog.at_level("INFO", "enfilade.process"):
        stage.passes(SPEAK_AFTER)
        stage.passes(1.0)
    assert [record.message for record in caplog.records] == [
        "the application shop: worker 1001 (slot 0) is still starting after 1 s"
    ]


# -- deaths


def test_a_dead_worker_is_replaced_ever_more_slowly_and_the_edges_hear_of_failed_starts() -> None:
    stage = Stage().ready(1)
    stage.ends(1)
    for attempt in range(3):
        delay = FIRST_DELAY * 2**attempt
        assert stage.due == [pytest.approx(delay)] and stage.live == []
        stage.passes(delay)
        assert stage.live == [attempt + 2]
        stage.ends(attempt + 2)
    assert [news for news, _ in stage.host.news] == ["serves", "failed", "failed", "failed"]
    assert stage.pool.failure == "", "that is only for the first ones"
    assert stage.restarts == {"died": 4, "recycled": 0, "reload": 0}


def test_a_long_life_makes_the_delay_short_again() -> None:
    stage = Stage().ready(1)
    stage.ends(1)
    stage.passes(FIRST_DELAY)
    stage.ready(2).passes(60)
    stage.ends(2)
    assert stage.due == [pytest.approx(FIRST_DELAY)]


@pytest.mark.parametrize("error", [OSError("no more processes"), BoardFull("no room")])
def test_a_worker_that_cannot_be_made_is_tried_again(error: Exception) -> None:
    stage = Stage().ready(1)
    stage.ends(1)
    stage.host.broken = error
    stage.passes(FIRST_DELAY)
    assert stage.due == [pytest.approx(2 * FIRST_DELAY)]
    stage.host.broken = None
    stage.passes(2 * FIRST_DELAY)
    assert stage.live == [2]


# -- replacing


@pytest.fixture
def worn() -> Stage:
    """Two workers that both have served enough."""
    stage = Stage(minimum=2, maximum=2, max_requests=100).ready(1, 2)
    stage.served[:2] = [100, 100]
    stage.look()
    return stage


def test_a_worn_worker_serves_until_another_is_ready_in_its_place(worn: Stage) -> None:
    assert worn.live == [1, 2, 3]
    assert worn.told(1) == [] and worn.worker(1).state is State.SERVING
    worn.ready(3)
    assert worn.host.news[-2:] == [("serves", 3), ("leaves", 1)]
    assert worn.told(1) == [{"drain": 30}] and worn.due == [30 + GRACE]
    assert worn.restarts == {"died": 0, "recycled": 1, "reload": 0}
    worn.ends(1, clean=True)
    assert worn.restarts == {"died": 0, "recycled": 1, "reload": 0}, "it is counted once"


def test_one_worker_is_replaced_at_a_time(worn: Stage) -> None:
    worn.ready(3)
    worn.look()
    assert worn.live == [1, 2, 3], "the first one still drains"
    worn.ends(1, clean=True)
    worn.look()
    assert worn.live == [2, 3, 4] and worn.told(2) == []
    worn.ready(4)
    assert worn.told(2) == [{"drain": 30}]


def test_a_worn_worker_stays_as_long_as_no_other_can_be_started(worn: Stage) -> None:
    worn.ends(3)
    worn.passes(FIRST_DELAY)
    assert worn.live == [1, 2, 4] and worn.told(1) == []


def test_who_uses_too_much_memory_is_replaced() -> None:
    stage = Stage(max_memory=1 << 20).ready(1)
    stage.host.processes[0].memory = (1 << 20) - 1
    stage.look()
    assert stage.live == [1]
    stage.host.processes[0].memory = 1 << 20
    stage.look()
    assert stage.live == [1, 2]


# -- more and fewer


def test_it_grows_with_its_work_and_shrinks_again() -> None:
    stage = Stage(maximum=3).ready(1)
    stage.look(Work(1, 1, 0))
    assert stage.live == [1, 2, 3]
    stage.ready(2, 3)
    stage.look()
    stage.look(seconds=60)
    assert [stage.told(number) for number in (1, 2, 3)] == [[], [{"drain": 30}], [{"drain": 30}]]


def test_the_processor_tells_where_any_number_is_taken() -> None:
    stage = Stage(maximum=3)
    stage.host.processes[0].cpu = 9.0  # for its start
    stage.ready(1, concurrency=0)
    stage.host.processes[0].cpu = 9.5
    stage.look(Work(100, 0, 0))
    assert stage.live == [1]
    stage.host.processes[0].cpu = 10.4
    stage.look(Work(100, 0, 0))
    assert stage.live == [1, 2]


def test_an_idle_application_ends_and_is_started_by_a_wish() -> None:
    stage = Stage(idle_stop=5).ready(1)
    stage.look()
    stage.look(seconds=5)
    assert stage.host.news[-1] == ("leaves", 1) and stage.told(1) == [{"drain": 30}]
    stage.ends(1, clean=True)
    stage.passes(1)
    assert stage.live == [] and stage.due == []
    stage.pool.wake(stage.now)
    assert stage.live == [2]


# -- the end


def test_a_reload_replaces_those_that_there_are() -> None:
    stage = Stage(minimum=3, maximum=3, max_requests=100).ready(1, 2, 3)
    stage.served[0] = 100
    stage.look()
    stage.ready(4)  # and the first one drains
    stage.pool.replaced()
    stage.pool.drain(3.0, stage.now)
    for number in stage.live:
        stage.ends(number, clean=True)
    assert stage.restarts == {"died": 0, "recycled": 1, "reload": 3}


def test_draining_lets_those_that_serve_finish_and_ends_those_that_start() -> None:
    stage = Stage(maximum=2).ready(1)
    stage.look(Work(2, 0, 0))
    stage.pool.drain(3.0, stage.now)
    assert stage.told(1) == [{"drain": 3.0}]
    assert stage.told(2) == [signal.SIGTERM, {"stop": True}]
    assert stage.due == [STOP_NOW_TIMEOUT, 3.0 + GRACE]
    stage.ends(1, clean=True)
    stage.ends(2)
    stage.passes(100)
    stage.pool.wake(stage.now)
    assert stage.live == [], "it starts no more"


def test_stopping_at_once_does_not_wait_for_a_drain() -> None:
    stage = Stage().ready(1)
    stage.pool.drain(30.0, stage.now)
    stage.pool.stop(stage.now)
    assert stage.told(1) == [{"drain": 30.0}, {"stop": True}] and stage.due == [STOP_NOW_TIMEOUT]
    stage.passes(STOP_NOW_TIMEOUT)
    assert stage.told(1)[-1] == "killed"


def test_an_earlier_end_is_not_put_off() -> None:
    stage = Stage().ready(1)
    stage.pool.stop(stage.now)
    stage.pool.drain(30.0, stage.now)
    assert stage.due == [STOP_NOW_TIMEOUT]
