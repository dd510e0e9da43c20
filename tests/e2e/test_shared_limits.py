"""One limit of two servers, over a real Redis that goes away and comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.processes import get, metrics, until
from tests.redis_server import RedisServer, redis_server

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[limits]
redis = "{url}"
servers = 2
[sites."*"]
"/{{name}}" = {{ respond = "x", limit = {{ rate = "100/d", by = ["address", "header X-Key"] }} }}
"/window/{{name}}" = {{ respond = "x", limit = {{ rate = "3/d", algorithm = "sliding_window", by = "address" }} }}
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as redis:
        yield redis


def left(server: Server, path: str = "/a") -> int:
    status, fields, _ = get(server, path)
    assert status in (200, 429)
    return int(fields["ratelimit"].partition(";r=")[2].partition(";")[0])


def alone(server: Server) -> float:
    return metrics(server)["enfilade_limits_alone_workers"]


def test_they_count_together_and_go_on_without_it(redis: RedisServer, start: Start) -> None:
    one, other = (start(CONFIG.format(url=redis.url)) for _ in range(2))
    until(lambda: redis.client().pubsub_numsub("enfilade:limits") == [("enfilade:limits", 2)])
    assert [left(one) for _ in range(3)] == [99, 98, 97]
    until(lambda: left(other) <= 96)
    assert left(one, "/window/a") == 2
    until(lambda: get(other, "/window/a")[0] == 429)
    until(lambda: get(one, "/window/a")[0] == 429)

    redis.stop()
    until(lambda: (left(one), alone(one))[1] == 2.0)
    one.wait_for("no other server hears of our limits: each allows 1/2 of them")
    before = left(one)
    assert left(one) == before - 2, "each counts as two"

    redis.start()
    until(lambda: alone(one) == 0.0)
    one.wait_for("the other servers hear of our limits again")
    until(lambda: redis.client().pubsub_numsub("enfilade:limits") == [("enfilade:limits", 2)])
    known = left(other)
    until(lambda: left(one) < known)
    assert "Traceback" not in one.output + other.output


def test_no_request_waits_for_a_redis_that_hangs(redis: RedisServer, start: Start) -> None:
    server = start(CONFIG.format(url=redis.url))
    until(lambda: redis.client().pubsub_numsub("enfilade:limits") == [("enfilade:limits", 1)])
    os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        until(lambda: (left(server), alone(server))[1] == 2.0)
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)
    until(lambda: alone(server) == 0.0)
    until(lambda: redis.client().pubsub_numsub("enfilade:limits") == [("enfilade:limits", 1)])
    before = left(server)
    assert left(server) == before - 1
    assert "Traceback" not in server.output and "exception" not in server.output.lower()


def test_without_a_redis_from_the_start_a_server_allows_its_share(start: Start) -> None:
    server = start(CONFIG.format(url="redis://127.0.0.1:1"))
    until(lambda: (left(server), alone(server))[1] >= 1.0)
    assert get(server, "/b")[0] == 200
