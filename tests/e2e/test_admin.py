"""The admin listener: who is heard, what it answers, and that it counts nothing of its own."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.processes import APP, ask, get, metrics, status, until

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[server.limits]
head_timeout = 1
[sites."*"]
tls = "internal"
log = { to = "access.log" }
"/*" = { app = "main" }
"/gone/{name}" = { respond = 410 }
"/limited" = { app = "main", body_limit = 10 }
[sites."b.example"]
"GET /" = { respond = "twelve bytes" }
[apps.main]
target = "hello:app"
workers = 1
"""
JSON = {"content_type": "application/json"}


@pytest.fixture(scope="module")
def server(start_once: Start) -> Iterator[Server]:
    return start_once(CONFIG, files={"hello.py": APP})


def test_off_unless_named(start: Start) -> None:
    server = start(CONFIG.replace('admin = "127.0.0.1:0"\n', ""), files={"hello.py": APP})
    get(server)
    assert "admin on" not in server.output


@pytest.mark.parametrize(
    ("method", "path", "fields", "answer"),
    [
        ("GET", "/status", {}, 200),
        ("HEAD", "/metrics", {}, 200),
        ("GET", "/metrics", {"host": "evil.example"}, 403),  # a name that was made to point here (DNS rebinding)
        ("GET", "/status", {"host": "localhost:1"}, 200),
        ("GET", "/status", {"origin": "http://evil.example"}, 403),
        ("POST", "/reload", {}, 403),  # no JSON: a form of any page could do it
        ("POST", "/reload", {"content_type": "text/plain"}, 403),
        ("POST", "/reload", {**JSON, "origin": "null"}, 403),
        ("GET", "/reload", {}, 405),
        ("POST", "/metrics", JSON, 405),
        ("POST", "/purge", JSON, 409),  # nothing is cached here
        ("POST", "/purge", {}, 403),
        ("GET", "/purge", {}, 405),
        ("GET", "/cache", {}, 400),
        ("POST", "/cache", JSON, 405),
        ("GET", "/nothing", {}, 404),
    ],
)
def test_who_is_heard(server: Server, method: str, path: str, fields: dict[str, str], answer: int) -> None:
    assert ask(server, method, path, **fields).status == answer
    assert status(server)["generation"] == 1


def test_the_token_is_asked_for_whatever_else_is_right(start: Start) -> None:
    text = CONFIG.replace('admin = "127.0.0.1:0"', 'admin = "127.0.0.1:0"\nadmin_token = "s3cret"')
    server = start(text, files={"hello.py": APP})
    assert ask(server, "GET", "/status").status == 403
    assert ask(server, "GET", "/status", authorization="Bearer s3cre").status == 403
    assert ask(server, "GET", "/status", authorization="Bearer s3cret").status == 200
    assert ask(server, "POST", "/stop", authorization="Bearer s3cret", **JSON).status == 202
    assert server.process.wait(20) == 0


def test_stop_by_the_admin_listener(start: Start) -> None:
    server = start(CONFIG, files={"hello.py": APP})
    answer = ask(server, "POST", "/stop", **JSON)
    assert (answer.status, json.loads(answer.body)) == (202, {"stopping": True})  # type: ignore[attr-defined]
    assert server.process.wait(20) == 0


def totals(found: dict[str, float], site: str) -> dict[str, float]:
    """The requests of a site, by route and status."""
    pattern = re.compile(rf'enfilade_requests_total\{{site="{re.escape(site)}",route="(.*)",status="(\w+)"\}}')
    return {f"{m[1]} {m[2]}": value for name, value in found.items() if (m := pattern.fullmatch(name))}


def grown(before: dict[str, float], after: dict[str, float], site: str) -> dict[str, float]:
    old = totals(before, site)
    return {name: value - old.get(name, 0) for name, value in totals(after, site).items() if value != old.get(name)}


def test_every_request_is_counted_where_it_belongs(server: Server) -> None:
    before = metrics(server)
    for path in ("/x", "/y", "/gone/a", "/gone/b", "/gone/c"):
        get(server, path)
    server.raw(b"GET / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
    server.raw(b"GET /none HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
    server.raw(b"DELETE / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
    server.raw(b"POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nConnection: close\r\n\r\n12345678901")
    server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    with server.connect("https", alpn=["h2"]) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        # The client's end of the handshake is complete before the server's.
        until(lambda: metrics(server)['enfilade_connections_open{protocol="http2"}'] == 1)
    found = until(lambda: (now := metrics(server))['enfilade_connections_open{protocol="http2"}'] == 0 and now)
    assert grown(before, found, "*") == {"/* 200": 2, "/gone/{name} 410": 3, "/limited 413": 1}
    assert grown(before, found, "b.example") == {"GET / 200": 1, " 405": 1, " 404": 1}
    assert grown(before, found, "") == {" 400": 1}
    for name, growth in {
        'enfilade_rejects_total{reason="bad_host",source="client"}': 1,
        'enfilade_rejects_total{reason="body_too_large",source="client"}': 1,
        'enfilade_response_body_bytes_total{site="b.example",route="GET /"}': 12,
    }.items():
        assert found[name] - before.get(name, 0) == growth, name
    assert (
        found['enfilade_connections_opened_total{protocol="http1"}']
        > before['enfilade_connections_opened_total{protocol="http1"}']
    )
    log = until(lambda: len((text := (server.directory / "access.log").read_text()).splitlines()) >= 7 and text)
    assert "/metrics" not in log and "/status" not in log


def test_strangers_make_no_new_series(server: Server) -> None:
    before = set(metrics(server))
    for i in range(50):
        server.raw(b"M%d /%d HTTP/1.1\r\nHost: h%d\r\nConnection: close\r\n\r\n" % (i, i, i))
    new = set(metrics(server)) - before
    assert all(re.fullmatch(r"enfilade_(requests|rejects)_total\{.*\}", name) for name in new)
    assert len(new) <= 5, new


def test_the_text_is_what_prometheus_reads(server: Server) -> None:
    """Text format 0.0.4: HELP and TYPE once before the samples of a family; buckets that only grow, and end at the count."""
    answer = ask(server, "GET", "/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    family, types = "", {}
    for line in answer.body.decode().splitlines():  # type: ignore[attr-defined]
        if line.startswith("# TYPE "):
            family = line.split()[2]
            assert family not in types, "its samples stand together"
            types[family] = line.split()[3]
        elif not line.startswith("#"):
            assert re.fullmatch(rf'{family}(_bucket|_sum|_count)?(\{{\w+="[^"]*"(,\w+="[^"]*")*\}})? [0-9.]+', line), (
                line
            )
    assert set(types.values()) == {"counter", "gauge", "histogram"}
    found = metrics(server)
    buckets = [
        v
        for name, v in found.items()
        if name.startswith('enfilade_request_duration_seconds_bucket{site="*",route="/*"')
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found['enfilade_request_duration_seconds_count{site="*",route="/*"}']


def test_bytes_are_those_of_the_sockets(server: Server) -> None:
    """What a connection took and gave shows once it is closed, on every worker."""
    before = metrics(server)
    request = b"GET / HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n"
    sent = sum(len(server.raw(request)) for _ in range(5))

    sent_before, received_before = (before[f"enfilade_{way}_bytes_total"] for way in ("sent", "received"))
    until(lambda: metrics(server)["enfilade_sent_bytes_total"] >= sent_before + sent)
    assert metrics(server)["enfilade_received_bytes_total"] >= received_before + 5 * len(request)


def test_a_slow_head_is_counted_as_a_reject(server: Server) -> None:
    with socket.create_connection(server.address()) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        sock.settimeout(10)
        assert b" 408 " in sock.recv(4096)
    until(lambda: metrics(server).get('enfilade_rejects_total{reason="head_timeout",source="client"}') == 1)
