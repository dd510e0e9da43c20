"""A worker that is busy gets nothing more, so that nobody waits behind it while another one is free."""

from __future__ import annotations

import pytest
from tests.upstream.later import Later

from enfilade.http.reasons import Reason
from enfilade.upstream.health import Health
from enfilade.upstream.health import Policy as HealthPolicy
from enfilade.upstream.late import PATIENCE, LateBinding
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import LeastConnections
from enfilade.upstream.queue import Queue
from enfilade.upstream.upstream import DEEP, Policy, Upstream


class Worker:
    """A peer's end of a link, and what was sent there. It takes up all that it has when it is told to (`turn`)."""

    def __init__(self, number: int, scene: Scene) -> None:
        self.peer = Peer(f"app/{number}")
        self.begun = 0
        self.errands: list[Errand] = []
        self._late = LateBinding(self.peer, self, scene.upstream, scene.later)

    @property
    def sent(self) -> int:
        return len(self.errands)

    @property
    def waiting(self) -> int:
        return self.sent - self.begun

    def take(self, errand: Errand) -> None:
        self.peer.took()
        self.errands.append(errand)
        if not self._late.watching:
            self._late.watch()

    def turn(self, *, answers: bool = True) -> None:
        """One turn of its loop: what it has is begun, and what its answers make room for comes from the queue."""
        fresh = self.errands[self.begun :]
        self.begun = self.sent
        for _ in fresh if answers else ():
            self.peer.let_go()
        self._late.heard()


class Errand:
    key = b""
    wanted: Peer | None = None

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.given_up = False

    def go(self, peer: Peer) -> None:
        next(worker for worker in self._scene.workers if worker.peer is peer).take(self)

    def give_up(self, why: Reason) -> None:
        self.given_up = True


class Scene:
    def __init__(self, workers: int, queue: int = 1000) -> None:
        self.later = Later()
        self.queue = Queue(queue, 10.0, self.later)
        health = Health(HealthPolicy(slow_start=0))
        self.upstream = Upstream(
            "app", LeastConnections(lambda: 0.0), self.queue, health, lambda: self.later.now, Policy()
        )
        self.workers: list[Worker] = []
        for number in range(workers):
            self.workers.append(Worker(number, self))
            self.upstream.join(self.workers[-1].peer)

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.upstream.send(Errand(self))

    @property
    def waiting(self) -> int:
        return len(self.queue.waiting)


@pytest.fixture
def scene() -> Scene:
    """Two workers, each busy with a request for longer than is patience."""
    scene = Scene(2)
    scene.send(2)
    assert [worker.waiting for worker in scene.workers] == [1, 1]
    scene.later.pass_(PATIENCE)
    return scene


def test_who_lets_one_wait_gets_nothing_more(scene: Scene) -> None:
    scene.send(3)
    assert [worker.waiting for worker in scene.workers] == [1, 1] and scene.waiting == 3


def test_whoever_takes_up_what_it_had_gets_one_at_a_time_while_few_wait(scene: Scene) -> None:
    scene.send(3)
    quick = scene.workers[1]
    for left in (2, 1, 0):
        quick.turn()
        assert quick.waiting == 1 and scene.waiting == left
    quick.turn()
    assert not quick.peer.held and scene.workers[0].sent == 1


def test_a_request_that_was_begun_and_waits_holds_up_nobody(scene: Scene) -> None:
    for worker in scene.workers:
        worker.turn(answers=False)
    scene.send(4)
    assert [worker.waiting for worker in scene.workers] == [2, 2] and not scene.waiting


def test_batches_are_not_held_back_while_they_are_taken_up_in_time() -> None:
    scene = Scene(2)
    for _ in range(10):
        scene.send(20)
        assert [worker.waiting for worker in scene.workers] == [10, 10]
        scene.later.pass_(PATIENCE / 2)
        for worker in scene.workers:
            worker.turn()
    assert not scene.waiting


def test_of_many_that_wait_each_gets_its_part(scene: Scene) -> None:
    scene.send(2 * DEEP - 1)
    scene.workers[0].turn()
    assert scene.workers[0].waiting == (2 * DEEP - 1) // 2
    assert scene.workers[0].peer.held


def test_where_very_many_wait_nobody_is_held(scene: Scene) -> None:
    scene.send(2 * DEEP + 2)
    assert not scene.waiting and [worker.waiting for worker in scene.workers] == [2 + DEEP, 2 + DEEP]
    scene.later.pass_(2 * PATIENCE)
    assert all(worker.peer.held for worker in scene.workers)


def test_nobody_is_refused_because_a_worker_is_held() -> None:
    scene = Scene(2, queue=1)
    scene.send(2)
    scene.later.pass_(PATIENCE)
    scene.send(4)
    assert [worker.waiting for worker in scene.workers] == [3, 3] and not scene.waiting


def test_the_only_worker_is_never_held() -> None:
    scene = Scene(1)
    for _ in range(3):
        scene.send()
        scene.later.pass_(PATIENCE)
    assert scene.workers[0].waiting == 3 and not scene.waiting


def test_who_is_held_with_nothing_to_do_could_never_be_heard(scene: Scene) -> None:
    """Where another limit keeps it from taking what waits, that one says when it has room."""
    busy, other = scene.workers
    scene.send()
    busy.peer.limit = 1
    busy.peer.took()
    busy.turn()
    assert scene.waiting == 1 and not busy.peer.held
    busy.peer.let_go()
    scene.upstream.tick(scene.later.now)
    assert not scene.waiting and busy.waiting == 1 and other.waiting == 1


def test_a_worker_that_has_left_as_the_last_is_heard_to_its_end(scene: Scene) -> None:
    scene.send()
    scene.upstream.arrange(())
    for worker in scene.workers:
        worker.turn()
    assert scene.waiting == 1, "for whoever comes"
    scene.upstream.arrange([scene.workers[0].peer])
    scene.upstream.tick(scene.later.now)
    assert not scene.waiting
