"""Who waits for a peer that is full hears soon of the room that another worker's answer makes."""

from __future__ import annotations

from typing import Any

from tests.upstream.later import Later

from enfilade.http.reasons import Reason
from enfilade.upstream.health import Health
from enfilade.upstream.health import Policy as HealthPolicy
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import BALANCERS
from enfilade.upstream.queue import Queue
from enfilade.upstream.upstream import LOOK, Policy, Upstream


class Worker:
    """One of several that share a peer's `limit`."""

    def __init__(self, cells: memoryview[int], others: list[memoryview[int]], limit: int) -> None:
        self.later = Later()
        self.upstream = Upstream(
            "peers", BALANCERS["round_robin"](lambda: 0.0), Queue(10, 10.0, self.later), Health(HealthPolicy()),
            lambda: self.later.now, Policy(),
        )  # fmt: skip
        self.peer = Peer("a", limit=limit)
        self.peer.share_counts(cells, 0, 1, others)
        self.upstream.join(self.peer)

    def asks(self) -> Errand:
        errand = Errand()
        self.upstream.send(errand)
        return errand

    @property
    def looks(self) -> int:
        """How many timers run for a look, and not for somebody's patience."""
        return self.later.due(LOOK)


class Errand:
    key = b""
    wanted = None
    went = False
    why: Reason | None = None

    def go(self, peer: Peer) -> None:
        peer.took()
        self.went = True

    def give_up(self, why: Reason) -> None:
        self.why = why


def workers(limit: int = 1) -> tuple[Worker, Worker]:
    cells: list[Any] = [memoryview(bytearray(16)).cast("q") for _ in range(2)]
    one, two = ((cells[i], [cells[1 - i]], limit) for i in range(2))
    return Worker(*one), Worker(*two)


def test_room_that_another_worker_makes_is_found_soon() -> None:
    one, two = workers()
    assert one.asks().went
    errand = two.asks()
    for _ in range(3):
        two.later.pass_(LOOK)
    assert not errand.went
    one.peer.let_go()
    two.later.pass_(LOOK)
    assert errand.went and two.looks == 0, "nobody waits any more"


def test_each_room_is_taken_once_in_the_order_of_those_who_wait() -> None:
    one, two = workers()
    one.asks()
    errands = [two.asks() for _ in range(3)]
    assert two.looks == 1, "one look for all of them"
    for served in range(3):
        assert [errand.went for errand in errands] == [i < served for i in range(3)]
        (one if served == 0 else two).peer.let_go()
        two.later.pass_(LOOK)
    assert all(errand.went for errand in errands)


def test_who_waits_for_too_long_is_given_up_and_nobody_looks_any_more() -> None:
    one, two = workers()
    one.asks()
    errand = two.asks()
    two.later.pass_(10.0)
    two.later.pass_(LOOK)
    assert errand.why is not None and errand.why.name == "upstream_busy" and two.looks == 0


def test_nobody_looks_where_no_other_worker_makes_room() -> None:
    alone = Worker(memoryview(bytearray(16)).cast("q"), [], 1)
    alone.asks()
    assert not alone.asks().went and alone.looks == 0
