"""Workers and their end: crashes, drains, stops, signals, logs, privileges, and who is told about all this."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import rejects
from tests.e2e.processes import APP, ask, command, get, metrics, status, until, write

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
drain_timeout = 10
[sites."*"]
log = false
"/*" = { app = "main" }
[apps.main]
target = "hello:app"
workers = 1
"""
SERVED = 'enfilade_requests_total{site="*",route="/*",status="200"}'


def launch(start: Start, config: str = CONFIG, **options: Any) -> Server:
    return start(config, files={"hello.py": APP}, **options)


def later(*args: Any) -> tuple[threading.Thread, list[Any]]:
    """`get(*args)` in a thread of its own, and where its answer will be."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(get(*args)))
    thread.start()
    return thread, answers


def serving(server: Server) -> list[int]:
    return [w["pid"] for w in status(server)["workers"] if w["state"] == "serving"]


def test_a_killed_worker_is_replaced_and_no_count_is_lost(start: Start) -> None:
    """Totals are exact over a crash (kill -9), a restart and a reload: what was answered, is counted."""
    server = launch(start)
    for _ in range(10):
        get(server)
    first = serving(server)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    second = until(lambda: (now := serving(server)) != first and len(now) == 2 and now)
    assert not set(first) & set(second)
    assert "was killed by signal 9" in server.wait_for("restart in 0.1 s")
    for _ in range(10):
        get(server)
    server.signal(signal.SIGHUP)
    server.wait_for("generation 2 serves")
    for _ in range(10):
        get(server)
    found = metrics(server)
    assert found[SERVED] == found['enfilade_request_duration_seconds_count{site="*",route="/*"}'] == 30
    assert found["enfilade_worker_restarts_total"] == 2
    until(lambda: metrics(server)['enfilade_workers{crew="edge"}'] == 2)


def test_a_worker_that_keeps_dying_is_restarted_ever_later(start: Start) -> None:
    server = launch(start, CONFIG.replace("workers = 2", "workers = 1"))
    for delay in ("0.1", "0.2"):
        os.kill(until(lambda: serving(server))[0], signal.SIGKILL)
        server.wait_for(f"restart in {delay} s")
    until(lambda: serving(server))
    assert status(server)["restarts"] == 2


DEADLY = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["path"] == "/die":
        os._exit(7)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_a_request_that_kills_its_worker_kills_two_and_later_one(start: Start) -> None:
    """Each time it is asked for, until so many have died that nothing is tried again which may be what kills them."""

    def deaths() -> int:
        return server.output.count("ended with exit code 7")

    server = start(CONFIG.replace("workers = 2", "workers = 1"), files={"hello.py": DEADLY})
    for dead in (2, 3):
        with httpx.Client(base_url=server.url(), timeout=30) as client:
            assert client.get("/die").status_code == 502
            assert client.get("/").text == "ok"
        until(lambda dead=dead: deaths() >= dead)  # type: ignore[misc]
        assert deaths() == dead
    assert rejects(server)["application_gone"] == 2


BUSY = """
import os, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["path"] == "/compute":
        open("begun", "w").close()
        while not os.path.exists("enough"):
            time.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_nobody_waits_behind_a_worker_that_computes_while_another_is_free(start: Start) -> None:
    config = CONFIG.replace("workers = 2", "workers = 1").replace('app"\nworkers = 1', 'app"\nworkers = 2')
    server = start(config, files={"hello.py": BUSY})
    with httpx.Client(base_url=server.url(), timeout=60) as client, ThreadPoolExecutor(9) as threads:
        computed = threads.submit(client.get, "/compute")
        until(lambda: (server.directory / "begun").exists())
        since = time.monotonic()
        while time.monotonic() < since + 0.1:  # by then the edge has seen that it takes nothing up
            assert client.get("/").text == "ok"
        quick = [threads.submit(client.get, "/") for _ in range(64)]
        try:
            assert [answer.result(30).text for answer in quick] == ["ok"] * 64
            assert not computed.done()
        finally:
            (server.directory / "enough").touch()
        assert computed.result(30).text == "ok"


def test_a_head_that_is_larger_than_a_link_takes_is_431(start: Start) -> None:
    server = launch(start, CONFIG.replace("workers = 2", 'workers = 1\nlimits = { head = "1MB" }'))
    pid = get(server)[2]
    assert httpx.get(server.url(), headers={"x": "y" * 300_000}, timeout=PATIENCE).status_code == 431
    assert get(server)[2] == pid
    assert "cannot be sent" not in server.output


def test_a_stop_finishes_what_is_in_flight_then_ends_the_application(start: Start) -> None:
    server = launch(start)
    thread, answers = later(server, "/slow?0.5")
    server.wait_for("slow begins")
    assert server.stop() == 0
    thread.join()
    assert answers[0][0] == 200
    assert server.output.count("application ends") == 1


def test_a_stop_waits_for_work_in_the_background(start: Start) -> None:
    server = launch(start)
    assert get(server, "/background")[0] == 200
    assert server.stop() == 0
    done = server.wait_for("background work is done")
    assert any("application ends" in line for line in server.lines[server.lines.index(done) :])


def test_the_drain_timeout_cuts_what_is_left_and_still_ends_the_application(start: Start) -> None:
    """The worker has a grace beyond the drain time-out: it ends by itself, and is not killed."""
    server = launch(start, CONFIG.replace("drain_timeout = 10", "drain_timeout = 0.3"))
    with server.connect() as sock:
        sock.sendall(b"GET /slow?30 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_for("slow begins")
        begun = time.monotonic()
        assert server.stop() == 0
        assert 0.3 <= time.monotonic() - begun < 10
        try:
            assert sock.recv(100) == b""
        except ConnectionResetError:
            pass
    assert server.output.count("application ends") == 1
    assert "killed" not in server.output and "Traceback" not in server.output


def test_the_second_signal_stops_at_once(start: Start) -> None:
    server = launch(start)
    with server.connect() as sock:
        sock.sendall(b"GET /slow?30 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_for("slow begins")
        server.signal(signal.SIGTERM)
        until(lambda: not listens(server))
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - begun < 10
    server.stop()


def listens(server: Server) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return False
    return True


def idle_connection(server: Server) -> HTTPConnection:
    connection = HTTPConnection(*server.address(), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read()
    return connection


def test_an_idle_connection_outlives_a_reload_but_not_a_stop(start: Start) -> None:
    """After a reload, a request may be on its way: the connection stays for its next answer, which says close (RFC 9112
    section 9.6). When the server stops, nobody could answer it."""
    server = launch(start)
    connection = idle_connection(server)
    server.signal(signal.SIGHUP)
    server.wait_for("generation 2 serves")
    until(lambda: any(w["state"] == "draining" for w in status(server)["workers"]))
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    assert (response.status, response.headers["Connection"]) == (200, "close")
    connection.close()
    until(lambda: len(status(server)["workers"]) == 2)
    connection = idle_connection(server)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 9
    assert connection.sock.recv(1) == b""
    connection.close()


def test_an_idle_http2_connection_is_told_at_a_stop(start: Start) -> None:
    """GOAWAY (RFC 9113 section 6.8), then the end."""
    server = launch(
        start,
        CONFIG.replace('http = "127', 'https = "127.0.0.1:0"\nhttp = "127').replace("log =", 'tls = "internal"\nlog ='),
    )
    with server.connect("https", alpn=["h2"]) as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        assert sock.recv(65536)[3] == 4, "SETTINGS"
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        data = b""
        while piece := sock.recv(65536):
            data += piece
        assert b"\0\0\x08\x07\0\0\0\0\0" in data, "GOAWAY"
    assert server.stop() == 0
    assert time.monotonic() - begun < 9


def websocket(server: Server) -> socket.socket:
    sock = server.connect()
    sock.sendall(
        b"GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert sock.recv(4096).startswith(b"HTTP/1.1 101")
    return sock


def echo(sock: socket.socket) -> bytes:
    sock.sendall(b"\x81\x82\0\0\0\0hi")
    return sock.recv(100)


def test_a_websocket_lives_on_in_its_draining_worker_until_the_drain_timeout(start: Start) -> None:
    server = launch(start, CONFIG.replace("drain_timeout = 10", "drain_timeout = 1"))
    with websocket(server) as sock:
        server.signal(signal.SIGHUP)
        server.wait_for("generation 2 serves")
        until(lambda: any(w["state"] == "draining" for w in status(server)["workers"]))
        assert echo(sock) == b"\x81\x02hi"
        until(lambda: [w["generation"] for w in status(server)["workers"] if w["state"] == "draining"] == [1])
        try:
            while sock.recv(100):
                pass
        except ConnectionResetError:
            pass
    until(lambda: len(status(server)["workers"]) == 2)
    assert "killed" not in server.output


def test_sigterm_to_one_worker_drains_it_and_fills_its_place(start: Start) -> None:
    server = launch(start)
    first = serving(server)
    os.kill(first[0], signal.SIGTERM)
    now = until(lambda: (pids := serving(server)) and first[0] not in pids and len(pids) == 2 and pids)
    assert first[1] in now


def test_connections_beyond_the_limit_of_all_workers_are_refused_and_counted(start: Start) -> None:
    """`limits.connections`; the admin listener is open all the same."""
    server = launch(start, CONFIG + "[server.limits]\nconnections = 3\n")
    idle = [idle_connection(server) for _ in range(3)]
    assert get(server)[0] == 503
    assert metrics(server)['enfilade_connections_open{protocol="http1"}'] == 4
    for connection in idle:
        connection.close()
    found = until(lambda: (now := metrics(server))['enfilade_connections_open{protocol="http1"}'] == 1 and now)
    assert get(server)[0] == 200
    assert found['enfilade_rejects_total{reason="connection_limit",source="server"}'] == 1


def test_sigusr1_opens_the_moved_log_again(start: Start) -> None:
    config = CONFIG.replace("log = false", 'log = { to = "access.log" }')
    server = launch(start, config)
    log, old = server.directory / "access.log", server.directory / "access.log.1"
    assert get(server, "/before")[0] == 200
    until(lambda: "/before" in log.read_text())
    log.rename(old)
    server.signal(signal.SIGUSR1)
    until(log.exists)
    while "/after" not in log.read_text():  # until both workers have opened it
        get(server, "/after")
        time.sleep(0.05)
    assert server.stop() == 0
    assert "/before" in old.read_text() and "/before" not in log.read_text()
    lines = (old.read_text() + log.read_text()).splitlines()
    assert all(re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /\w+ HTTP/1\.1" 200 \d+', line) for line in lines)


def test_what_cannot_be_opened_by_the_worker_is_said_without_a_traceback(start: Start) -> None:
    config = CONFIG.replace("log = false", 'log = { to = "/proc/access.log" }')
    server = launch(start, config, wait=False)
    assert server.process.wait(20) == 1
    server.stop()
    assert "cannot open the log /proc/access.log" in server.output and "Traceback" not in server.output


def test_sd_notify_tells_systemd_how_it_goes(start: Start) -> None:
    name = f"\0enfilade-e2e-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(20)
        server = launch(start, environ={"NOTIFY_SOCKET": "@" + name[1:]})
        assert manager.recv(4096) == b"READY=1\nSTATUS=generation 1, 2 workers"
        server.signal(signal.SIGHUP)
        assert re.match(rb"RELOADING=1\nMONOTONIC_USEC=\d+\n", manager.recv(4096))
        assert manager.recv(4096) == b"READY=1\nSTATUS=generation 2, 2 workers"
        server.signal(signal.SIGTERM)
        assert manager.recv(4096).startswith(b"STOPPING=1")


def test_the_pid_file_finds_the_server(start: Start) -> None:
    config = CONFIG.replace('admin = "127.0.0.1:0"', 'admin = "unix:admin.sock"\npid_file = "server.pid"')
    server = launch(start, config)
    assert (server.directory / "server.pid").read_text() == f"{server.process.pid}\n"
    assert stat.S_IMODE((server.directory / "admin.sock").stat().st_mode) == 0o600
    second = launch(start, config.replace("admin.sock", "other.sock"), wait=False)
    assert second.process.wait(20) == 1
    second.stop()
    assert "already running" in second.output
    write(server, config)
    shown = command(server, "status").stdout
    assert shown.startswith(f"running, pid {server.process.pid}, generation 1, since ")
    edges, (main,) = shown.split("\n\n")[1], shown.split("\n\n")[2:]
    assert len(re.findall(r"^  edge +[01] +\d+ +serving ", edges, re.MULTILINE)) == 2
    assert main.startswith(
        "application main: 0 in flight, 0 queued, 0 requests; restarts: 0 died, 0 recycled, 0 reload\n"
    )
    assert re.search(r"^  0 +\d+ +serving .* 1 +0 +0 +\d+ MB$", main, re.MULTILINE)
    threading.Thread(target=server.process.wait).start()  # as its parent does: a zombie is still there
    done = command(server, "stop")
    assert (done.returncode, done.stdout) == (0, f"process {server.process.pid} stopped\n")
    assert server.process.wait(5) == 0
    assert command(server, "status").returncode == 1
    assert not (server.directory / "server.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_workers_run_as_nobody_and_everything_still_works(start: Start, tmp_path: Path) -> None:
    """The admin listener, too: a worker may not signal its supervisor, who belongs to root."""
    nobody = pwd.getpwnam("nobody")
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    config = CONFIG.replace("drain_timeout = 10", 'drain_timeout = 10\nuser = "nobody"')
    config = config.replace("log = false", 'log = false\n"/files/*" = { files = "web" }')
    config = config.replace(
        'hello:app"\nworkers = 1', 'hello:app"\ninline = true'
    )  # nobody may not be able to run this interpreter
    server = start(config, files={"hello.py": APP, "web/page.txt": "page"})
    for pid in serving(server):
        ids = re.findall(r"^[UG]id:\t(\d+)\t(\d+)\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        assert ids == [(str(nobody.pw_uid),) * 3, (str(nobody.pw_gid),) * 3]
    assert Path(f"/proc/{server.process.pid}").stat().st_uid == 0
    assert get(server)[0] == 200
    assert get(server, "/files/page.txt")[2] == b"page"
    old_websocket = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n"
    assert server.raw(old_websocket + b"Sec-WebSocket-Version: 8\r\n\r\n").startswith(b"HTTP/1.1 426 ")
    answer = ask(server, "POST", "/reload", content_type="application/json")
    assert (answer.status, status(server)["generation"]) == (200, 2)
    assert ask(server, "POST", "/stop", content_type="application/json").status == 202
    assert server.process.wait(20) == 0


def test_the_python_form_is_served_and_reloaded_as_well(start: Start) -> None:
    text = """
from enfilade.config import App, Config, Route, Server, Site

config = Config(
    server=Server(http="127.0.0.1:0", workers=1),
    sites={"*": Site(log=False, routes={"/*": Route(app="main")})},
    apps={"main": App(target="hello:app")},
)
"""
    name = "enfilade_conf.py"
    server = start("", "up", "-c", name, files={"hello.py": APP, name: text})
    assert get(server)[0] == 200
    (server.directory / name).write_text(text.replace("log=False", "log=False, timing=True"))
    server.signal(signal.SIGHUP)
    server.wait_for("generation 2 serves")
    until(lambda: "server-timing" in get(server)[1])
    (server.directory / name).write_text("config = nothing")
    server.signal(signal.SIGHUP)
    server.wait_for("reload refused, nothing has changed: enfilade_conf.py:1:1: NameError")
