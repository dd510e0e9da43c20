"""Workers without an event loop, whose main thread waits in a system call."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.process.conftest import LOOK, PATIENCE, Server
from tests.process.test_supervisor import alive

Launch = Callable[..., Server]

everywhere = pytest.mark.parametrize("waits_in", ["recv", "select", "sleep"])


def blocked(waits_in: str, workers: int = 1, **script: Any) -> dict[str, Any]:
    """One edge worker, who can be asked, and a crew of those."""
    return {
        "workers": 1,
        "drain_timeout": script.pop("drain_timeout", 60.0),
        "crews": {"streams.zen": {"listen": [], "workers": workers, "waits_in": waits_in, **script}},
    }


def worker_of(server: Server) -> int:
    pid: int = next(w["pid"] for w in server.get("/status")["workers"] if w["crew"] == "streams.zen")
    return pid


@everywhere
def test_a_stop_drains_it(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in)).started()
    server.signal(signal.SIGTERM)
    server.expect("worker 0 drains, stopping: True")
    assert server.wait() == 0


@everywhere
def test_a_reload_drains_it_as_others_take_over(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in)).started()
    before = worker_of(server)
    server.reload()
    server.expect("worker 0 drains, stopping: False")
    server.wait_for(lambda s: [w["generation"] for w in s["workers"]] == [2, 2])
    assert worker_of(server) != before


@everywhere
def test_the_second_signal_stops_it_at_once(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in, lingers=True)).started()
    server.signal(signal.SIGTERM)
    server.expect("worker 0 drains")
    server.signal(signal.SIGTERM)
    server.expect("worker 0 stops now")
    assert server.wait() == 0


@everywhere
def test_a_stop_at_once_does_not_drain_it(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in)).started()
    server.signal(signal.SIGQUIT)
    server.expect("worker 0 stops now")
    assert server.wait() == 0
    assert not any("drains" in line for line in server.lines)


@everywhere
def test_it_reopens_its_logs_and_waits_on(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in)).started()
    for _ in range(2):
        server.signal(signal.SIGUSR1)
        server.expect("worker 0 reopens its logs")
    server.signal(signal.SIGTERM)
    server.expect("worker 0 drains")
    assert server.wait() == 0


@everywhere
def test_sigterm_drains_it_and_fills_its_slot_at_once(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in, lingers=True)).started()
    before = worker_of(server)
    os.kill(before, signal.SIGTERM)
    server.expect("worker 0 drains, stopping: False")
    server.wait_for(
        lambda s: sorted(w["state"] for w in s["workers"] if w["crew"] == "streams.zen") == ["draining", "serving"]
    )


@everywhere
def test_sigquit_ends_it_and_it_is_started_again(launch: Launch, waits_in: str) -> None:
    server = launch(blocked(waits_in)).started()
    before = worker_of(server)
    os.kill(before, signal.SIGQUIT)
    server.expect(f"worker {before} of streams.zen (slot 0) ended with exit code 0; restart in")
    server.wait_for(lambda s: len([w for w in s["workers"] if w["state"] == "serving"]) == 2)


@everywhere
@pytest.mark.parametrize("lingers", [False, True])
def test_no_worker_outlives_its_supervisor(launch: Launch, waits_in: str, lingers: bool) -> None:
    server = launch(blocked(waits_in, workers=2, lingers=lingers, drain_timeout=0.1)).started()
    pids = [worker["pid"] for worker in server.get("/status")["workers"]]
    server.process.kill()
    server.wait()
    until = time.monotonic() + PATIENCE
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(LOOK)
    said = server.rest()
    for slot in range(2):
        assert f"worker {slot} drains, stopping: True\n" in said
        assert (f"worker {slot} stops now\n" in said) is lingers


def test_who_hangs_is_killed_in_time(launch: Launch) -> None:
    server = launch(blocked("sleep", lingers=True, hangs=True, drain_timeout=0.1)).started()
    server.signal(signal.SIGTERM)
    server.expect("was killed by signal 9 (Killed) while it drained")
    assert server.wait() == 0


@pytest.mark.parametrize(
    "script",
    [
        {"waits_in": "sleep", "lingers": True, "hangs": True},
        {"holds_up": True, "uvloop": False},
        {"holds_up": True, "uvloop": True},
    ],
    ids=["no loop", "asyncio", "uvloop"],
)
def test_who_hangs_does_not_outlive_its_supervisor(launch: Launch, script: dict[str, Any]) -> None:
    crew = {"listen": [], "workers": 1, **script}
    server = launch({"workers": 1, "drain_timeout": 0.1, "crews": {"streams.zen": crew}}).started()
    pid = worker_of(server)
    server.process.kill()
    server.wait()
    until = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < until
        time.sleep(LOOK)


def test_an_end_of_privileges_does_not_make_it_deaf(launch: Launch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has something to drop")
    server = launch({**blocked("recv"), "user": "nobody"}).started()
    server.signal(signal.SIGTERM)
    server.expect("worker 0 drains, stopping: True")
    assert server.wait() == 0


def test_a_process_that_it_forks_can_let_go_of_its_supervisor(launch: Launch) -> None:
    server = launch(blocked("recv", forks=True)).started()
    child = int(server.expect("which closed 2").split()[5].strip(","))
    os.kill(child, signal.SIGTERM)
    server.expect("worker 0 has no child any more: -15")
    states = [w["state"] for w in server.get("/status")["workers"]]
    assert states == ["serving", "serving"], "the supervisor does not take it for the worker"
    server.signal(signal.SIGTERM)
    server.expect("worker 0 drains")
    assert server.wait() == 0
