"""Which site and route answers, and redirects, over real sockets."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.e2e.conftest import Server, Start

CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
workers = 1

[sites."a.test"]
tls = "internal"
log = { format = ["host", "target", "status", "reason", "site", "route"], to = "access.log" }
"/" = { respond = "a" }
"/*" = { respond = "rest of a" }
"/api/*" = { respond = "api" }
"POST /api/items" = { respond = { status = 201, body = "made" } }
"/api/items/{id}" = { respond = "item" }
"/go/{where}" = { redirect = { to = "https://b.test/to/{where}?{query}", status = 302 } }
"/moved/*" = { redirect = "/new{path}" }
"/same/*" = { redirect = { to = "https://{host}{path}?{query}", status = 307 } }
"/teapot" = { respond = { status = 418, body = "{}", type = "application/json" } }
"/gone" = { respond = 410 }

[sites."*.b.test"]
tls = "internal"
"/*" = { respond = "wild b" }

[sites."x.b.test"]
tls = "internal"
"/*" = { respond = "x" }

[sites."plain.test"]
"/*" = { respond = "plain" }
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    return start_once(CONFIG)


@pytest.mark.parametrize(
    ("host", "status", "text"),
    [
        ("a.test", 200, "a"),
        ("A.TEST", 200, "a"),
        ("a.test.", 200, "a"),
        ("a.test:8080", 200, "a"),
        ("x.b.test", 200, "x"),
        ("y.b.test", 200, "wild b"),
        ("plain.test", 200, "plain"),
        ("b.test", 421, None),
        ("z.y.b.test", 421, None),
        ("unknown.test", 421, None),
        ("127.0.0.1", 421, None),
    ],
)
def test_hosts(client: httpx.Client, host: str, status: int, text: str | None) -> None:
    r = client.get("/", headers={"host": host})
    assert r.status_code == status
    assert text is None or r.text == text


def test_the_absolute_form_decides(server: Server) -> None:
    answer = server.raw(b"GET http://x.b.test/ HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nx")


def test_sites_over_tls(http2: httpx.Client) -> None:
    assert http2.get("/", headers={"host": "a.test"}).text == "a"
    assert http2.get("/", headers={"host": "plain.test"}).status_code == 421
    assert http2.get("/", headers={"host": "unknown.test"}).status_code == 421


def test_who_belongs_nowhere_is_logged(client: httpx.Client, server: Server) -> None:
    assert client.get("/lost?1", headers={"host": "nobody.test"}).status_code == 421
    row = server.logged("access.log", lambda line: "/lost?1" in line and json.loads(line))
    assert row == {
        "host": "nobody.test", "target": "/lost?1", "status": 421, "reason": "no_site", "site": None, "route": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/", 200, "a"),
        ("GET", "/x", 200, "rest of a"),
        ("GET", "/api", 200, "api"),
        ("GET", "/api/", 200, "api"),
        ("GET", "/api/items", 200, "api"),
        ("POST", "/api/items", 201, "made"),
        ("GET", "/api/items/7", 200, "item"),
        ("GET", "/api/items/7/x", 200, "api"),
        ("GET", "/api/./x/../items/7", 200, "item"),
        ("GET", "/apix", 200, "rest of a"),
        ("GET", "/teapot", 418, "{}"),
        ("GET", "/gone", 410, ""),
    ],
)
def test_routes(client: httpx.Client, http2: httpx.Client, method: str, path: str, status: int, text: str) -> None:
    for c in (client, http2):
        r = c.request(method, path, headers={"host": "a.test"})
        assert (r.status_code, r.text) == (status, text)


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/go/x?a=b", 302, "https://b.test/to/x?a=b"),
        ("/go/x", 302, "https://b.test/to/x"),
        ("/go/a%2Fb%20c", 200, None),
        ("/go/%C3%BC", 302, "https://b.test/to/%C3%BC"),
        ("/moved/a/b", 308, "/new/moved/a/b"),
        ("/moved/%0d", 400, None),
        ("/same/a?x", 307, "https://a.test/same/a?x"),
    ],
)
def test_redirects(client: httpx.Client, path: str, status: int, location: str | None) -> None:
    r = client.get(path, headers={"host": "a.test"})
    assert r.status_code == status
    assert r.headers.get("location") == location
