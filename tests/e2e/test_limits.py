"""Rate limits over real sockets: several workers, both protocols, proxies in front, reloads."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually, rejects
from tests.e2e.processes import get, metrics, status, until, write
from tests.passwords import cheap_line

WORKERS = 3
CONFIG = """
[server]
http = "127.0.0.1:0"
https = "localhost:0"
admin = "127.0.0.1:0"
workers = 3
trusted_proxies = ["127.0.0.1"]
[sites."*"]
tls = "internal"
headers = {{ X-Frame-Options = "DENY" }}
limit = "1000/s"
"/*" = {{ respond = "x" }}
"/daily" = {{ respond = "x", limit = "20/d" }}
"/key" = {{ respond = "x", limit = {{ rate = "1/d", by = "header X-Key" }} }}
"/client" = {{ respond = "x", limit = "1/d" }}
"/two" = {{ respond = "x", limit = "2/d" }}
"/kept" = {{ respond = "{version}", limit = "3/d" }}
"/shadow" = {{ respond = "x", limit = {{ rate = "1/d", shadow = true }} }}
"/free" = {{ respond = "x", limit = [] }}
[sites."small.example"]
limit = "2/d"
"/" = {{ respond = "x" }}
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Iterator[Server]:
    server = start_once(CONFIG.format(version=1))
    server.url("https")
    yield server
    assert "Traceback" not in server.output


def statuses(server: Server, path: str, count: int) -> Counter[int]:
    """Of requests that come at once, each on a connection of its own, so that all workers get some."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: get(server, path)[0], range(count)))


def test_workers_count_together(server: Server) -> None:
    found = statuses(server, "/daily", 60)
    assert set(found) == {200, 429}
    assert 20 <= found[200] < 20 + WORKERS
    eventually(lambda: rejects(server).get("rate_limited", 0) >= found[429])
    counted = metrics(server)['enfilade_rate_limited_total{site="*",route="/daily",shadow="false"}']
    assert counted == found[429]


def test_curl_is_told(server: Server) -> None:
    def curl() -> str:
        return subprocess.run(
            ["curl", "-sSki", "--http2", server.url("https") + "/two"], capture_output=True, text=True, check=True
        ).stdout.lower()

    first, _, third = curl(), curl(), curl()
    assert first.startswith("http/2 200")
    assert 'ratelimit-policy: "2/d";q=2;w=86400' in first
    assert 'ratelimit: "2/d";r=1;t=43200' in first
    assert "retry-after" not in first
    assert third.startswith("http/2 429")
    assert "retry-after: 43" in third
    assert "x-frame-options: deny" in third
    assert "too many requests" in third


def test_a_key_of_its_own(server: Server, client: httpx.Client) -> None:
    assert [client.get("/key", headers={"x-key": key}).status_code for key in "aab"] == [200, 429, 200]


def test_behind_a_trusted_proxy_its_clients_are_counted(server: Server, client: httpx.Client) -> None:
    def ask(address: str) -> int:
        return client.get("/client", headers={"x-forwarded-for": address}).status_code

    assert [ask(ip) for ip in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [200, 429, 200]
    assert [ask(ip) for ip in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [200, 429, 200]


def test_what_is_not_found_and_other_methods_count(server: Server, client: httpx.Client) -> None:
    def ask(method: str, path: str) -> int:
        return client.request(method, path, headers={"host": "small.example"}).status_code

    assert [ask("HEAD", "/"), ask("GET", "/none"), ask("OPTIONS", "/"), ask("GET", "/")] == [200, 404, 429, 429]


def test_a_shadow(server: Server) -> None:
    assert statuses(server, "/shadow", 5) == {200: 5}
    eventually(lambda: metrics(server)['enfilade_rate_limited_total{site="*",route="/shadow",shadow="true"}'] >= 2)
    server.wait_for("1/d would refuse GET /shadow of 127.0.0.1")


def test_no_limit(server: Server, client: httpx.Client) -> None:
    assert "ratelimit" in client.get("/").headers
    assert "ratelimit" not in client.get("/free").headers


def test_users_are_counted_by_their_names(start: Start) -> None:
    limits = '["5/d", { rate = "2/d", by = "user" }]'
    text = CONFIG.format(version=1).replace(
        'limit = "3/d"', f'limit = {limits}, auth = {{ basic = {{ file = "users" }} }}'
    )
    server = start(text, files={"users": cheap_line("ada", "one") + "\n" + cheap_line("bob", "two")})

    def ask(user: str) -> int:
        with httpx.Client(base_url=server.url(), auth=tuple(user.split(":"))) as client:  # type: ignore[arg-type]
            return client.get("/kept").status_code

    assert [ask(user) for user in ("ada:one", "ada:wrong", "ada:one", "bob:two")] == [200, 401, 200, 200]
    assert ask("ada:one") == 429
    assert ask("bob:wrong") == 429, "whoever guesses is counted by address"


def test_a_reload_keeps_what_was_counted_and_refuses_what_it_cannot_read(start: Start) -> None:
    server = start(CONFIG.format(version=1))
    assert [get(server, "/kept")[0] for _ in range(3)] == [200] * 3
    write(server, CONFIG.format(version=2))
    server.signal(signal.SIGHUP)
    until(lambda: status(server)["generation"] == 2)
    assert get(server, "/kept")[0] == 429
    write(server, CONFIG.format(version=2).replace('limit = "3/d"', 'limit = "3/day"'))
    server.signal(signal.SIGHUP)
    server.wait_for(r'limit: "3/day" is not a rate')
    until(lambda: status(server)["reloads_refused"] == 1)
    assert get(server, "/kept")[0] == 429


def test_a_limit_that_cannot_be_read_refuses_the_start(start: Start) -> None:
    server = start(CONFIG.format(version=1).replace('limit = "3/d"', 'limit = "many"'), wait=False)
    server.wait_for(r'enfilade.toml:17:\d+: .*limit: "many" is not a rate')
    assert server.process.wait(PATIENCE) != 0
