"""Crews beside the edge workers: started, watched, reloaded and drained as these are."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.process.conftest import PATIENCE, Server, fetch, wait_refused

Launch = Callable[..., Server]

FREE = ["127.0.0.1:0"]


def with_zen(**zen: Any) -> dict[str, Any]:
    """One edge worker, and a crew."""
    return {"workers": 1, "crews": {"streams.zen": {"listen": FREE, "workers": 1, **zen}}}


def connect(server: Server, listener: int = 1) -> socket.socket:
    """The addresses of the edge are the first."""
    host, _, port = server.addresses[listener].rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def ask_zen(server: Server) -> dict[str, Any]:
    with connect(server) as connection:
        answer: dict[str, Any] = json.loads(fetch(connection))
    return answer


def members(status: dict[str, Any], crew: str = "streams.zen") -> list[dict[str, Any]]:
    return [worker for worker in status["workers"] if worker["crew"] == crew]


def test_a_crew_has_its_own_workers_slots_and_listeners(launch: Launch) -> None:
    server = launch(with_zen(workers=2)).started()
    status = server.get("/status")
    assert [(worker["crew"], worker["slot"]) for worker in status["workers"]] == [
        ("edge", 0), ("streams.zen", 0), ("streams.zen", 1),
    ]  # fmt: skip
    assert {(worker["slot"], worker["pid"]) for worker in members(status)} >= {
        (answer["slot"], answer["pid"]) for answer in (ask_zen(server) for _ in range(8))
    }
    assert server.get()["pid"] not in [worker["pid"] for worker in members(status)]
    metrics = server.get("/metrics")
    assert 'enfilade_workers{crew="edge"} 1\n' in metrics and 'enfilade_workers{crew="streams.zen"} 2\n' in metrics


def test_a_worker_of_a_crew_holds_nothing_of_others(launch: Launch) -> None:
    server = launch(with_zen()).started()
    assert server.get()["fds"] == ask_zen(server)["fds"] == 11, "tests/process/test_supervisor.py says which"


def test_applications_are_linked_with_edge_workers_alone(launch: Launch) -> None:
    server = launch({**with_zen(), "apps": {"shop": {}}}).started()
    server._ask("/", lambda answer: answer["apps"] == ["shop"])
    assert ask_zen(server)["apps"] == []
    server.reload()
    server.expect("generation 2 serves")
    assert ask_zen(server)["apps"] == []


def test_r22_a_killed_worker_of_a_crew_is_replaced_in_its_slot(launch: Launch) -> None:
    server = launch(with_zen()).started()
    victim = members(server.get("/status"))[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    assert f"worker {victim} of streams.zen (slot 0) was killed by signal 9" in server.expect("restart in")
    status = server.wait_for(lambda s: [w["state"] for w in members(s)] == ["serving"])
    [fresh] = members(status)
    assert (fresh["slot"], fresh["restarts"]) == (0, 1) and ask_zen(server)["pid"] == fresh["pid"]
    assert [worker["restarts"] for worker in members(status, "edge")] == [0]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"fail_start": "no module named 'zen'"}, "of streams.zen (slot 0) ended with exit code 1: no module named 'zen'"),
        ({"never_ready": True, "start_timeout": 0.2}, "it was not ready within 0.2 s"),
        ({"listen": ["203.0.113.1:80"]}, "cannot listen on 203.0.113.1:80 (streams.zen): this machine has no such address"),
    ],
)  # fmt: skip
def test_a_crew_that_cannot_start_is_the_end_of_the_start(launch: Launch, script: dict[str, Any], why: str) -> None:
    server = launch(with_zen(**script))
    assert server.wait() == 1
    server.expect(why)


def test_a_crew_that_takes_long_says_what_it_waits_for(launch: Launch) -> None:
    server = launch(with_zen(never_ready=True, steps=["the handler zen:answer"]))
    assert " of streams.zen (slot 0) is still starting after " in server.expect(" s: the handler zen:answer")


def test_r31_a_reload_with_a_crew_that_cannot_start_changes_nothing(launch: Launch) -> None:
    server = launch(with_zen()).started()
    before = {worker["pid"] for worker in server.get("/status")["workers"]}
    server.reload(with_zen(exit_if_slot={"0": 7}))
    assert "of streams.zen (slot 0) ended with exit code 7" in server.expect("reload refused")
    status = server.wait_for(lambda s: s["reloads_refused"] == 1 and len(s["workers"]) == 2)
    assert {worker["pid"] for worker in status["workers"]} == before


def test_a_crew_with_too_many_workers_is_refused(launch: Launch) -> None:
    server = launch(with_zen()).started()
    server.reload(with_zen(workers=1000))
    server.expect("reload refused, nothing has changed: 1001 more workers are too many, as 2 still live")


def test_a_reload_keeps_the_address_and_loses_no_connection(launch: Launch) -> None:
    server = launch(with_zen(text="old")).started()
    with connect(server) as kept:
        assert json.loads(fetch(kept))["text"] == "old"
        server.reload(with_zen(text="new"))
        server.expect("generation 2 serves")
        assert json.loads(fetch(kept))["text"] == "old", "a kept connection stays with its worker for its last answer"
    server.wait_for(lambda s: {worker["generation"] for worker in s["workers"]} == {2})
    assert ask_zen(server)["text"] == "new"


def test_crews_come_and_go_with_reloads(launch: Launch, tmp_path: Any) -> None:
    server = launch(with_zen()).started()
    path = str(tmp_path / "echo")
    with connect(server) as waiting:
        server.reload({"workers": 1, "crews": {"streams.echo": {"listen": [f"unix:{path}"], "workers": 1}}})
        server.expect("generation 2 serves")
        assert json.loads(fetch(waiting))["crew"] == "streams.zen", "whoever had connected is served"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        assert json.loads(fetch(connection))["crew"] == "streams.echo"
    server.wait_for(lambda s: [worker["crew"] for worker in s["workers"]] == ["edge", "streams.echo"])
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    server.reload({"workers": 1})
    server.expect("generation 3 serves")
    server.wait_for(lambda s: [worker["crew"] for worker in s["workers"]] == ["edge"])
    assert not os.path.exists(path)


def test_a_server_may_have_no_edge_workers(launch: Launch) -> None:
    server = launch({**with_zen(), "listen": [], "workers": 0}).started()
    with connect(server, 0) as connection:
        assert json.loads(fetch(connection))["crew"] == "streams.zen"
        server.reload()
        server.expect("generation 2 serves")
        server.signal(signal.SIGTERM)
        assert json.loads(fetch(connection))["generation"] == 1, "what was open is finished"
    assert server.wait() == 0


def test_a_stop_drains_every_crew(launch: Launch) -> None:
    server = launch(with_zen()).started()
    with connect(server) as connection:
        fetch(connection)
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
        server.signal(signal.SIGTERM)
        wait_refused(lambda: connect(server))
        connection.sendall(b"st: t\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.wait() == 0
