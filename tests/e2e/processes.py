"""What the tests of processes, reloads and commands share: an application, the admin listener, the command line."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import chdir
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from tests.cli.kit import enfilade
from tests.e2e.conftest import Server

APP = """
import asyncio, os, sys

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.environ.get("FAIL"):
            await send({"type": "lifespan.startup.failed", "message": "no database"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("application ends", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
        return
    if scope["path"].startswith("/slow"):
        print("slow begins", flush=True)
        await asyncio.sleep(float(scope["query_string"] or b"0.5"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
    if scope["path"] == "/background":
        await asyncio.sleep(0.5)
        print("background work is done", flush=True)
"""


def admin(server: Server) -> HTTPConnection:
    """A connection to the admin listener over TCP."""
    address = re.search(r"admin on http://([\d.]+):(\d+)", server.wait_for("admin on http://"))
    assert address
    return HTTPConnection(address[1], int(address[2]), timeout=20)


def ask(server: Server, method: str, path: str, body: str | None = None, **fields: str) -> HTTPResponse:
    """What the admin listener answers; its body is read already (`body`)."""
    connection = admin(server)
    try:
        connection.request(
            method, path, body, headers={name.replace("_", "-"): value for name, value in fields.items()}
        )
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        return response
    finally:
        connection.close()


def status(server: Server) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(ask(server, "GET", "/status").body)  # type: ignore[attr-defined]
    return facts


def metrics(server: Server) -> dict[str, float]:
    """Each sample of /metrics, by name and labels."""
    text = ask(server, "GET", "/metrics").body.decode()  # type: ignore[attr-defined]
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def until(condition: Callable[[], object], seconds: float = 20.0) -> Any:
    """What `condition` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{condition} did not come true"
        time.sleep(0.01)
    return found


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`enfilade ARGUMENTS`, run beside the server, in the test's own process."""
    with chdir(server.directory):
        result = enfilade(*arguments)
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)


def write(server: Server, config: str) -> None:
    """Put a new configuration in place, whole at every moment."""
    new = server.directory / "enfilade.new"
    new.write_text(config)
    new.replace(server.directory / "enfilade.toml")


def get(server: Server, path: str = "/", scheme: str = "http") -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own: status, fields, body."""
    connection = HTTPConnection(*server.address(scheme), timeout=20)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()
