"""Bans, from end to end: real clients from several addresses of this machine, real workers, a real Redis."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.processes import command
from tests.e2e.test_firewall import DENIED, FRIEND, RESET, ends, held, is_reset, said
from tests.e2e.test_streams import HERE, connect, curl, line, named, tcp_peer
from tests.passwords import cheap_line
from tests.redis_server import redis_server

CONFIG = f"""
[server]
http = "{HERE}:0"
admin = "unix:admin.sock"
workers = 2
BANS
[sites."*"]
log = {{ to = "access.log" }}
"/" = {{ respond = "hello" }}
"/secret" = {{ respond = "secret", auth = {{ basic = {{ file = "users" }} }} }}
"""
BANS = """
[bans]
limit = 2
window = "1h"
duration = "1h"
never = []
"""
USERS = {"users": cheap_line("ada", "right") + "\n"}


def launch(start: Start, bans: str = BANS, more: str = "", **options: Any) -> Server:
    return start(CONFIG.replace("BANS", bans) + more, files=USERS, **options)


def code(server: Server, path: str, client: str, *arguments: str) -> str:
    """The status that curl gets from there, or its exit code."""
    done = curl("--interface", client, "-o", "/dev/null", "-w", "%{http_code}", *arguments, f"{server.url()}/{path}")
    return done.stdout if done.returncode == 0 else str(done.returncode)


def listed(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command(server, "bans", "--json").stdout)["bans"]
    return found


def metric(server: Server, name: str) -> float:
    text = curl("--unix-socket", str(server.directory / "admin.sock"), "http://localhost/metrics").stdout
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE))


def test_wrong_passwords_end_in_a_ban_and_a_ban_is_lifted(start: Start) -> None:
    server = launch(start)
    assert code(server, "secret", FRIEND, "-u", "ada:right") == "200"
    assert [code(server, "secret", DENIED, "-u", f"ada:{guess}") for guess in "123"] == ["401"] * 3
    server.wait_for(rf"{DENIED} is banned until .*: 401, ban 1")
    assert all(said(server.url(), DENIED) in RESET for _ in range(6)), "by both workers"
    assert is_reset(server.address())
    assert code(server, "secret", FRIEND, "-u", "ada:right") == "200"
    (ban,) = listed(server)
    assert (ban["address"], ban["strikes"], ban["cause"]) == (DENIED, 1, "401")
    assert re.search(rf"1 banned\n.*\n  {DENIED}  .*  1 +401", command(server, "bans").stdout)
    assert metric(server, "enfilade_bans") == metric(server, "enfilade_bans_total") == 1
    assert metric(server, 'enfilade_rejects_total{reason="banned",source="client"}') == 7
    explained = command(server, "explain", "GET", "http://a/", "--client", DENIED).stdout
    assert re.match(r"firewall +banned +until .*: 401", explained)
    assert command(server, "bans", "lift", DENIED).stdout == f"{DENIED} is let in again\n"
    assert code(server, "", DENIED) == "200" and listed(server) == []
    again = command(server, "bans", "lift", DENIED)
    assert (again.returncode, again.stderr) == (1, f"{DENIED} is not banned\n")


def test_what_is_not_there_and_what_cannot_be_read_counts_as_well(start: Start) -> None:
    server = launch(start, BANS + "on = { 404 = 1, bad_request_line = 2 }\n")
    assert [code(server, "none", DENIED) for _ in range(2)] == ["404"] * 2
    with socket.create_connection(server.address(), timeout=20, source_address=(DENIED, 0)) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        while not ends(sock):
            pass
    eventually(lambda: is_reset(server.address()))
    assert listed(server)[0]["cause"] == "bad_request_line"


def test_whoever_looks_like_an_attack_is_banned_sooner(start: Start) -> None:
    config = CONFIG.replace("BANS", BANS + "on = { rule_denied = 2, 403 = 1 }\n").replace(
        "log =", "rules = true\nlog ="
    )
    server = start(config, files=USERS)
    attack = "?q=1'%20UNION%20SELECT%20password%20FROM%20users--"
    assert [code(server, attack, DENIED) for _ in range(2)] == ["403"] * 2
    eventually(lambda: said(server.url(), DENIED) in RESET)
    assert listed(server)[0]["cause"] == "rule_denied"


def test_what_is_open_is_cut_of_streams_too_and_a_ban_by_hand_ends(start: Start) -> None:
    with tcp_peer(named(b"a")) as tcp:
        server = launch(start, more=f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{tcp}"\n')
        with (
            held(server, DENIED, "http") as idle,
            held(server, FRIEND, "http") as other,
            connect(server, "db") as stream,
        ):
            assert line(stream) == b"a\n"
            command(server, "bans", "add", "192.0.2.1")
            explained = command(server, "explain", "GET", "http://a/", "--client", "192.0.2.1").stdout
            assert re.match(r"firewall +banned +until .*: by hand\n", explained)
            command(server, "bans", "lift", "192.0.2.1")
            answer = command(server, "bans", "add", DENIED, "--for", "2s").stdout
            assert answer.startswith(f"{DENIED} is banned until ")
            while not ends(idle):
                pass
            command(server, "bans", "add", HERE)
            assert ends(stream)
            other.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert other.recv(5)
        eventually(lambda: code(server, "", DENIED) == "200")
        assert is_here_banned(server)


def is_here_banned(server: Server) -> bool:
    return [ban["address"] for ban in listed(server)] == [HERE] and said(server.url(), HERE) in RESET


def test_bans_outlive_a_reload_and_in_a_file_a_restart(start: Start) -> None:
    server = launch(start, BANS + 'file = "bans"\n')
    command(server, "bans", "add", DENIED)
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    assert said(server.url(), DENIED) in RESET
    file = server.directory / "bans"
    eventually(lambda: file.exists() and DENIED in file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    command(server, "bans", "add", "2001:db8::1")
    assert server.stop() == 0
    other = launch(start, BANS + f'file = "{file}"\n')
    assert said(other.url(), DENIED) in RESET and said(other.url(), FRIEND) == "hello"
    assert {ban["address"] for ban in listed(other)} == {DENIED, "2001:db8::/64"}


def test_a_file_that_cannot_be_read_refuses_the_start_and_a_reload(start: Start) -> None:
    bans = BANS + 'file = "bans"\n'
    broken = start(CONFIG.replace("BANS", bans), files={**USERS, "bans": '{"address": "all"}\n'}, wait=False)
    broken.wait_for(r'enfilade\.toml:12:8: bans\.file: ".*/bans", line 1, is no ban')
    assert broken.process.wait(20) == 1
    server = launch(start)
    (server.directory / "bans").write_text("nonsense")
    (server.directory / "enfilade.toml").write_text(CONFIG.replace("BANS", bans))
    server.signal(signal.SIGHUP)
    server.wait_for("reload refused")
    command(server, "bans", "add", DENIED)
    assert said(server.url(), FRIEND) == "hello"


def test_in_a_dry_run_nobody_is_refused(start: Start) -> None:
    server = launch(start, BANS + "dry_run = true\n")
    assert [code(server, "none", DENIED) for _ in range(5)] == ["404"] * 5
    server.wait_for(rf"{DENIED} would be banned until")
    assert "1 banned; they are let in all the same" in command(server, "bans").stdout
    assert metric(server, "enfilade_bans_total") == 1


def test_behind_a_trusted_proxy_the_client_is_banned_and_not_the_proxy(start: Start) -> None:
    server = start(
        CONFIG.replace("BANS", BANS).replace("workers", f'trusted_proxies = ["{HERE}"]\nworkers'), files=USERS
    )
    forwarded = ("-H", "X-Forwarded-For: 203.0.113.9")
    assert [code(server, "none", HERE, *forwarded) for _ in range(3)] == ["404"] * 3
    assert code(server, "", HERE, *forwarded) == "403"
    assert code(server, "", HERE, "-H", "X-Forwarded-For: 203.0.113.8") == "200"
    assert [code(server, "none", HERE) for _ in range(4)] == ["404"] * 4 and code(server, "", HERE) == "200"
    assert [ban["address"] for ban in listed(server)] == ["203.0.113.9"]


def test_servers_have_them_in_common_over_redis_and_none_waits_for_it(start: Start, tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        bans = BANS + f'redis = "{redis.url}"\n'
        one = launch(start, bans)
        text = CONFIG.replace("BANS", bans).replace("admin.sock", "other.sock")
        other = start("", "up", "-c", "other.toml", files={"other.toml": text})
        command(one, "bans", "add", DENIED)
        eventually(lambda: said(other.url(), DENIED) in RESET)
        assert command(other, "bans", "lift", DENIED, "-c", "other.toml").returncode == 0
        eventually(lambda: said(one.url(), DENIED) == "hello")
        redis.stop()
        one.wait_for("bans are not shared: ")
        command(one, "bans", "add", DENIED)
        assert said(one.url(), DENIED) in RESET
        redis.start()
        eventually(lambda: said(other.url(), DENIED) in RESET)


def test_without_bans_the_command_says_so(start: Start) -> None:
    server = launch(start, "")
    done = command(server, "bans")
    assert (done.returncode, done.stderr) == (1, "enfilade.toml has no [bans], so its server bans nobody\n")
