"""Bans in the kernel, from end to end: real servers and clients in a network of their own, with a ruleset of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.processes import command
from tests.e2e.test_bans import metric
from tests.e2e.test_streams import HERE

DENIED, FRIEND = "127.0.0.9", "127.0.0.8"
DENIED6, NEIGHBOUR6, FRIEND6, HERE6 = "2001:db8:7::9", "2001:db8:7::a", "2001:db8:8::9", "2001:db8::1"
REFUSED = "7"
"""curl's exit code for a connection that is not even accepted."""
CONFIG = f"""
[server]
http = ["{HERE}:8080", "[{HERE6}]:8080"]
admin = "unix:admin.sock"
workers = 2
[bans]
limit = 2
never = ["127.0.0.1", "10.0.0.0/8"]
nftables = true
MORE
[sites."*"]
log = {{ to = "access.log" }}
"/" = {{ respond = "hello" }}
"""
HANDED = "bans are handed to nftables, table inet (enfilade_tcp_127_0_0_1_8080)"
_NUMBERS = count()


class Network:
    """One that has nothing but its own addresses. `under`: what a command is run by, to be in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.under = (_program("ip", "iproute2"), "netns", "exec", name)
        self._nft = _program("nft", "nftables")

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self.under, *arguments], capture_output=True, text=True, timeout=40, check=False)
        return done.stdout if done.returncode == 0 else f"{done.returncode}"

    def curl(self, client: str, path: str = "", host: str = HERE, *options: str) -> str:
        """What it gets from there, or its exit code."""
        url = f"http://{f'[{host}]' if ':' in host else host}:8080/{path}"
        return self.run("curl", "-s", "-g", "-m", "20", "--interface", client, *options, url)

    def nft(self, *arguments: str) -> str:
        return self.run(self._nft, *arguments)

    @property
    def banned(self) -> set[str]:
        """Who stands in the sets."""
        found: list[dict[str, Any]] = json.loads(self.nft("-j", "list", "ruleset"))["nftables"]
        return {one["elem"]["val"] for part in found for one in part.get("set", {}).get("elem", [])}

    @property
    def refused(self) -> int:
        """How many packets were."""
        return sum(map(int, re.findall(r"counter packets (\d+)", self.nft("list", "ruleset"))))


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found is not None, f"missing: {name}. On Debian: apt-get install {package}"
    return found


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("only root may make a network, and rules for it")
    made = Network(f"enfilade-{os.getpid()}-{next(_NUMBERS)}")
    ip = made.under[0]
    subprocess.run([ip, "netns", "add", made.name], check=True)
    try:
        made.run(ip, "link", "set", "lo", "up")
        for address in (HERE6, DENIED6, NEIGHBOUR6, FRIEND6):
            made.run(ip, "addr", "add", f"{address}/128", "dev", "lo")
        yield made
    finally:
        subprocess.run([ip, "netns", "del", made.name], check=True)


def launch(start: Start, network: Network, more: str = "", **options: Any) -> Server:
    return start(CONFIG.replace("MORE", more), under=network.under, **options)


def test_whoever_is_banned_meets_the_kernel_until_they_are_let_in_again(start: Start, network: Network) -> None:
    server = launch(start, network)
    server.wait_for(rf"enfilade\.bans\[{server.process.pid}\]: {HANDED}")
    assert network.curl(DENIED) == "hello"
    for _ in range(3):
        network.curl(DENIED, "none")
    eventually(lambda: network.banned == {DENIED})
    turned_away = metric(server, 'enfilade_rejects_total{reason="banned",source="client"}')
    assert [network.curl(DENIED) for _ in range(5)] == [REFUSED] * 5
    assert network.refused == 5
    assert metric(server, 'enfilade_rejects_total{reason="banned",source="client"}') == turned_away, (
        "nobody hears of them"
    )
    assert metric(server, "enfilade_bans_in_nftables") == 1
    assert network.curl(FRIEND) == "hello"
    command(server, "bans", "lift", DENIED)
    eventually(lambda: network.banned == set())
    assert network.curl(DENIED) == "hello" and metric(server, "enfilade_bans_in_nftables") == 0


def test_of_ipv6_the_subscriber_is_refused(start: Start, network: Network) -> None:
    server = launch(start, network)
    assert network.curl(DENIED6, host=HERE6) == "hello"
    command(server, "bans", "add", DENIED6, "--for", "1h")
    eventually(lambda: network.banned == {"2001:db8:7::"})
    assert [network.curl(client, host=HERE6) for client in (DENIED6, NEIGHBOUR6, FRIEND6)] == [
        REFUSED,
        REFUSED,
        "hello",
    ]
    assert network.refused == 2


def test_whatever_else_listens_is_not_touched(start: Start, network: Network) -> None:
    """Another port, and the same port of another address."""
    server = launch(start, network)
    command(server, "bans", "add", DENIED)
    eventually(lambda: network.banned == {DENIED})
    serve = "import http.server as h; h.HTTPServer(('{0}', {1}), h.SimpleHTTPRequestHandler).serve_forever()"
    for host, port in ((HERE, 8081), ("127.0.0.2", 8080)):
        other = subprocess.Popen(
            [*network.under, sys.executable, "-c", serve.format(host, port)],
            cwd=server.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            curl = ("curl", "-s", "-m", "20", "--retry", "50", "--retry-connrefused", "--retry-delay", "1")
            assert "enfilade.toml" in network.run(*curl, "--interface", DENIED, f"http://{host}:{port}/")
        finally:
            other.kill()
            other.wait()
    assert network.refused == 0


def test_who_is_never_banned_is_not_refused_by_the_kernel(start: Start, network: Network) -> None:
    server = launch(start, network)
    server.wait_for(HANDED)
    command(server, "bans", "add", HERE)
    eventually(lambda: network.banned == {HERE})
    assert network.curl(HERE) != "hello", "by hand they are, by the workers"
    assert network.refused == 0


def test_a_datagram_is_dropped(start: Start, network: Network) -> None:
    udp = f'[streams.dns]\nlisten = "udp://{HERE}:5353"\nto = "udp://{HERE}:5354"\n'
    server = launch(start, network, udp)
    command(server, "bans", "add", DENIED)
    eventually(lambda: network.banned == {DENIED})
    send = f"import socket as s; u = s.socket(type=s.SOCK_DGRAM); u.bind(('{DENIED}', 0)); u.sendto(b'x', ('{HERE}', 5353))"
    network.run(sys.executable, "-c", send)
    assert network.refused == 1
    assert metric(server, 'enfilade_stream_connections_total{stream="dns"}') == 0


def test_they_outlive_a_reload_and_go_with_the_server(start: Start, network: Network) -> None:
    network.nft("add", "table", "inet", "mine")
    server = launch(start, network)
    command(server, "bans", "add", DENIED, "--for", "1h")
    eventually(lambda: network.banned == {DENIED})
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded: generation 2")
    assert network.banned == {DENIED} and network.curl(DENIED) == REFUSED
    (server.directory / "enfilade.toml").write_text(CONFIG.replace("MORE", "").replace("nftables = true", ""))
    server.signal(signal.SIGHUP)
    eventually(lambda: network.nft("list", "tables") == "table inet mine\n")
    (server.directory / "enfilade.toml").write_text(CONFIG.replace("MORE", ""))
    server.signal(signal.SIGHUP)
    eventually(lambda: network.banned == {DENIED})
    assert server.stop() == 0
    assert network.nft("list", "tables") == "table inet mine\n"


def test_what_a_crash_leaves_ends_by_itself_and_a_start_takes_its_place(start: Start, network: Network) -> None:
    server = launch(start, network)
    server.wait_for(HANDED)
    command(server, "bans", "add", DENIED, "--for", "1h")
    eventually(lambda: network.banned == {DENIED})
    workers = re.findall(r"\d+", network.run("cat", f"/proc/{server.process.pid}/task/{server.process.pid}/children"))
    server.signal(signal.SIGKILL)
    for worker in workers:
        os.kill(int(worker), signal.SIGKILL)
    server.process.wait(20)
    assert re.search(rf"{DENIED} timeout 1h\S* expires", network.nft("list", "ruleset"))
    (server.directory / "admin.sock").unlink(missing_ok=True)
    again = launch(start, network)
    again.wait_for(HANDED)
    assert network.banned == set() and network.curl(DENIED) == "hello"


def test_a_ruleset_that_was_flushed_is_made_again_and_workers_refuse_meanwhile(start: Start, network: Network) -> None:
    server = launch(start, network)
    server.wait_for(HANDED)
    network.nft("flush", "ruleset")
    command(server, "bans", "add", DENIED)
    server.wait_for("bans are not handed to nftables: nft ended with exit code 1: .*No such file")
    assert network.curl(DENIED) != "hello"
    eventually(lambda: network.banned == {DENIED})
    assert metric(server, "enfilade_nftables_failures_total") == 1


def test_a_dry_run_touches_no_rules(start: Start, network: Network) -> None:
    server = launch(start, network, "dry_run = true")
    for _ in range(3):
        network.curl(DENIED, "none")
    server.wait_for(f"{DENIED} would be banned")
    assert network.nft("list", "ruleset") == ""


def test_r31_without_the_right_to_change_rules_neither_check_nor_start_succeed(start: Start, network: Network) -> None:
    """As in a container that was not given it."""
    under = ("setpriv", "--bounding-set=-net_admin")
    why = r"enfilade\.toml:9:12: bans\.nftables: root has no CAP_NET_ADMIN here"
    server = start(CONFIG.replace("MORE", ""), under=(*network.under, *under), wait=False)
    server.wait_for(why)
    assert server.process.wait(20) == 1
    checked = start("", "check", "-c", "enfilade.toml", under=(*network.under, *under), wait=False)
    checked.wait_for(why)
    assert checked.process.wait(20) == 1
