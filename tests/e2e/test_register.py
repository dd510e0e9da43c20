"""`enfilade register`: a server is in Redis for as long as it runs, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import ROOT
from tests.e2e.kit import eventually
from tests.redis_server import RedisServer, redis_server

Register = Callable[..., "subprocess.Popen[str]"]
SERVER = """
import signal, sys, time
def end(number, frame):
    print("ends", number, flush=True)
    sys.exit(7)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
print("runs", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def register(redis: RedisServer) -> Iterator[Register]:
    started = []
    with redis.client() as client:
        client.flushall()

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "enfilade", "register",
                "--redis", redis.url, "--upstream", "api", "--url", "http://10.0.0.3:8000", *arguments,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def registered(redis: RedisServer) -> list[dict[str, object]]:
    with redis.client() as client:
        return [json.loads(client.get(key) or "null") for key in client.scan_iter("enfilade:api:*")]


def test_it_is_registered_while_it_runs(redis: RedisServer, register: Register) -> None:
    process = register("--weight", "3", "--ttl", "60")
    eventually(lambda: registered(redis) == [{"url": "http://10.0.0.3:8000", "weight": 3}])
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert registered(redis) == []


def test_one_that_is_killed_is_forgotten_when_its_time_is_over(redis: RedisServer, register: Register) -> None:
    process = register("--ttl", "1")
    eventually(lambda: registered(redis))
    process.kill()
    eventually(lambda: not registered(redis))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_is_ended_when_nobody_finds_it_any_more(
    redis: RedisServer, register: Register, number: signal.Signals
) -> None:
    process = register("--", sys.executable, "-c", SERVER)
    assert process.stdout is not None
    eventually(lambda: registered(redis))
    lines = iter(process.stdout.readline, "")
    assert any(line == "runs\n" for line in lines)
    process.send_signal(number)
    assert any(line == f"ends {int(number)}\n" for line in lines)
    assert registered(redis) == [], "it was taken back before the command heard of it"
    assert process.wait(20) == 7


@pytest.mark.parametrize(("end", "code"), [("sys.exit(5)", 5), ("os.kill(os.getpid(), 9)", 128 + 9)])
def test_a_command_that_ends_by_itself_takes_its_registration_along(
    redis: RedisServer, register: Register, end: str, code: int
) -> None:
    process = register("--", sys.executable, "-c", f"import os, sys; sys.stdin.read(); {end}")
    assert process.wait(20) == code
    assert registered(redis) == []


def test_a_command_that_cannot_be_run(redis: RedisServer, register: Register) -> None:
    process = register("--", "/nowhere/server")
    assert process.communicate(timeout=20)[0] == "cannot run /nowhere/server: No such file or directory\n"
    assert process.returncode == 1
    assert registered(redis) == []


def test_a_redis_that_comes_later_is_waited_for(tmp_path: Path, register: Register) -> None:
    with redis_server(tmp_path) as late:
        late.stop()
        process = register("--redis", late.url)  # the last one counts
        assert process.stdout is not None
        assert "cannot register: " in process.stdout.readline()
        late.start()
        eventually(lambda: registered(late))
