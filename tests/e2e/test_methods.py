"""Methods and error pages (RFC 9110 sections 9 and 15) over real sockets."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import Server, Start

APP = """
async def app(scope, receive, send):
    if scope["path"].endswith("/raise"):
        raise RuntimeError("the secret of the application")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["method"].encode()})
"""
CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
workers = 1

[sites."*"]
tls = "internal"
request_id = true
"/files/*" = { files = "." }
"/app/*" = { app = "methods", log = false }
"/fixed" = { respond = "fixed" }
"/gone" = { respond = 410 }
"GET /one" = { respond = "read" }
"POST /one" = { respond = "written" }

[apps.methods]
target = "methods_app:app"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start, directory_once: Path) -> Server:
    (directory_once / "methods_app.py").write_text(APP)
    (directory_once / "a.txt").write_text("a")
    return start_once(CONFIG)


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@pytest.mark.parametrize(
    ("path", "statuses", "allow"),
    [
        ("/files/a.txt", [200, 200, 405, 405, 405, 405, 204], "GET, HEAD, OPTIONS"),
        ("/files/missing", [404, 404, 405, 405, 405, 405, 204], "GET, HEAD, OPTIONS"),
        ("/one", [200, 200, 200, 405, 405, 405, 204], "GET, HEAD, POST, OPTIONS"),
        ("/app/x", [200] * 7, None),
        ("/fixed", [200, 200, 405, 405, 405, 405, 204], "GET, HEAD, OPTIONS"),
        ("/gone", [410] * 7, None),
        ("/nowhere", [404] * 7, None),
    ],
)
def test_each_method(
    client: httpx.Client, http2: httpx.Client, path: str, statuses: list[int], allow: str | None
) -> None:
    for c in (client, http2):
        for method, status in zip(METHODS, statuses, strict=True):
            r = c.request(method, path, content=b"body" if method in ("POST", "PUT", "PATCH") else None)
            assert r.status_code == status, method
            if allow is not None and status in (405, 204):
                assert r.headers["allow"] == allow
            assert method != "HEAD" or r.content == b""


def test_what_nobody_knows(client: httpx.Client, http2: httpx.Client) -> None:
    for c in (client, http2):
        for method in ("BREW", "PROPFIND"):
            assert c.request(method, "/files/a.txt").status_code == 501
            assert c.request(method, "/one").status_code == 501
            assert c.request(method, "/app/x").text == method


def test_options_of_the_server(server: Server, http2: httpx.Client) -> None:
    answer = server.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"\r\nallow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" in answer


@pytest.mark.parametrize("path", ["/files/a.txt", "/app/x", "/nowhere"])
def test_trace_is_refused_everywhere(client: httpx.Client, http2: httpx.Client, path: str) -> None:
    for c in (client, http2):
        r = c.request("TRACE", path, headers={"cookie": "secret"})
        assert r.status_code == 405 and "TRACE" not in r.headers["allow"] and "secret" not in r.text


@pytest.mark.parametrize(
    "line", [b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443", b"CONNECT / HTTP/1.1\r\nHost: a"]
)
def test_connect_is_refused(server: Server, line: bytes) -> None:
    assert server.raw(line + b"\r\n\r\n").startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("start_line", [b"OPTIONS / HTTP/1.1", b"GET * HTTP/1.1"])
def test_asterisk_form_is_only_for_options(server: Server, start_line: bytes) -> None:
    status = b"404" if start_line.startswith(b"OPTIONS") else b"400"
    answer = server.raw(start_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1] == status


def test_trace_where_it_is_on(start: Start) -> None:
    server = start('[server]\nhttp = "localhost:0"\nworkers = 1\ntrace = true\n[sites."*"]\n"/*" = { respond = "x" }')
    answer = server.raw(
        b"TRACE /a?b HTTP/1.1\r\nHost: a\r\nCookie: c=secret\r\nAuthorization: secret\r\nX-A: 1\r\n"
        b"Proxy-Authorization: secret\r\nConnection: close\r\n\r\n"
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"content-type: message/http" in head
    assert body.startswith(b"TRACE /a?b HTTP/1.1\r\nhost: a\r\n") and b"x-a: 1" in body and b"secret" not in body
    answer = server.raw(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"TRACE" in answer


# -- error pages

PAGES = [
    ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
    ("application/json", "application/problem+json"),
    ("*/*", "text/plain; charset=utf-8"),
]


@pytest.mark.parametrize(("accept", "kind"), PAGES)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/files/missing", 404),
        ("POST", "/files/a.txt", 405),
        ("GET", "/app/raise", 500),
    ],
)
def test_error_pages_by_accept(
    client: httpx.Client, http2: httpx.Client, accept: str, kind: str, method: str, path: str, status: int
) -> None:
    for c in (client, http2):
        r = c.request(method, path, headers={"accept": accept})
        assert (r.status_code, r.headers["content-type"]) == (status, kind)
        assert "secret" not in r.text and "Traceback" not in r.text and "methods_app" not in r.text
        assert r.headers["x-request-id"] in r.text
        assert r.headers["cache-control"] == "no-store" and "accept" in r.headers["vary"]
        if kind == "application/problem+json":
            assert json.loads(r.text)["request_id"] == r.headers["x-request-id"]


def test_conditions_and_ranges_have_the_id_too(client: httpx.Client) -> None:
    for fields in ({"if-match": '"x"'}, {"range": "bytes=9-"}):
        r = client.get("/files/a.txt", headers=fields)
        assert r.status_code in (412, 416) and r.headers["x-request-id"] in r.text


def test_a_request_that_cannot_be_read_gets_a_page_as_well(server: Server) -> None:
    answer = server.raw(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ") and b"connection: close" in answer
    assert answer.endswith(b"400 Bad Request: The Host field is missing, repeated, or not a host.\n")
