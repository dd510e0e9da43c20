"""What operators see of upstreams and applications, while servers go down and processes are killed."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.peers import Process, uvicorn
from tests.e2e.processes import APP, command, get, metrics, status, until, write
from tests.ports import free_port

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "{admin}"
workers = 2
drain_timeout = 5

[sites."*"]
"/api/*" = {{ proxy = {{ to = "api", strip = true }} }}
"/limited/*" = {{ proxy = {{ to = "limited", strip = true }} }}
"/*" = {{ app = "shop" }}

[upstreams.api]
peers = ["{one}", "{other}"]
slow_start = 0
eject = {{ failures = 2, time = "60s" }}
[upstreams.limited]
peers = [{{ url = "{one}", limit = 1 }}]

[apps.shop]
target = "shop:app"
workers = 2
"""
FOUND = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[sites."*"]
"/*" = { proxy = "found" }
[upstreams.found.discover]
file = "found.peers"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="module")
def peer(folder: Path) -> Iterator[Process]:
    started = uvicorn(folder)
    yield started
    started.stop()


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def server(start_once: Start, peer: Process) -> Server:
    """Of the upstream "api", `peer` answers and the other one is not there."""
    config = CONFIG.format(one=url(peer.port), other=url(free_port()), admin=f"127.0.0.1:{free_port()}")
    return start_once(config, files={"shop.py": APP})


def upstream(server: Server, name: str) -> dict[str, dict[str, Any]]:
    """Its peers by name."""
    (found,) = (u for u in status(server)["upstreams"] if u["upstream"] == name)
    return {peer["peer"]: peer for peer in found["peers"]}


def app(server: Server) -> dict[str, Any]:
    (found,) = status(server)["apps"]
    return dict(found)


def serving(server: Server) -> set[int]:
    return {worker["pid"] for worker in app(server)["workers"] if worker["state"] == "serving"}


def of_peers(server: Server, name: str, figure: str) -> dict[str, float]:
    """One figure of all peers of an upstream."""
    pattern = re.compile(rf'enfilade_upstream_peer_{figure}\{{upstream="{name}",peer="(.*)"\}}')
    return {found[1]: value for sample, value in metrics(server).items() if (found := pattern.fullmatch(sample))}


def test_a_peer_that_is_down(server: Server, peer: Process) -> None:
    """Clients feel nothing; the metrics say who it is, from whichever worker they come."""
    one, other = url(peer.port), next(name for name in upstream(server, "api") if name != url(peer.port))
    asked = of_peers(server, "api", "requests_total")[one]

    def is_out() -> bool:
        nonlocal asked
        asked += 1
        assert get(server, "/api/pid")[0] == 200
        return of_peers(server, "api", "up")[other] == 0

    until(is_out)
    assert of_peers(server, "api", "up") == {one: 1, other: 0}
    assert upstream(server, "api")[other]["state"] in ("ejected", "ejected by another worker")

    def is_complete() -> bool:
        """Failures and retries are written down once a second."""
        failures = of_peers(server, "api", "failures_total")
        retries = metrics(server)['enfilade_upstream_retries_total{upstream="api"}']
        requests = of_peers(server, "api", "requests_total")
        return requests == {one: asked, other: failures[other]} and retries == failures[other] >= 2

    until(is_complete)
    assert of_peers(server, "api", "failures_total")[one] == 0
    assert of_peers(server, "api", "requests_in_flight") == {one: 0, other: 0}
    text = command(server, "status").stdout
    assert re.search(rf"^  {re.escape(other)} +ejected", text, re.MULTILINE), text


def test_what_is_in_flight_and_what_waits(server: Server, peer: Process) -> None:
    socks = [server.connect() for _ in range(2)]
    for sock in socks:
        sock.sendall(b"GET /limited/endless HTTP/1.1\r\nhost: a\r\n\r\n")

    def seen() -> tuple[float, float]:
        return (
            of_peers(server, "limited", "requests_in_flight")[url(peer.port)],
            metrics(server)['enfilade_upstream_queue_length{upstream="limited"}'],
        )

    # Workers hear of each other's requests, so the limit of one holds for both; perhaps not in the first second.
    until(lambda: sum(seen()) == 2)
    for sock in socks:
        sock.close()
    until(lambda: seen() == (0, 0))


def test_peers_that_come_and_go(start: Start, peer: Process) -> None:
    """Who has gone is not shown any more, who comes begins at nothing, who stays goes on."""
    server = start(FOUND, files={"found.peers": url(peer.port)})
    for _ in range(5):
        assert get(server, "/pid")[0] == 200
    stays = {url(peer.port): 5.0}
    come = {url(free_port()): 0.0 for _ in range(3)}
    for peers in (stays, {**stays, **come}, come, {**come, url(free_port()): 0.0}):
        new = server.directory / "found.new"
        new.write_text("\n".join(peers) + "\n")
        new.replace(server.directory / "found.peers")
        until(lambda peers=peers: of_peers(server, "found", "requests_total") == peers)  # type: ignore[misc]
        until(lambda peers=peers: list(upstream(server, "found")) == list(peers))  # type: ignore[misc]


def test_a_worker_of_an_application_that_is_killed(server: Server) -> None:
    until(lambda: len(serving(server)) == 2)
    died = app(server)["restarts"]["died"]
    busy = server.connect()
    busy.sendall(b"GET /slow?60 HTTP/1.1\r\nhost: a\r\n\r\n")
    until(lambda: metrics(server)['enfilade_app_requests_in_flight{app="shop"}'] == 1)
    (pid,) = (worker["pid"] for worker in app(server)["workers"] if worker["in_flight"])
    os.kill(pid, signal.SIGKILL)
    until(lambda: len(serving(server) - {pid}) == 2)
    busy.close()
    now = until(lambda: (now := metrics(server))['enfilade_app_requests_in_flight{app="shop"}'] == 0 and now)
    workers = {state: now[f'enfilade_app_workers{{app="shop",state="{state}"}}'] for state in ("starting", "serving")}
    assert workers == {"starting": 0, "serving": 2}
    assert now['enfilade_app_worker_restarts_total{app="shop",cause="died"}'] == died + 1
    assert now['enfilade_app_requests_total{app="shop"}'] >= 1
    until(lambda: metrics(server)['enfilade_app_resident_memory_bytes{app="shop"}'] > 1 << 20)
    assert "restart in" in server.wait_for(rf"the application shop: worker {pid} .*killed by signal 9.*")
    assert re.search(r"^application shop: 0 in flight, 0 queued, .*restarts: [1-9] died, 0 recycled, 0 reload$",
                     command(server, "status").stdout, re.MULTILINE)  # fmt: skip


def test_a_reload_is_told_from_a_death_and_takes_away_what_is_no_more(start: Start) -> None:
    config = CONFIG.format(one=url(free_port()), other=url(free_port()), admin=f"127.0.0.1:{free_port()}")
    server = start(config, files={"shop.py": APP})
    assert command(server, "reload").returncode == 0
    until(lambda: app(server)["restarts"] == {"died": 0, "recycled": 0, "reload": 2})
    write(server, re.sub(r"\[apps.*", "", config, flags=re.DOTALL).replace('app = "shop"', "respond = 204"))
    assert command(server, "reload").returncode == 0
    until(lambda: not any('app="shop"' in name for name in metrics(server)))
    assert any('upstream="api"' in name for name in metrics(server))
