"""Servers that share a Redis: what is purged on one is used by no other, also not by one that was away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.processes import status
from tests.redis_server import RedisServer, redis_server

APP = """
from pathlib import Path
from enfilade.app import tag

def app(environ, start_response):
    tag("every")
    start_response("200 OK", [("cache-control", "max-age=3600")])
    return [Path("value").read_bytes()]
"""
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[cache]
memory = "4MB"
disk = "disk-{name}"
redis = "{redis}"
purge_token = "secret"
[sites."*"]
"/*" = {{ app = "main", cache = true }}
[apps.main]
target = "shop:app"
inline = true
"""


def ask(server: Server, path: str, method: str = "GET", **fields: str) -> tuple[int, str]:
    """On a connection of its own, so that either worker may answer."""
    connection = HTTPConnection(*server.address(), timeout=20)
    try:
        connection.request(method, path, headers={"Host": "shop.example", "Connection": "close", **fields})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def purge(server: Server, path: str) -> None:
    assert ask(server, path, "PURGE", Authorization="Bearer secret")[0] == 200


def says(server: Server, path: str, value: str) -> bool:
    """In whichever worker."""
    return {ask(server, path) for _ in range(10)} == {(200, value)}


class Setup:
    def __init__(self, start: Start, directory: Path, redis: RedisServer) -> None:
        self.redis = redis
        self.directory = directory
        self._start = start
        self.change("1")
        self.here, self.there = self.start("here"), self.start("there")

    def start(self, name: str) -> Server:
        config = CONFIG.format(name=name, redis=self.redis.url)
        return self._start("", "up", "-c", f"{name}.toml", files={"shop.py": APP, f"{name}.toml": config})

    def change(self, value: str) -> None:
        """What the origin answers from now on."""
        (self.directory / "value").write_text(value)


@pytest.fixture
def setup(start: Start, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield Setup(start, tmp_path, redis)


def test_a_purge_reaches_the_other_server_and_over_a_reload(setup: Setup) -> None:
    here, there = setup.here, setup.there
    assert says(here, "/a", "1")
    assert says(there, "/a", "1")
    assert says(there, "/b", "1")
    setup.change("2")
    purge(here, "/a")
    assert says(here, "/a", "2")
    eventually(lambda: says(there, "/a", "2"))
    assert says(there, "/b", "1")
    for server in here, there:
        server.signal(signal.SIGHUP)
    eventually(lambda: status(here)["reloads"] == status(there)["reloads"] == 1)
    setup.change("3")
    purge(there, "/a")
    eventually(lambda: says(here, "/a", "3"))
    setup.change("4")
    purge(here, "/*")
    eventually(lambda: says(there, "/b", "4"))


def test_a_server_that_was_down_uses_nothing_that_was_purged_meanwhile(setup: Setup) -> None:
    here = setup.here
    assert says(setup.there, "/a", "1")
    assert says(setup.there, "/b", "1")
    assert setup.there.stop() == 0
    setup.change("2")
    purge(here, "/a")
    assert says(here, "/a", "2")
    there = setup.start("there")
    assert says(there, "/a", "2")  # from its first answer on
    assert says(there, "/b", "1")  # as its disk has it


def test_what_is_purged_right_before_a_stop_is_told(setup: Setup) -> None:
    assert says(setup.here, "/a", "1")
    setup.change("2")
    purge(setup.there, "/a")
    setup.there.stop()
    eventually(lambda: says(setup.here, "/a", "2"))


def test_without_the_redis_servers_serve_and_afterwards_they_hear_of_it(setup: Setup) -> None:
    here, there = setup.here, setup.there
    assert says(here, "/a", "1")
    assert says(there, "/a", "1")
    setup.redis.stop()
    there.wait_for("purges in Redis: ")
    setup.change("2")
    purge(here, "/a")
    assert says(here, "/a", "2")
    assert says(there, "/a", "1")
    setup.redis.start()
    eventually(lambda: says(there, "/a", "2"))
    assert sum("purges in Redis: " in line for line in there.lines) == 1
