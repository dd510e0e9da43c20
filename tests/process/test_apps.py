"""Applications in processes of their own: real processes that run scripted_app.py, linked with the edges of served.py."""

from __future__ import annotations

import json
import os
import pwd
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import LOOK, PATIENCE, Server, fetch, wait_refused
from tests.process.test_supervisor import alive

from enfilade.assemble.app_specs import app_specs
from enfilade.config import App, Config
from enfilade.process.board import Board

Launch = Callable[..., Server]


def shop(script: dict[str, Any] | None = None, plan: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """A plan with the application "shop"."""
    return {"workers": 1, **(plan or {}), "apps": {"shop": {"script": script or {}, "options": options}}}


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(LOOK)
    return found


def workers(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Of all applications."""
    return [worker for app in status["apps"] for worker in app["workers"]]


def pids(server: Server) -> set[int]:
    """Of the workers that serve."""
    return {app["pid"] for app in workers(server.get("/status")) if app["state"] == "serving"}


def ask(server: Server, line: str = "x") -> Any:
    return server.get(f"/app/shop/{line}")


# -- the start


def test_every_edge_is_linked_with_every_worker(launch: Launch) -> None:
    server = launch(shop(plan={"workers": 2}, minimum=3, maximum=3)).started()
    facts = until(lambda: (found := ask(server))["links"] == 2 and found)
    # 0 to 2, the channel, the selector, two links, /proc itself
    assert facts["descriptors"] == 8
    answers = until(lambda: (all := [ask(server) for _ in range(6)]) and len({a["pid"] for a in all}) == 3 and all)
    (app,) = server.get("/status")["apps"]
    assert {worker["pid"] for worker in app["workers"]} == {answer["pid"] for answer in answers}
    assert [(worker["slot"], worker["state"], worker["generation"]) for worker in app["workers"]] == [
        (slot, "serving", 1) for slot in range(3)
    ]
    assert app["app"] == "shop" and app["requests"] == sum({a["pid"]: a["answered"] for a in answers}.values())


def test_a_process_has_its_variables_its_directory_and_its_limits(launch: Launch, tmp_path: Path) -> None:
    limits = {"memory": 4 << 30, "files": 77}
    facts = ask(launch(shop(env={"MODE": "fast"}, cwd=str(tmp_path), **limits)).started())
    assert facts["mode"] == "fast" and facts["cwd"] == str(tmp_path) and facts["limits"] == [4 << 30, 77]


def test_a_process_runs_as_its_user_and_the_edges_do_not(launch: Launch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has something to drop")
    # What it imports must be readable for everybody, which a checkout below /root is not: so it has a shell instead.
    server = launch(shop(user="nobody", command=["/bin/sh", "-c", "id -u > /dev/stdout; exit 3"]))
    assert server.wait() == 1
    server.expect("cannot start: the application shop cannot be started: worker")
    assert server.lines[-1].endswith(f"ended with exit code 3: {pwd.getpwnam('nobody').pw_uid}")


def test_an_application_that_cannot_be_started_is_the_end_of_the_start(launch: Launch) -> None:
    server = launch(shop({"failed": "no module named 'shop'"}))
    assert server.wait() == 1
    server.expect("cannot start: the application shop cannot be started: no module named 'shop'")
    assert server.lines[-1].startswith("ERROR")


def test_what_it_said_last_explains_an_end_without_a_word(launch: Launch) -> None:
    server = launch(shop({"exit": 3, "err": "oh no\n"}))
    assert server.wait() == 1
    assert server.expect("cannot start").endswith("ended with exit code 3: oh no")


def test_an_interpreter_that_is_not_there_is_named(launch: Launch) -> None:
    server = launch(shop(command=["/no/such/python", "x"]))
    assert server.wait() == 1
    assert "/no/such/python cannot be run: [Errno 2] No such file" in server.expect("cannot start")


def test_edges_serve_while_the_application_starts_but_the_start_is_not_over(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = launch(shop({"never_ready": True}, {"listen": [f"unix:{path}"]}))
    server.expect("the application shop: worker")
    assert "is still starting after" in server.lines[-1]
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert server.process.stdout is not None and server.process.stdout.read() == b""


# -- reloads


def test_a_reload_replaces_applications_before_edges_and_loses_nobody(launch: Launch) -> None:
    server = launch(shop({"text": "old"}, {"drain_timeout": PATIENCE})).started()
    old = ask(server)
    with server.connect() as kept:
        server.get("/", kept)
        server.reload(shop({"text": "new"}, {"drain_timeout": PATIENCE}))
        server.expect("generation 2 serves")
        until(lambda: ask(server)["text"] == "new")  # the old edge accepts until it has heard that it should not
        assert json.loads(fetch(kept, "/app/shop/x"))["pid"] == old["pid"], "the old edge keeps its old application"
    server.expect("ended well")
    until(lambda: old["pid"] not in {app["pid"] for app in workers(server.get("/status"))})
    assert not alive(old["pid"])


@pytest.mark.parametrize(
    ("script", "reason"), [({"failed": "no such module"}, "no such module"), ({"exit": 7}, "ended with exit code 7")]
)
def test_r31_a_reload_whose_application_fails_changes_nothing(
    launch: Launch, script: dict[str, Any], reason: str
) -> None:
    server = launch(shop({"text": "old"}, minimum=2, maximum=2)).started()
    before = pids(server)
    edges = [worker["pid"] for worker in server.get("/status")["workers"]]
    server.reload(shop(script))
    assert reason in server.expect("reload refused, nothing has changed: the application shop cannot be started")
    status = server.wait_for(lambda s: len(workers(s)) == 2)
    assert {app["pid"] for app in workers(status)} == before and ask(server)["text"] == "old"
    assert [worker["pid"] for worker in status["workers"]] == edges


def test_a_reload_whose_edges_fail_takes_the_new_applications_back(launch: Launch) -> None:
    server = launch(shop({"text": "old"})).started()
    before = pids(server)
    server.reload(shop({"text": "new"}, {"fail_start": "as told"}))
    server.expect("reload refused")
    status = server.wait_for(lambda s: len(workers(s)) == 1)
    assert {app["pid"] for app in workers(status)} == before


def test_applications_come_and_go_by_reload(launch: Launch) -> None:
    server = launch({"workers": 1}).started()
    server.reload(shop())
    server.expect("generation 2 serves")
    pid = until(lambda: (found := ask(server)) != "none" and found)["pid"]
    server.reload({"workers": 1})
    server.expect("generation 3 serves")
    server.wait_for(lambda s: not workers(s))
    assert not alive(pid)


def test_no_descriptor_leaks_with_reloads_and_restarts(launch: Launch) -> None:
    server = launch(shop()).started()
    descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    for generation in (2, 3):
        server.reload()
        server.expect("serves")
        server.wait_for(lambda s, g=generation: [a["generation"] for a in workers(s)] == [g])  # type: ignore[misc]
    ask(server, "die")
    server.expect("restart in")
    until(lambda: ask(server) != "none")
    server.wait_for(lambda s: len(s["workers"]) == 1)
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) == descriptors


def test_neither_reloads_nor_a_kill_leave_a_moment_without_the_application(launch: Launch) -> None:
    server = launch(shop(minimum=2, maximum=2, plan={"workers": 2})).started()
    for generation in (2, 3, 4):
        server.reload()
        until(lambda g=generation: ask(server)["pid"] and server.get()["generation"] == g)
    victim = ask(server)["pid"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: ask(server)["pid"] and len(found := pids(server)) == 2 and victim not in found)


# -- ends


def test_r22_a_killed_worker_is_replaced_and_others_go_on(launch: Launch) -> None:
    server = launch(shop(minimum=2, maximum=2)).started()
    before = pids(server)
    victim = ask(server)["pid"]
    os.kill(victim, signal.SIGKILL)
    assert "was killed by signal 9" in server.expect(f"the application shop: worker {victim}")
    after = until(lambda: len(found := pids(server)) == 2 and victim not in found and found)
    assert len(before & after) == 1
    assert {ask(server)["pid"] for _ in range(8)} == after


def test_a_killed_edge_is_replaced_and_linked(launch: Launch) -> None:
    server = launch(shop()).started()
    app = ask(server)["pid"]
    edge = server.get()["pid"]
    os.kill(edge, signal.SIGKILL)
    server.expect(f"worker {edge}")
    until(lambda: server.get()["pid"] != edge)
    assert ask(server)["pid"] == app


def test_a_worker_that_keeps_failing_is_tried_again_and_the_edges_are_told(launch: Launch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    server = launch(shop({"fail_if": str(broken)})).started()
    broken.touch()
    ask(server, "die")
    server.expect("restart in 0.2 s")
    assert until(lambda: server.get("/failures"))[0] == "shop: as told by a file"
    assert ask(server) == "none"
    broken.unlink()
    until(lambda: ask(server) != "none")


def test_a_stop_ends_edges_first_then_applications_and_leaves_nobody(launch: Launch) -> None:
    server = launch(shop()).started()
    pid = ask(server)["pid"]
    with server.connect() as connection:
        connection.sendall(b"GET /app/shop/x HTTP/1.1\r\nHo")
        server.get()  # so the connection above was accepted
        server.signal(signal.SIGTERM)
        connection.sendall(b"st: t\r\n\r\n")
        assert b'"pid": %d' % pid in connection.recv(65536)
    assert server.wait() == 0
    server.expect("ended well")
    assert not Path(f"/proc/{pid}").exists(), "not even as a zombie"


def test_ctrl_c_does_not_reach_the_application(launch: Launch) -> None:
    server = launch(shop()).started()
    ask(server)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.wait() == 0
    server.expect("ended well")


def test_the_second_signal_waits_for_nobody_but_applications_still_end_well(launch: Launch) -> None:
    server = launch(shop(plan={"drain_timeout": 60})).started()
    with server.connect() as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        ask(server, "hang")
        server.signal(signal.SIGTERM)
        wait_refused(server.connect)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    server.expect("ended well")


def test_no_application_outlives_its_supervisor(launch: Launch) -> None:
    server = launch(shop(plan={"drain_timeout": 0.1})).started()
    pid = ask(server)["pid"]
    server.process.kill()
    server.wait()
    until(lambda: not alive(pid))


# -- logs


def test_what_it_writes_is_logged_with_its_name(launch: Launch) -> None:
    server = launch(shop({"out": "hello\n", "err": "ERROR shop.orders: no stock\n  at line 3\nplain\n"})).started()
    lines = [server.expect(text) for text in ("hello", "no stock", "at line 3", "plain")]
    assert sorted(lines) == ["ERROR   at line 3", "ERROR shop.orders: no stock", "INFO hello", "WARNING plain"]


# -- the real program (appworker/)


def real(tmp_path: Path, source: str, **config: Any) -> dict[str, Any]:
    """A plan with the application "shop", made of `source`, as a configuration has it."""
    (tmp_path / "shop_main.py").write_text(source)
    app = App(target="shop_main:app", path=str(tmp_path), inline=False, workers=1, **config)
    (spec,) = app_specs(Config(apps={"shop": app}), Board(rows=4096, columns=2))
    return {"workers": 1, "apps": {"shop": {"script": dict(spec.start), "options": {"command": list(spec.command)}}}}


ASGI = """
import sys

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("opens")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closes")
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 500 if scope["path"] == "/bad" else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})
"""


def test_the_program_starts_an_application_says_what_it_prints_and_ends_it_well(launch: Launch, tmp_path: Path) -> None:
    server = launch(real(tmp_path, ASGI, warm_up="/"), {"PYTHONUNBUFFERED": ""}).started()
    assert server.expect("opens") == "INFO opens"
    assert [app["state"] for app in workers(server.get("/status"))] == ["serving"]
    server.reload(real(tmp_path, ASGI.replace("closes", "closes the second")))
    server.expect("closes")
    server.wait_for(lambda s: [app["generation"] for app in workers(s)] == [2])
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.expect("closes the second")


@pytest.mark.parametrize(
    ("source", "config", "reason"),
    [
        ("import no_such_module", {}, "no_such_module"),
        ("1 / 0", {}, "ZeroDivisionError"),
        (ASGI, {"warm_up": "/bad"}, "GET /bad was answered with 500"),
    ],
)
def test_the_program_says_why_it_cannot_start(
    launch: Launch, tmp_path: Path, source: str, config: dict[str, Any], reason: str
) -> None:
    server = launch(real(tmp_path, source, **config))
    assert server.wait() == 1
    assert reason in server.expect("cannot start: the application shop cannot be started")


# -- more and fewer workers


def test_a_worker_that_served_enough_is_replaced_without_a_gap(launch: Launch) -> None:
    server = launch(shop(max_requests=5)).started()
    first = ask(server)["pid"]
    seen = {first}
    while len(seen) < 3:
        answer = ask(server)
        assert answer != "none", "there was a moment without a worker"
        seen.add(answer["pid"])
    assert "is replaced, as it has served" in server.expect("is replaced")
    until(lambda: not alive(first))


def test_an_idle_application_ends_and_is_woken(launch: Launch) -> None:
    server = launch(shop(idle_stop=0.1)).started()
    server.wait_for(lambda s: not workers(s))
    server.expect("ended well")
    assert ask(server, "wake") == "none"
    until(lambda: ask(server, "wake") != "none")  # it may have been idle again


def test_a_busy_application_gets_more_workers(launch: Launch) -> None:
    server = launch(shop({"concurrency": 1}, maximum=3)).started()
    assert len(pids(server)) == 1
    for _ in range(2):
        ask(server, "hang")
    until(lambda: len(pids(server)) == 3)
    assert [app["slot"] for app in workers(server.get("/status"))] == [0, 1, 2]
