"""The supervisor with real processes, sockets and signals."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.process.conftest import Server, fetch, wait_refused

from enfilade.process.lifecycle import FIRST_DELAY, MAX_DELAY, SETTLED, restart_delay

Launch = Callable[..., Server]


def alive(pid: int) -> bool:
    """It runs: neither gone nor a zombie that its adoptive parent has not buried yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_restart_delay_doubles_up_to_a_limit_and_begins_anew_after_a_long_life() -> None:
    delays = [0.0]
    for _ in range(10):
        delays.append(restart_delay(delays[-1], lived=1.0))
    assert delays[1:4] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == MAX_DELAY
    assert restart_delay(MAX_DELAY, lived=SETTLED) == FIRST_DELAY


def test_serves_in_all_workers_and_stops(launch: Launch) -> None:
    server = launch({"workers": 3}).started()
    status = server.wait_for(lambda s: all(w["state"] == "serving" for w in s["workers"]))
    assert [w["slot"] for w in status["workers"]] == [0, 1, 2]
    assert status["pid"] == server.process.pid and status["generation"] == 1
    assert set(children(server.process.pid)) == {w["pid"] for w in status["workers"]}
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not any(Path(f"/proc/{w['pid']}").exists() for w in status["workers"]), "not even as a zombie"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_every_way_to_stop_exits_with_0(launch: Launch, number: signal.Signals) -> None:
    server = launch({"workers": 1}).started()
    server.signal(number)
    assert server.wait() == 0


def test_a_stop_waits_for_the_exchange_in_flight(launch: Launch) -> None:
    server = launch({"workers": 1}).started()
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHo")
        server.get()  # so the connection above was accepted
        server.signal(signal.SIGTERM)
        wait_refused(server.connect)
        connection.sendall(b"st: t\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer
    assert server.wait() == 0


def test_ctrl_c_reaches_the_whole_group_and_still_drains(launch: Launch) -> None:
    server = launch({"workers": 2}).started()
    with server.connect() as connection:
        fetch(connection)
        os.killpg(server.process.pid, signal.SIGINT)
        wait_refused(server.connect)
        assert json.loads(fetch(connection))["generation"] == 1
    assert server.wait() == 0


def test_the_drain_timeout_and_the_grace_end_what_does_not_end(launch: Launch) -> None:
    server = launch({"workers": 1, "drain_timeout": 0.1}).started()
    with server.connect() as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        server.get()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        server.expect("was killed by signal 9")


def test_the_second_signal_stops_at_once(launch: Launch) -> None:
    server = launch({"workers": 1, "drain_timeout": 60}).started()
    with server.connect() as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        server.get()
        server.signal(signal.SIGTERM)
        wait_refused(server.connect)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_a_worker_that_cannot_start_is_the_end_of_the_start(launch: Launch) -> None:
    server = launch({"fail_start": "cannot import shop.main: no module named 'shop'"})
    assert server.wait() == 1
    line = server.expect("cannot start")
    assert "no module named 'shop'" in line
    assert not any("Traceback" in line for line in server.lines)


def test_an_exception_at_the_start_leaves_its_traceback(launch: Launch) -> None:
    server = launch({"raise": True, "workers": 1})
    assert server.wait() == 1
    server.expect("Traceback")
    server.expect("ZeroDivisionError: as told")


def test_a_start_that_takes_too_long_is_given_up(launch: Launch) -> None:
    server = launch({"never_ready": True, "workers": 1, "start_timeout": 0.2})
    assert server.wait() == 1
    server.expect("not ready within 0.2 s")


def test_a_start_that_takes_more_than_a_second_says_what_it_waits_for(launch: Launch) -> None:
    server = launch({"never_ready": True, "workers": 1, "steps": ["the application shop", "the application blog"]})
    server.expect(" s: the application blog")
    assert "(slot 0) is still starting after " in server.lines[-1]


def test_an_address_in_use_is_said_so(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = launch({"listen": [f"127.0.0.1:{port}"]})
        assert server.wait() == 1
        assert f"cannot listen on 127.0.0.1:{port} (http): another server listens there" in server.expect(
            "cannot listen"
        )


def test_our_own_second_instance_does_not_share_the_port_unasked(launch: Launch) -> None:
    first = launch({"workers": 1}).started()
    second = launch({"listen": first.addresses})
    assert second.wait() == 1
    second.expect("another server listens there")


def test_r22_a_killed_worker_is_replaced_and_the_totals_stay(launch: Launch) -> None:
    server = launch({"workers": 2}).started()
    for _ in range(20):
        server.get()
    victim = server.get()["pid"]
    os.kill(victim, signal.SIGKILL)
    server.expect(f"worker {victim}")
    status = server.wait_for(
        lambda s: s["restarts"] == 1 and len(s["workers"]) == 2 and all(w["state"] == "serving" for w in s["workers"])
    )
    assert victim not in [w["pid"] for w in status["workers"]]
    assert sorted(w["restarts"] for w in status["workers"]) == [0, 1]
    metrics = server.get("/metrics")
    assert "enfilade_sent_bytes_total 21\n" in metrics
    assert "enfilade_worker_restarts_total 1\n" in metrics
    assert 'enfilade_workers{crew="edge"} 2\n' in metrics


def test_sigterm_to_a_worker_drains_it_and_fills_its_slot_at_once(launch: Launch) -> None:
    server = launch({"workers": 1}).started()
    with server.connect() as connection:
        before = server.get("/", connection)["pid"]
        os.kill(before, signal.SIGTERM)
        server.wait_for(lambda s: any(w["pid"] != before and w["state"] == "serving" for w in s["workers"]))
        assert server.get("/", connection)["pid"] == before
    assert server.get()["pid"] != before


def test_no_worker_outlives_its_supervisor(launch: Launch) -> None:
    server = launch({"workers": 2, "drain_timeout": 0.1}).started()
    pids = [w["pid"] for w in server.get("/status")["workers"]]
    with server.connect() as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        server.get()
        server.process.kill()
        server.wait()
        until = time.monotonic() + 10
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < until


def test_sigusr1_reaches_every_worker(launch: Launch) -> None:
    server = launch({"workers": 2}).started()
    server.signal(signal.SIGUSR1)
    lines = {server.expect("reopens its logs") for _ in range(2)}
    assert len(lines) == 2


# -- reload


def test_a_reload_serves_the_new_configuration_on_the_same_port(launch: Launch) -> None:
    server = launch({"text": "old"}).started()
    assert server.get()["text"] == "old"
    with server.connect() as kept:
        old = server.get("/", kept)
        server.reload({"text": "new"})
        server.expect("generation 2 serves")
        assert server.wait_for_generation(2)["text"] == "new"
        assert server.get("/", kept)["pid"] == old["pid"], "a kept connection stays with its worker for its last answer"
    server.wait_for(lambda s: {w["generation"] for w in s["workers"]} == {2})


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"workers": "x"}, ""),
        ({"fail_start": "no such application"}, "no such application"),
        ({"exit_if_slot": {"1": 7}}, "exit code 7"),
        ({"listen": ["203.0.113.1:80"]}, "this machine has no such address"),
        ({"listen": ["nonsense"]}, "is not an address"),
        ({"workers": 1000}, "too many"),
    ],
)
def test_r31_a_bad_reload_changes_nothing(launch: Launch, plan: dict[str, Any], reason: str) -> None:
    server = launch({"text": "old"}).started()
    before = {w["pid"] for w in server.get("/status")["workers"]}
    server.reload(plan)
    assert reason in server.expect("reload refused")
    status = server.wait_for(lambda s: s["reloads_refused"] == 1 and len(s["workers"]) == 2)
    assert {w["pid"] for w in status["workers"]} == before and status["generation"] == 1
    assert server.get()["text"] == "old"


def test_a_reload_that_is_not_ready_in_time_is_refused(launch: Launch) -> None:
    server = launch({"text": "old"}).started()
    server.reload({"never_ready": True, "start_timeout": 0.5})
    server.expect("reload refused")
    assert server.get()["text"] == "old"


def test_a_second_sighup_during_a_reload_is_not_lost(launch: Launch) -> None:
    server = launch({"text": "1"}).started()
    server.reload({"text": "2"})
    server.expect("reloading")
    server.reload({"text": "3"})
    server.expect("generation 3 serves")
    assert server.wait_for_generation(3)["text"] == "3"


def test_a_listener_that_goes_is_served_to_the_last_connection_then_closed(launch: Launch, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = launch({"listen": ["127.0.0.1:0", f"unix:{path}"]}).started()
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(path)
        server.reload({})
        server.expect("generation 2 serves")
        assert not os.path.exists(path)
        assert json.loads(fetch(waiting))["generation"] == 1
    server.wait_for_generation(2)


def test_a_listener_can_come_by_reload(launch: Launch, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    server = launch().started()
    server.reload({"listen": ["127.0.0.1:0", f"unix:{path}"]})
    server.expect("generation 2 serves")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        assert json.loads(fetch(connection))["generation"] == 2


def test_fewer_workers_look_after_all_sockets_and_no_descriptor_leaks(launch: Launch) -> None:
    server = launch({"workers": 4}).started()
    for _ in range(2):
        server.reload({"workers": 1})
        server.expect("serves")
        server.wait_for(lambda s: len(s["workers"]) == 1)
        answers = [server.get() for _ in range(32)]  # the kernel spreads them over all four sockets
        server.reload({"workers": 4})
        server.expect("serves")
        server.wait_for(lambda s: len(s["workers"]) == 4)
    assert {a["slot"] for a in answers} == {0}
    generation = server.get()["generation"]
    descriptors = len(os.listdir(f"/proc/{server.process.pid}/fd"))
    server.reload()
    server.expect("serves")
    server.wait_for(lambda s: {w["generation"] for w in s["workers"]} == {generation + 1})
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) == descriptors
    # stdin, stdout, stderr, /proc itself, epoll, asyncio's pair, the channel, links, one socket of its slot, this connection
    assert server.get()["fds"] == 11


class Load:
    """Clients that ask one thing after the other over kept connections, and note every request that got no answer."""

    def __init__(self, address: tuple[str, int], clients: int) -> None:
        self.address = address
        self.generations: set[int] = set()
        self.pids: set[int] = set()
        self.failed: list[tuple[int | None, str]] = []
        self.answers = 0
        self.news = asyncio.Event()
        self.stop = False
        self.tasks = [asyncio.create_task(self._client()) for _ in range(clients)]

    async def _client(self) -> None:
        while not self.stop:
            pid: int | None = None
            try:
                reader, writer = await asyncio.open_connection(*self.address)
                try:
                    last = False
                    while not (last or self.stop):
                        last, facts = await self._ask(reader, writer)
                        pid = facts["pid"]
                        self.pids.add(facts["pid"])
                        self.generations.add(facts["generation"])
                        self.answers += 1
                        self.news.set()
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failed.append((pid, repr(error)))

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[bool, dict[str, Any]]:
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(re.findall(rb"Content-Length: (\d+)", head)[0]))
        return b"Connection: close" in head, json.loads(body)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def finish(self) -> None:
        self.stop = True
        await asyncio.gather(*self.tasks)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_five_reloads_and_a_kill_under_load_lose_no_request(launch: Launch, loop: str) -> None:
    server = launch({"workers": 2, "uvloop": loop == "uvloop"}).started()
    asyncio.run(_reload_under_load(server))
    status = server.wait_for(lambda s: {w["generation"] for w in s["workers"]} == {6})
    assert status["reloads"] == 5 and status["restarts"] == 1


async def _reload_under_load(server: Server) -> None:
    load = Load(server.address, 16)
    await load.until(lambda: load.answers > 100)
    for generation in range(2, 7):
        server.reload()
        await load.until(lambda g=generation: g in load.generations)  # type: ignore[misc]
    assert load.failed == []
    await asyncio.to_thread(server.wait_for, lambda s: {w["generation"] for w in s["workers"]} == {6})
    served = load.answers
    victim = server.get()["pid"]
    os.kill(victim, signal.SIGKILL)
    await load.until(lambda: load.answers > served + 500)
    await load.finish()
    # The victim's connections break; None: it had accepted one, but not answered yet. Nobody else's may.
    assert {pid for pid, _ in load.failed} <= {victim, None}
    assert len(load.failed) <= 16


def test_a_removed_tcp_listener_loses_no_connection_that_was_accepted_for_it(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        second = free.getsockname()
    server = launch({"listen": ["127.0.0.1:0", f"127.0.0.1:{second[1]}"]}).started()
    waiting = [socket.create_connection(second) for _ in range(50)]  # some still in the queue when the reload comes
    server.reload({})
    server.expect("generation 2 serves")
    for connection in waiting:
        with connection:
            assert json.loads(fetch(connection))["generation"] == 1
    server.wait_for(lambda s: {w["generation"] for w in s["workers"]} == {2})
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(second)


def test_workers_run_as_the_user_named_and_the_supervisor_does_not(launch: Launch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has something to drop")
    server = launch({"user": "nobody"}).started()
    uid = pwd.getpwnam("nobody").pw_uid
    for worker in server.get("/status")["workers"]:
        assert Path(f"/proc/{worker['pid']}/status").read_text().count(f"\t{uid}") >= 4
    assert os.stat(f"/proc/{server.process.pid}").st_uid == 0


# -- the service manager, the pid file, the development watcher


def test_sd_notify_tells_the_whole_life(launch: Launch) -> None:
    name = f"\0enfilade-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name)
        manager.settimeout(10)
        server = launch({"workers": 1}, {"NOTIFY_SOCKET": "@" + name[1:], "WATCHDOG_USEC": "60000000"}).started()
        first = sorted(manager.recv(4096) for _ in range(2))  # the watchdog is fed while the workers start, or after
        assert first[0].startswith(b"READY=1\nSTATUS=generation 1") and first[1] == b"WATCHDOG=1"
        server.reload()
        assert re.match(rb"RELOADING=1\nMONOTONIC_USEC=\d+\n", manager.recv(4096))
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=generation 2")
        server.signal(signal.SIGTERM)
        assert manager.recv(4096).startswith(b"STOPPING=1")


def test_the_pid_file_is_there_while_it_serves(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("999999999")
    server = launch({"workers": 1, "pid_file": str(path)}).started()
    assert int(path.read_text()) == server.process.pid
    second = launch({"workers": 1, "pid_file": str(path)})
    assert second.wait() == 1
    second.expect("already running")
    server.signal(signal.SIGTERM)
    server.wait()
    assert not path.exists()


def test_a_changed_source_is_a_reload(launch: Launch, tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    source.write_text("x = 1")
    server = launch({"workers": 1}, watch=[str(tmp_path)]).started()
    source.write_text("x = 1000")
    assert str(source) in server.expect("changed: ")
    server.expect("generation 2 serves")


@pytest.mark.parametrize("listen", ["systemd", "systemd:web", "fd:3"])
def test_inherited_sockets_are_served(launch: Launch, listen: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        server = launch({"listen": [listen]}, inherit=inherited).started()
        assert server.address == inherited.getsockname()
        assert server.get()["generation"] == 1
        server.reload()
        server.expect("generation 2 serves")
        server.wait_for_generation(2)
