"""Filters over real sockets: the access log, ids, fields, times, limits of bodies."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = dict(scope["headers"])
    if scope["path"].endswith("/hang"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
    if scope["path"].endswith(("/hang", "/wait")):
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d %s" % (size, headers.get(b"x-request-id", b"-"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"app"), (b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [b"%d -" % size]
"""
CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
workers = 1

[server.limits]
body = "1KB"
head_timeout = 1

[sites."*"]
tls = "internal"
log = { format = "json", to = "json.log" }
"/*" = { respond = "x" }
"/app/*" = { app = "filters" }
"/id/*" = { app = "filters", request_id = true }
"/trace-id" = { respond = "x", request_id = "X-Trace-Id" }
"/timing" = { respond = "x", timing = true }
"/timing/*" = { app = "filters", timing = true, request_id = true }
"/large/*" = { app = "filters", body_limit = "4KB" }
"/small/*" = { app = "filters", body_limit = 100 }
"/small-with-headers/*" = { app = "filters", body_limit = 100, headers = { x-frame-options = "DENY" } }
"/wsgi/*" = { app = "wsgi", body_limit = 2000 }
"/common" = { respond = "x", log = { format = "common", to = "common.log" } }
"/combined" = { respond = "x", log = { format = "combined", to = "combined.log" } }

[sites."*"."/custom"]
respond = "x"
log = { format = "{method} {path} {status} {request.x-a} {response.content-type}", to = "custom.log" }

[sites."*"."/headers/*"]
app = "filters"
headers = { set = { x-own = "2", x-frame-options = "DENY" }, add = { vary = "x" }, remove = ["server"] }

[apps.filters]
target = "filters_app:app"
workers = 1

[apps.wsgi]
target = "filters_app:wsgi"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start, directory_once: Path) -> Iterator[Server]:
    (directory_once / "filters_app.py").write_text(APP)
    server = start_once(CONFIG)
    server.url("https")
    yield server
    assert "Traceback" not in server.output


def row_of(server: Server, target: str) -> dict[str, object]:
    return server.logged("json.log", lambda line: json.loads(line)["target"] == target and json.loads(line))


# -- the access log


def test_common_and_combined(server: Server, client: httpx.Client) -> None:
    fields = {"user-agent": 'a "quoted" \\ agent', "referer": "http://r/"}
    client.get("/common?a=b", headers=fields)
    client.get("/combined?a=b", headers=fields)
    common = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /%s\?a=b HTTP/1\.1" 200 1'
    assert server.logged("common.log", lambda line: re.fullmatch(common % "common", line))
    agent = re.escape(r"a \"quoted\" \\ agent")
    assert server.logged(
        "combined.log", lambda line: re.fullmatch(common % "combined" + f' "http://r/" "{agent}"', line)
    )


def test_json_has_every_field(server: Server, client: httpx.Client, http2: httpx.Client) -> None:
    client.get("/plain", headers={"user-agent": "tester"})
    http2.get("/secure")
    row = row_of(server, "/plain")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(row.pop("time")))
    assert 0 <= float(str(row.pop("duration"))) < 5
    assert row == {
        "client_ip": "127.0.0.1", "method": "GET", "host": "localhost", "target": "/plain", "version": "1.1", "tls": None,
        "status": 200, "bytes": 1, "reason": None, "request_id": None, "user_agent": "tester", "referer": None,
        "site": "*", "route": "/*", "cache": None,
    } | {"host": row["host"]}  # fmt: skip
    row = row_of(server, "/secure")
    assert (row["version"], row["tls"]) == ("2", "TLSv1.3")


def test_a_format_of_ones_own(server: Server, client: httpx.Client) -> None:
    client.get("/custom", headers={"x-a": b"\xff\xc2\xa0b\tc"})
    assert server.logged("custom.log", lambda line: line.startswith("GET /custom 200 ") and line)
    line = server.logged("custom.log", lambda line: line)
    assert line.endswith(" text/plain; charset=utf-8") and line.isprintable()


@pytest.mark.parametrize("raw", ["a%0Ab", "%1b%5B31m", "%E2%80%AE", "%22"])
def test_nobody_forges_a_line(server: Server, client: httpx.Client, raw: str) -> None:
    client.get(f"/custom?{raw}&\u2028")
    client.get(f"/json/{raw}")
    for name in ("custom.log", "json.log", "common.log"):
        path = server.directory / name
        assert all(line.isprintable() for line in path.read_text().split("\n") if path.exists())


def test_one_line_for_each_exchange(server: Server, client: httpx.Client) -> None:
    for i in range(20):
        client.get(f"/count/{i}")
    row_of(server, "/count/19")
    lines = (server.directory / "json.log").read_text().splitlines()
    targets = [json.loads(line)["target"] for line in lines]
    assert [targets.count(f"/count/{i}") for i in range(20)] == [1] * 20


def test_a_refused_head_is_logged(server: Server) -> None:
    assert server.raw(b"GET /bad-field HTTP/1.1\r\nHost: a\r\nbad field: x\r\n\r\n").startswith(b"HTTP/1.1 400")
    row = row_of(server, "/bad-field")
    assert (row["status"], row["reason"], row["method"], row["site"]) == (400, "bad_field", "GET", None)
    server.raw(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert server.logged("json.log", lambda line: json.loads(line)["reason"] == "bad_request_line" and line)
    assert server.raw(b"GET /slow HTTP/1.1\r\n").startswith(b"HTTP/1.1 408")
    assert server.logged("json.log", lambda line: json.loads(line)["reason"] == "head_timeout" and line)


@pytest.mark.parametrize(("path", "status", "sent"), [("/app/hang", 200, 5), ("/app/wait", 499, 0)])
def test_who_leaves_is_logged(server: Server, path: str, status: int, sent: int) -> None:
    for how in ("close", "reset"):
        with server.connect() as sock:
            sock.sendall(f"GET {path}?{how} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            if sent:
                assert sock.recv(1000)
            else:
                answer = httpx.get(server.url("http") + "/", timeout=PATIENCE)
                assert answer.text == "x"  # ours was read before this one
            if how == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        row = row_of(server, f"{path}?{how}")
        assert (row["status"], row["bytes"], row["reason"]) == (status, sent, "client_gone")


# -- ids, fields, times


def test_the_same_id_everywhere(server: Server, client: httpx.Client, http2: httpx.Client) -> None:
    seen = set()
    for i, c in enumerate((client, http2, client, http2)):
        r = c.get(f"/id/{i}", headers={"x-request-id": "theirs"})
        name = r.headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{24}", name)
        assert r.text == f"0 {name}"
        assert row_of(server, f"/id/{i}")["request_id"] == name
        seen.add(name)
    assert len(seen) == 4
    assert "x-trace-id" in client.get("/trace-id").headers
    assert "x-request-id" not in client.get("/").headers


def test_fields_of_the_answer(client: httpx.Client, http2: httpx.Client) -> None:
    for c in (client, http2):
        r = c.get("/headers/x")
        assert (r.headers["x-own"], r.headers["x-frame-options"], r.headers["vary"]) == ("2", "DENY", "x")
        assert "server" not in r.headers
        assert "x-frame-options" not in c.get("/app/x").headers


def test_server_timing(client: httpx.Client, http2: httpx.Client) -> None:
    for c in (client, http2):
        for path in ("/timing", "/timing/app"):
            value = c.get(path).headers["server-timing"]
            rooms = {name: float(dur) for name, dur in re.findall(r"(\w+);dur=([\d.]+)", value)}
            assert list(rooms) == ["wire", "filters", "handler", "total"]
            assert abs(rooms["total"] - rooms["wire"] - rooms["filters"] - rooms["handler"]) < 0.01
        assert "server-timing" not in c.get("/").headers


# -- limits of bodies


def _chunked(size: int) -> Iterator[bytes]:
    for _ in range(size // 50):
        yield b"x" * 50


LIMITS = [("/app/x", 1024), ("/large/x", 4096), ("/small/x", 100), ("/wsgi/x", 2000)]


@pytest.mark.parametrize(("path", "limit"), LIMITS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_within_the_limit(
    client: httpx.Client, http2: httpx.Client, path: str, limit: int, chunked: bool
) -> None:
    size = limit // 50 * 50
    for c in (client, http2):
        r = c.post(path, content=_chunked(size) if chunked else b"x" * size)
        assert (r.status_code, r.text) == (200, f"{size} -")


@pytest.mark.parametrize(("path", "limit"), LIMITS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit(
    server: Server, client: httpx.Client, http2: httpx.Client, path: str, limit: int, chunked: bool
) -> None:
    size = (limit // 50 + 2) * 50
    for c in (client, http2):
        target = f"{path}?{c is http2}-{chunked}"
        r = c.post(target, content=_chunked(size) if chunked else b"x" * size)
        assert r.status_code == 413
        assert row_of(server, target)["reason"] == "body_too_large"
    assert client.post(path, content=b"x").text == "1 -"
    assert http2.post(path, content=b"x").text == "1 -"


def test_what_a_limit_refuses_has_the_configured_fields(client: httpx.Client, http2: httpx.Client) -> None:
    for c in (client, http2):
        r = c.post("/small-with-headers/", content=b"x" * 200)
        assert (r.status_code, r.headers["x-frame-options"]) == (413, "DENY")
