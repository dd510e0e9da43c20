"""A request that kills whoever takes it kills two at most, and only one where many have died already."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.exchange.call import Call
from enfilade.handlers.app.isolated import IsolatedApp
from enfilade.http.reasons import Reason, reason
from enfilade.testing.exchange import make_exchange
from enfilade.upstream.budget import RetryBudget
from enfilade.upstream.deaths import WINDOW, Deaths
from enfilade.upstream.health import Health
from enfilade.upstream.health import Policy as HealthPolicy
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import BALANCERS
from enfilade.upstream.queue import Queue
from enfilade.upstream.upstream import Policy, Upstream

GONE = reason("application_gone")
MOST = 4


class App:
    """An application with as many workers as it takes, each of which dies of what it is asked, or says that it is `gone` already.
    `asked`: how many were."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.dies = True
        policy = Policy(retries=1, budget=RetryBudget(self.now), deaths=Deaths(MOST))
        queue = Queue(0, 0.0, None)  # type: ignore[arg-type]  # nobody waits
        self.upstream = Upstream(
            "app", BALANCERS["round_robin"](lambda: 0.0), queue, Health(HealthPolicy()), lambda: self.now, policy
        )
        for number in range(40):
            worker: Any = Worker(self)
            worker.peer = Peer(f"app/{number}")
            worker.peer.pool = worker.peer.upgrades = worker
            self.upstream.join(worker.peer)

    def request(self, method: str = "GET", body: bytes = b"") -> int:
        """How many were asked for one request, all of whom died."""
        before = self.asked
        answer = IsolatedApp(self.upstream)(make_exchange(method, body=body))
        assert answer.response is not None and answer.response.status == 502 and answer.response.reason is GONE  # type: ignore[union-attr]
        return self.asked - before


class Worker:
    peer: Peer

    def __init__(self, app: App) -> None:
        self.app = app

    def carry(self, call: Call) -> None:
        self.app.asked += 1
        call.sent = self.app.dies
        self.app.upstream.leave(self.peer)
        call.caller.over(call, GONE)

    def cancel(self, call: Call, why: Reason) -> None: ...

    def retire(self) -> None: ...


def test_a_request_that_kills_is_tried_again_once() -> None:
    assert App().request() == 2


@pytest.mark.parametrize(("method", "body"), [("POST", b""), ("POST", b"x"), ("PATCH", b"x")])
def test_what_may_do_harm_twice_kills_one(method: str, body: bytes) -> None:
    assert App().request(method, body) == 1


def test_where_many_have_died_what_was_handed_over_is_not_tried_again() -> None:
    app = App()
    assert [app.request() for _ in range(4)] == [2, 2, 1, 1]


def test_what_nobody_has_begun_is_tried_again_also_then() -> None:
    app = App()
    for _ in range(3):
        app.request()
    app.dies = False
    assert app.request("POST") == 2


def test_deaths_are_forgotten() -> None:
    app = App()
    assert [app.request() for _ in range(3)] == [2, 2, 1]
    app.now += WINDOW
    assert app.request() == 2


def test_one_that_dies_with_many_requests_died_once() -> None:
    deaths = Deaths(1)
    one, two = Peer("a"), Peer("b")
    for _ in range(5):
        deaths.died(one, 1000.0)
    assert not deaths.too_many(1000.0)
    deaths.died(two, 1001.0)
    assert deaths.too_many(1001.0) and not deaths.too_many(1000.0 + WINDOW)
