"""Bearer tokens on real sockets: curl brings them, a server over TLS has the keys, and changes them."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import Key
from tests.assemble.kit import write_pem
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually, rejects
from tests.identity.kit import EC, OTHER_RSA, RSA, jwk, jwks, sign
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

APP = """
async def app(scope, receive, send):
    told = dict(scope["headers"]).get(b"x-user", b"nobody")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": told.decode()})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})
"""
JWT = (
    'issuer = "https://id", audience = "api", jwks = "https://localhost:{port}/keys", authority = "id.pem", '
    'allow = ["127.0.0.1", "::1"], forward = {{ sub = "X-User" }}'
)
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 1
[sites."*"]
auth = {{ jwt = {{ JWT }} }}
"/*" = {{ app = "app" }}
"/cached" = {{ app = "app", cache = "1h", auth = {{ jwt = {{ JWT, token = "header X-Token" }} }} }}
"/admin" = {{ respond = "admin", auth = {{ jwt = {{ JWT, claims = {{ role = ["admin"] }} }} }} }}
"/private" = {{ respond = "never", auth = {{ jwt = {{ issuer = [], audience = [], jwks = "https://localhost:{port}/keys" }} }} }}
"/counted" = {{ respond = "counted", limit = {{ rate = "1/d", by = "user" }} }}
"/open" = {{ respond = "open", auth = false }}
[apps.app]
target = "app:app"
""".replace("JWT", JWT)


class Issuer:
    """Has `keys` at /keys; `asked`: how often."""

    def __init__(self, folder: Path) -> None:
        self.keys = jwks(jwk(RSA, kid="a"))
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(issuer.keys)))
                self.end_headers()
                self.wfile.write(issuer.keys)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "id.pem", folder / "id.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def serving(start: Start, folder: Path) -> Iterator[tuple[Server, Issuer]]:
    """A server that runs in `folder`, and whose tokens it believes."""
    write_pem(folder, "id", "localhost")
    issuer = Issuer(folder)
    try:
        yield start(CONFIG.format(port=issuer.server.server_port), files={"app.py": APP}), issuer
    finally:
        issuer.server.shutdown()
        issuer.server.server_close()


@pytest.fixture(scope="module")
def server(start_once: Start, directory_once: Path) -> Iterator[Server]:
    with serving(start_once, directory_once) as (server, _):
        yield server


def token(key: Key = RSA, alg: str = "RS256", kid: str = "a", **claims: Any) -> str:
    said = {"iss": "https://id", "aud": "api", "sub": "ada", "exp": time.time() + 86400, **claims}
    return sign(said, key, alg, kid=kid).decode()


def curl(server: Server, path: str, *options: str) -> tuple[int, str, dict[str, list[str]]]:
    """Status, body and fields of what curl gets."""
    write = "\x1e%{http_code}\x1e%{header_json}"
    command = ["curl", "-s", "-m", "20", "-w", write, *options, server.url() + path]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    body, status, fields = said.split("\x1e")
    return int(status), body, json.loads(fields)


def bearing(said: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {said}"


def test_keys_come_from_a_server(start: Start, tmp_path: Path) -> None:
    """With `allow` and `authority`, as the server is on this machine; without, nobody on a private network is asked."""
    with serving(start, tmp_path) as (server, issuer):
        status, _, fields = curl(server, "/private", *bearing(token()))
        assert (status, fields["retry-after"], issuer.asked) == (503, ["5"], 0), "while there are none, nobody comes in"
        server.wait_for("is not a public address; if it is the right one, it must be allowed; there are no keys")
        assert curl(server, "/", *bearing(token()))[:2] == (200, "ada")
        assert curl(server, "/", *bearing(token(sub="eve")))[:2] == (200, "eve")
        assert issuer.asked == 1
        issuer.keys = jwks(jwk(EC, kid="b"))
        refused = curl(server, "/", *bearing(token(EC, "ES256", "b")))
        assert refused[0] == 401, "they were fetched less than a minute ago"
        assert issuer.asked == 1 and curl(server, "/open")[:2] == (200, "open")


def test_who_does_not_come_in_is_told_why(server: Server) -> None:
    before = rejects(server)
    status, _, fields = curl(server, "/", "-H", "X-User: root", "-H", "Accept: text/plain")
    assert (status, fields["www-authenticate"]) == (401, ["Bearer"])
    for bad in (token(OTHER_RSA), token(exp=time.time() - 60), token(aud="other"), token()[:-3], "x" * 9000, "a.b.c"):
        status, _, fields = curl(server, "/", *bearing(bad))
        assert status == 401 and 'error="invalid_token"' in fields["www-authenticate"][0]
    status, _, fields = curl(server, "/admin", *bearing(token()))
    assert status == 403 and 'error="insufficient_scope"' in fields["www-authenticate"][0]
    assert curl(server, "/admin", *bearing(token(role=["admin"])))[:2] == (200, "admin")
    after, why = rejects(server), ("token_wanted", "token_refused", "token_insufficient")
    assert [after[reason] - before.get(reason, 0) for reason in why] == [1, 6, 1]


def test_what_is_cached_is_for_one_client(server: Server) -> None:
    """FAILURES 27: whatever lets somebody in is as much a credential as Authorization."""
    for user in ("ada", "eve"):
        for _ in range(2):
            status, body, fields = curl(server, "/cached", "-H", f"X-Token: {token(sub=user)}")
            assert (status, body) == (200, user) and "hit" not in fields["cache-status"][0]
    assert curl(server, "/cached")[0] == 401


def test_who_is_named_by_no_token_is_counted_by_address(server: Server) -> None:
    """FAILURES 30: together they could use up each other's limit."""

    def ask(address: str, **claims: str | None) -> int:
        return curl(server, "/counted", "--interface", address, *bearing(token(**claims)))[0]

    assert [ask(f"127.0.0.{i}", sub=None) for i in (1, 1, 2)] == [200, 429, 200]
    assert [ask(f"127.0.0.{i}") for i in (1, 2)] == [200, 429], "ada is one, wherever she is"


def test_websockets(server: Server) -> None:
    url = server.url().replace("http", "ws") + "/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code == 401
    with connect(url, additional_headers={"Authorization": f"Bearer {token()}"}) as socket:
        assert socket.recv() == "ada"


def test_keys_in_a_file_are_watched_and_bad_ones_refuse_a_reload(start: Start, tmp_path: Path) -> None:
    """FAILURES 31: what cannot be read changes nothing."""
    config = (
        '[server]\nhttp = "127.0.0.1:0"\nworkers = 1\n[sites."*"]\n"/" = { respond = "in" }\n'
        'auth = { jwt = { issuer = "https://id", audience = "api", file = "keys.json" } }\n'
    )
    server = start(config, files={"keys.json": jwks(jwk(RSA, kid="a")).decode()})
    folder = server.directory

    def say(keys: bytes) -> None:
        (folder / "new").write_bytes(keys)
        (folder / "new").rename(folder / "keys.json")

    assert curl(server, "/", *bearing(token()))[0] == 200
    say(jwks(jwk(EC, kid="b")))
    eventually(lambda: curl(server, "/", *bearing(token(EC, "ES256", "b")))[0] == 200, "the new key")
    assert curl(server, "/", *bearing(token()))[0] == 401, "the old one was taken back"
    say(b"nonsense")
    server.wait_for("keys.json stays as it was: it is not JSON")
    server.signal(signal.SIGHUP)
    server.wait_for(r"auth\.jwt\.file: it is not JSON")
    assert curl(server, "/", *bearing(token(EC, "ES256", "b")))[0] == 200
