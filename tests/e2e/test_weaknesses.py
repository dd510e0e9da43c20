"""What others wrote to find weaknesses, against a server as it comes: testssl.sh for its TLS, slowhttptest for its patience."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import APP, eventually, get, rejects

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
[server.limits]
head_timeout = "2s"
body_timeout = "2s"
write_timeout = "2s"
[sites."localhost"]
tls = "internal"
log = false
"/*" = { respond = "hello" }
[sites."*"]
log = false
"/app/*" = { app = "probe" }
"/*" = { files = "www" }
[apps.probe]
target = "probe:app"
"""
SEVERE = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
LOOKED_AT = {
    "TLS1_2",
    "TLS1_3",
    "cipherlist_EXPORT",
    "heartbleed",
    "secure_client_renego",
    "POODLE_SSL",
    "BREACH",
    "BEAST",
    "LUCKY13",
}
SLOW = {
    "head_timeout": ("/", "-H"),
    "body_timeout": ("/app/x", "-B", "-s", "1000"),
    "read_timeout": ("/large.txt", "-X", "-w", "1024", "-y", "2048", "-z", "32", "-k", "3"),
}
"""What slowhttptest asks for, and how, by the reason for which the server ends it."""
CLIENTS = 200
"""Of each kind."""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    return start_once(CONFIG, files={"www/index.html": "hello", "www/large.txt": "x" * 4_000_000, "probe.py": APP})


@pytest.mark.timeout(500)
def test_testssl_finds_no_weakness_of_medium_severity_or_above(server: Server, tmp_path: Path) -> None:
    port = server.address("https")[1]
    found = tmp_path / "found.json"
    subprocess.run(
        ["testssl", "--quiet", "--warnings", "off", "--nodns", "none", "--jsonfile", str(found),
         "--protocols", "--std", "--vulnerable", f"localhost:{port}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=500, check=False,
    )  # fmt: skip
    findings = json.loads(found.read_text())
    assert {one["id"] for one in findings if one["severity"] == "OK"} >= LOOKED_AT, "it has looked, and was answered"
    assert [one for one in findings if one["severity"] in SEVERE] == []


@pytest.fixture
def attack(server: Server) -> Iterator[Callable[..., None]]:
    """slowhttptest with some options, until the test is over."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(path: str, *options: str) -> None:
        common = ["-c", str(CLIENTS), "-r", str(CLIENTS), "-i", "1", "-l", "60", "-u", f"{server.url()}{path}"]
        null = subprocess.DEVNULL
        running.append(subprocess.Popen(["slowhttptest", *options, *common], stdin=null, stdout=null, stderr=null))

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_slow_heads_bodies_and_readers_are_ended_while_others_are_served(
    server: Server, attack: Callable[..., None]
) -> None:
    for options in SLOW.values():
        attack(*options)

    def ended() -> bool:
        assert get(server, "/") == (200, b"hello")
        counted = rejects(server)
        return all(counted.get(reason, 0) >= CLIENTS for reason in SLOW)

    eventually(ended, "all of them ended", seconds=60)
    assert rejects(server)["read_timeout"] == CLIENTS, "each is counted once"
