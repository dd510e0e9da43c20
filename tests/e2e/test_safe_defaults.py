"""Safe defaults over real sockets: what browsers are told, and what is asked of them."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually
from tests.passwords import cheap_line
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from enfilade.http.security_fields import HSTS, PRESETS

APP = """
async def app(scope, receive, send):
    if scope["path"].endswith("/raise"):
        raise RuntimeError("on purpose")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return await send({"type": "websocket.close", "code": 4321})
    fields = [(b"x-frame-options", b"SAMEORIGIN"), (b"access-control-allow-origin", b"https://other.example")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": scope["method"].encode()})
"""
CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
workers = 1

[sites."*"]
tls = "internal"
log = false
"/standard" = { respond = "x", security_headers = true }
"/strict/*" = { app = "main", security_headers = "strict" }
"/last-word/*" = { app = "main", security_headers = "strict", headers = { X-Frame-Options = "LAST", Referrer-Policy = "origin" } }

[sites."*"."/api/*"]
app = "main"
cors = { origins = ["https://app.example", "https://*.shop.example"], methods = ["GET", "PUT"], credentials = true }

[sites."*"."/gone"]
proxy = { to = "http://127.0.0.1:1", instead = { 502 = "page.html" } }
cors = { origins = ["https://app.example"] }

[sites."*"."/forms/*"]
app = "main"
csrf = { origins = ["https://partner.example"] }
cors = { origins = ["https://app.example"] }

[sites."*"."/secret/*"]
app = "main"
auth = { basic = { file = "users", realm = "staging" } }

[sites."site.example"]
log = false
cors = { origins = ["*"] }
"POST /hook" = { respond = "x" }

[apps.main]
target = "safe_app:app"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start, directory_once: Path) -> Server:
    (directory_once / "safe_app.py").write_text(APP)
    (directory_once / "users").write_text(cheap_line("ada", "pass:word"))
    (directory_once / "page.html").write_text("page")
    server = start_once(CONFIG)
    server.url("https")
    return server


# -- security headers


def test_browsers_are_told_to_be_careful(client: httpx.Client, http2: httpx.Client) -> None:
    over_tls, plain = http2.get("/standard").headers, client.get("/standard").headers
    assert {name: over_tls.get(name) for name in PRESETS["standard"]} == PRESETS["standard"]
    assert HSTS not in plain and plain["x-content-type-options"] == "nosniff"


def test_the_application_wins_and_the_headers_policy_has_the_last_word(http2: httpx.Client) -> None:
    strict = http2.get("/strict/").headers
    assert strict.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert strict["referrer-policy"] == PRESETS["strict"]["referrer-policy"]
    last = http2.get("/last-word/").headers
    assert (last["x-frame-options"], last["referrer-policy"]) == ("LAST", "origin")


def test_errors_have_them_too(http2: httpx.Client) -> None:
    answer = http2.get("/strict/raise")
    assert (answer.status_code, answer.headers["x-frame-options"]) == (500, "DENY")


# -- cross-origin resource sharing

PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "PUT"}
ALLOW = "access-control-allow-origin"


@pytest.mark.parametrize("origin", ["https://app.example", "https://eu.shop.example"])
def test_scripts_of_a_named_origin_may_ask_and_read(client: httpx.Client, http2: httpx.Client, origin: str) -> None:
    for each in (client, http2):
        asked = each.options("/api/x", headers={**PREFLIGHT, "origin": origin})
        assert (asked.status_code, asked.headers[ALLOW], asked.content) == (204, origin, b"")
        assert asked.headers["access-control-allow-methods"] == "GET, PUT"
        answer = each.put("/api/x", headers={"origin": origin})
        assert (answer.text, answer.headers.get_list(ALLOW)) == ("PUT", [origin])
        assert answer.headers["vary"] == "origin" and answer.headers["access-control-allow-credentials"] == "true"


def test_scripts_of_others_may_not(client: httpx.Client) -> None:
    for origin in ("https://evil.example", "null", "https://evilshop.example", "http://app.example"):
        asked = client.options("/api/x", headers={**PREFLIGHT, "origin": origin})
        assert asked.status_code == 403 and ALLOW not in asked.headers
        assert ALLOW not in client.get("/api/x", headers={"origin": origin}).headers


@pytest.mark.parametrize(("path", "status"), [("/api/raise", 500), ("/gone", 502)])
def test_scripts_may_read_errors_too(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path, headers={"origin": "https://app.example"})
    assert (answer.status_code, answer.headers[ALLOW]) == (status, "https://app.example")


def test_options_of_an_application_reach_it(client: httpx.Client) -> None:
    assert client.options("/api/x").text == "OPTIONS"


def test_a_site_says_it_for_patterns_with_a_method(client: httpx.Client) -> None:
    asked = client.options("/hook", headers={**PREFLIGHT, "host": "site.example"})
    assert (asked.status_code, asked.headers[ALLOW]) == (204, "*")
    assert client.options("/hook", headers={"host": "site.example"}).headers["allow"] == "POST, OPTIONS"


# -- cross-site request forgery


def test_pages_of_other_origins_send_nothing_that_changes_anything(client: httpx.Client, http2: httpx.Client) -> None:
    for each in (client, http2):
        own = f"{each.base_url.scheme}://{each.base_url.netloc.decode()}"
        for fields in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            refused = each.post("/forms/x", headers=fields)
            assert (refused.status_code, "another origin" in refused.text) == (403, True)
            assert each.get("/forms/x", headers=fields).text == "GET"
        for fields in ({"origin": own}, {"sec-fetch-site": "same-origin"}, {"origin": "https://partner.example"}, {}):
            assert each.post("/forms/x", headers=fields).text == "POST"


def test_a_refusal_can_be_read_by_scripts_that_may_read(client: httpx.Client) -> None:
    answer = client.post("/forms/x", headers={"origin": "https://app.example"})
    assert (answer.status_code, answer.headers[ALLOW]) == (403, "https://app.example")


def test_pages_of_other_origins_open_no_websocket(server: Server) -> None:
    address = server.url("http").replace("http", "ws", 1) + "/forms/x"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, origin=Origin("https://evil.example"))
    with connect(address, origin=Origin(server.url("http"))) as session, pytest.raises(ConnectionClosed, match="4321"):
        session.recv()


# -- passwords


def test_who_has_a_password_comes_in(client: httpx.Client, http2: httpx.Client) -> None:
    for each in (client, http2):
        asked = each.get("/secret/x")
        assert (asked.status_code, asked.headers["www-authenticate"]) == (401, 'Basic realm="staging", charset="UTF-8"')
        assert each.post("/secret/x", auth=("ada", "pass:word"), content=b"body").text == "POST"
        for wrong in (("ada", "pass"), ("bob", "pass:word")):
            assert each.get("/secret/x", auth=wrong).status_code == 401


USERS = """
[server]
http = "localhost:0"
workers = 1
[sites."*"]
auth = { basic = { file = "users" } }
"/*" = { respond = "x" }
"""


def test_a_file_of_users_that_cannot_be_used_refuses_the_reload(start: Start, tmp_path: Path) -> None:
    server = start(USERS, files={"users": cheap_line("ada", "one")})

    def status(user: str, password: str) -> int:
        return httpx.get(server.url("http"), auth=(user, password), timeout=PATIENCE).status_code

    (tmp_path / "users").write_text("ada:in plain text\n")
    server.signal(signal.SIGHUP)
    refused = server.wait_for("reload refused, nothing has changed.*")
    assert "line 1" in server.output and "in plain text" not in server.output, refused
    assert (status("ada", "one"), status("ada", "in plain text")) == (200, 401)
    (tmp_path / "users").write_text(cheap_line("bob", "two"))
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    eventually(lambda: status("ada", "one") == 401, "the old worker hears that it takes nobody any more")
    assert status("bob", "two") == 200


@pytest.mark.parametrize("text", [None, "", "ada:in plain text\n"])
def test_it_refuses_the_start(start: Start, text: str | None) -> None:
    server = start(USERS, files={} if text is None else {"users": text}, wait=False)
    server.wait_for(r"enfilade.toml:6:27: .*auth.basic.file: ")
    assert server.process.wait(PATIENCE) == 1
    assert "in plain text" not in server.output
