"""An authority as oauth2-proxy and Authelia are ones, in front of an application: sessions by cookie, a page to sign in."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually, rejects
from tests.e2e.test_tokens import curl
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

APP = """
import json

async def app(scope, receive, send):
    told = {name.decode(): value.decode() for name, value in scope["headers"] if b"remote" in name or b"user" in name}
    text = json.dumps({**told, "method": scope.get("method")})
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close"})
        return
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = f"{told.get('remote-user')} {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})
    await send({"type": "http.response.body", "body": body})
"""
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 1
[sites."*"]
auth = {{ forward = {{ to = "gate", path = "/auth?from=enfilade", copy = ["Remote-User", "Remote-Groups"] }} }}
"/*" = {{ app = "app" }}
"/cached" = {{ app = "app", cache = true }}
"/gate/*" = {{ proxy = {{ to = "gate", strip = true }}, auth = false }}
"/gone" = {{ respond = "never", auth = {{ forward = {{ to = "http://127.0.0.1:1", path = "/" }} }} }}
[apps.app]
target = "app:app"
[upstreams.gate]
peers = ["http://127.0.0.1:{port}"]
answer_timeout = "1s"
"""


class Gate:
    """`asked`: the fields of each question. Whoever has the cookie `session=NAME` is NAME; `session=new` gets another one."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.leave = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gate.asked.append({name.lower(): value for name, value in self.headers.items()} | {"target": self.path})
                session = self.headers.get("Cookie", "").partition("session=")[2]
                if session == "slow":
                    gate.leave.wait(20)
                if session:
                    fields = {"Remote-User": session, "Remote-Groups": "a,b", "X-Secret": "x"}
                    self._answer(
                        200, fields | ({"Set-Cookie": "session=newer"} if session == "new" else {}), b"ok" * 50_000
                    )
                elif "html" in self.headers.get("Accept", ""):
                    back = quote(f"http://{self.headers['X-Forwarded-Host']}{self.headers['X-Forwarded-Uri']}", safe="")
                    self._answer(302, {"Location": f"/gate/login?rd={back}", "Set-Cookie": "csrf=1"}, b"")
                else:
                    self._answer(401, {"WWW-Authenticate": 'Bearer realm="gate"'}, b"who are you?")

            def _answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.leave.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def server(gate: Gate, start_once: Start) -> Iterator[Server]:
    server = start_once(CONFIG.format(port=gate.server.server_port), files={"app.py": APP})
    yield server
    assert "Traceback" not in server.output


def test_who_is_let_in_and_what_is_told(server: Server, gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 300_000)
    forged = [
        "-H",
        "Remote-User: root",
        "-H",
        "remote_user: root",
        "-H",
        "Connection: remote-user",
        "-H",
        "X-Forwarded-Uri: /evil",
    ]
    status, body, fields = curl(
        server,
        "/a/../b?c=d",
        "--path-as-is",
        "--cookie",
        "session=ada",
        "--data-binary",
        f"@{tmp_path / 'body'}",
        *forged,
    )
    assert (status, body) == (200, "ada 300000") and "x-secret" not in fields
    asked = gate.asked[-1]
    assert asked["target"] == "/auth?from=enfilade" and asked["cookie"] == "session=ada"
    assert (asked["x-forwarded-method"], asked["x-forwarded-uri"]) == ("POST", "/b?c=d")
    assert asked["x-forwarded-host"] == server.url().removeprefix("http://") and asked["x-forwarded-proto"] == "http"
    assert asked["x-forwarded-for"] == "127.0.0.1" and asked["host"] == f"127.0.0.1:{gate.server.server_port}"
    assert not {"content-length", "transfer-encoding", "remote-user", "expect"} & set(asked)


def test_others_get_the_answer_of_who_was_asked(server: Server) -> None:
    status, _, fields = curl(server, "/page?x=1", "-H", "Accept: text/html")
    back = quote(f"{server.url()}/page?x=1", safe="")
    assert (status, fields["location"], fields["set-cookie"]) == (302, [f"/gate/login?rd={back}"], ["csrf=1"])
    status, body, fields = curl(server, "/api")
    assert (status, body, fields["www-authenticate"]) == (401, "who are you?", ['Bearer realm="gate"'])
    assert curl(server, "/none/at/all", "-I")[0] == 401
    assert curl(server, "/gate/x")[0] == 401, "which is the authority's own answer"


def test_new_cookies_reach_the_client(server: Server) -> None:
    assert curl(server, "/", "--cookie", "session=new")[2]["set-cookie"] == ["session=newer"]


def test_what_is_cached_is_for_one_client(server: Server) -> None:
    for name in ("ada", "eve", "ada"):
        assert curl(server, "/cached", "--cookie", f"session={name}")[1] == f"{name} 0"


def test_nobody_comes_in_where_nobody_can_be_asked(server: Server) -> None:
    before = rejects(server)
    assert curl(server, "/gone")[0] == 502
    assert curl(server, "/", "--cookie", "session=slow")[0] == 504
    after = rejects(server)
    assert all(after[why] == before.get(why, 0) + 1 for why in ("connect_failed", "answer_timeout"))


def test_a_client_that_leaves_is_no_error(server: Server, gate: Gate) -> None:
    count = len(gate.asked)
    command = ["curl", "-s", "-m", "0.3", "--cookie", "session=slow", server.url() + "/left"]
    assert subprocess.run(command).returncode == 28
    eventually(lambda: len(gate.asked) > count, "the question")
    server.wait_for(r'"GET /left HTTP/1.1" 499')
    assert curl(server, "/", "--cookie", "session=ada")[0] == 200


def test_websockets(server: Server) -> None:
    url = server.url().replace("http", "ws") + "/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code == 401
    with connect(url, additional_headers={"Cookie": "session=eve"}) as socket:
        assert '"remote-user": "eve"' in str(socket.recv())
