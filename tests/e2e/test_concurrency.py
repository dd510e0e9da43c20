"""How many requests are in flight, over real sockets: several workers, a queue, a worker that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import rejects
from tests.e2e.processes import get, status, until

APP = """
import asyncio

held = {}
opened = {}

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    _, what, name = scope["path"].split("/")
    opened.setdefault(name, asyncio.Event())
    if what == "open":
        opened[name].set()
    elif what != "held":
        held[name] = held.get(name, 0) + 1
        await opened[name].wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(held.get(name, 0)).encode()})
"""
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[sites."*"]
"/open/*" = { app = "main" }
"/held/*" = { app = "main" }
"/two/*" = { app = "main", concurrency = 2 }
"/queue/*" = { app = "main", concurrency = { limit = 1, queue = 9, wait = "1m" } }
"/brief/*" = { app = "main", concurrency = { limit = 1, queue = 9, wait = "10ms" } }
[apps.main]
target = "main:app"
workers = 1
"""


@pytest.fixture
def server(start: Start) -> Iterator[Server]:
    server = start(CONFIG, files={"main.py": APP})
    yield server
    assert "Traceback" not in server.output


def held(server: Server, name: str) -> int:
    return int(get(server, f"/held/{name}")[2])


def test_all_workers_count_together(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(get, server, "/two/a") for _ in range(2)]
        until(lambda: held(server, "a") == 2)
        found, fields, _ = get(server, "/two/a")
        assert (found, fields["retry-after"]) == (503, "1")
        assert rejects(server)["concurrency_limited"] == 1
        get(server, "/open/a")
        assert [one.result()[0] for one in inside] == [200, 200]
    until(lambda: get(server, "/two/a")[0] == 200)


def test_who_waits_gets_in_later_one_by_one(server: Server) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(get, server, "/queue/b") for _ in range(6)]
        until(lambda: held(server, "b") == 1)
        assert held(server, "b") == 1 and not any(one.done() for one in asked)
        get(server, "/open/b")
        assert [one.result()[0] for one in asked] == [200] * 6


def test_who_waits_for_too_long_is_refused(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        inside = pool.submit(get, server, "/brief/c")
        until(lambda: held(server, "c") == 1)
        assert get(server, "/brief/c")[0] == 503
        get(server, "/open/c")
        assert inside.result()[0] == 200


def test_what_a_killed_worker_had_in_flight_goes_with_it(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(get, server, "/two/d") for _ in range(2)]
        until(lambda: held(server, "d") == 2)
        pids = {worker["pid"] for worker in status(server)["workers"]}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert all(one.exception(PATIENCE) is not None for one in inside)
    until(lambda: not pids & {worker["pid"] for worker in status(server)["workers"]})
    get(server, "/open/d")
    assert get(server, "/two/d")[0] == 200


def test_what_cannot_be_counted_refuses_the_start(start: Start) -> None:
    server = start(CONFIG.replace("limit = 1, queue = 9", 'limit = 1, by = "user", queue = 9', 1), wait=False)
    server.wait_for(r"enfilade.toml:10:\d+: .*concurrency.by: requests are counted before anybody is asked")
    assert server.process.wait(PATIENCE) != 0
