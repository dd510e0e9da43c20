"""`enfilade doctor` against real servers: our own, and one that takes everything."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.cli.kit import enfilade
from tests.e2e.conftest import Start

from enfilade.doctor.probes import GROUPS

QUICK = [group for group in GROUPS if group != "slow"]
OVER_TLS = ["reuse", "http2", "tls", "proxy", "browser"]
CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
h2c = true
workers = 1

[sites."127.0.0.1"]
tls = "internal"
http = "serve"
security_headers = true
"/app/*" = { app = "app" }
"/*" = { files = "files" }

[apps.app]
target = "told:app"
inline = true
"""
FILES = {"files/index.html": "hello " * 100, "files/.git/HEAD": "ref: refs/heads/main\n", "files/.env": "A=1\n"}
APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return await receive()
    while (await receive()).get("more_body"):
        pass
    body = b"\\n".join(b": ".join(pair) for pair in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
"""


def findings(*args: str) -> tuple[dict[str, dict[str, Any]], int]:
    """By name; and the exit code."""
    result = enfilade("doctor", "--json", *args)
    return {finding["name"]: finding for finding in json.loads(result.stdout)}, result.exit_code


def only(*groups: str) -> list[str]:
    return [part for group in groups for part in ("--only", group)]


@pytest.mark.parametrize(("url", "groups"), [("http /", QUICK), ("http /app/", QUICK), ("https /app/", OVER_TLS)])
def test_nothing_is_bad_with_our_own_server(start: Start, url: str, groups: list[str]) -> None:
    server = start(CONFIG, files=FILES | {"told.py": APP})
    scheme, path = url.split()
    found, code = findings(server.url(scheme) + path, "--insecure", *only(*groups))
    assert [f"{name}: {finding['happened']}" for name, finding in found.items() if finding["grade"] == "bad"] == []
    assert code == 0
    assert sum(finding["grade"] == "good" for finding in found.values()) > len(found) / 2
    assert found["h2-rapid-reset"]["grade"] == "good", found["h2-rapid-reset"]


def test_slow_clients_are_ended_by_our_own_server(start: Start) -> None:
    config = CONFIG.replace("[sites", "[server.limits]\nhead_timeout = 1.5\nbody_timeout = 1.5\n\n[sites")
    server = start(config, files=FILES | {"told.py": APP})
    found, code = findings(server.url("http") + "/", *only("slow"), "--seconds", "8")
    assert {found[name]["grade"] for name in ("silent", "slow-head", "slow-fields")} == {"good"}
    assert code == 0


@contextmanager
def taking_everything() -> Iterator[str]:
    """A server that has one answer for whatever comes, and leaves the connection open: its URL."""

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    answers = max(1, len(re.findall(rb" HTTP/1\.", data)))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nServer: taker/1.0\r\nContent-Length: 0\r\n\r\n" * answers)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_what_is_bad_is_called_bad() -> None:
    with taking_everything() as url:
        found, code = findings(url, *only("framing", "host", "target", "reuse", "exposure", "browser"))
    assert code == 1
    assert {
        found[name]["grade"] for name in ("te-twice", "cl-differs", "chunk-end", "fold", "no-host", "early-answer")
    } == {"bad"}
    assert {found[name]["grade"] for name in ("lf", "host-unknown", "version", "nosniff")} == {"unclear"}
    assert found["hsts"]["grade"] == "skipped" and found["cl-te"]["failure"] == "two lengths of one body"


def test_for_people() -> None:
    with taking_everything() as url:
        result = enfilade("doctor", url, "--only", "host")
    assert result.stderr.startswith("10 probes for http://127.0.0.1:")
    assert "  bad      no-host             no Host in HTTP/1.1: 200: taken" in result.stdout
    assert result.stdout.rstrip().splitlines()[-1].endswith("8 bad, 0 skipped")


def test_only_who_is_named_and_near_is_looked_at() -> None:
    public = enfilade("doctor", "http://1.1.1.1/")
    assert public.exit_code == 2 and "--yes" in public.stderr
    assert enfilade("doctor", "ftp://127.0.0.1/").exit_code == 2
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    silent = enfilade("doctor", f"http://127.0.0.1:{port}/")
    assert silent.exit_code == 1 and str(port) in silent.stderr
