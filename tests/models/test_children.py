"""What is particular to models whose clients are served by other processes, or by threads: handlers that misbehave, what children
hold and say, and who is left over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 10.0
MOST = 5
POOL = MOST + 2
T = TypeVar("T")

FORKING = ("fork", "socketserver_forking")
PROCESSES = (*FORKING, "process_pool")
THREADS = ("thread", "thread_pool", "socketserver_threading")
KINDS = ("request", "session")


def until(condition: Callable[[], T]) -> T:
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.005)
    return found


class Alone:
    """A server, and what it has said."""

    def __init__(self, folder: Path, model: str, handler: str) -> None:
        self.model = model
        self.said, self.complained = folder / "said", folder / "complained"
        with (
            socket.create_server(("127.0.0.1", 0)) as door,
            self.said.open("wb") as out,
            self.complained.open("wb") as err,
        ):
            self.address = door.getsockname()
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.models.alone", model, handler, str(POOL), str(MOST),
                 str(door.fileno())],
                pass_fds=(door.fileno(),), stdout=out, stderr=err, cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            )  # fmt: skip
            door.setblocking(False)

    @contextmanager
    def client(self) -> Iterator[socket.socket]:
        with socket.create_connection(self.address, PATIENCE) as client:
            yield client

    def ask(self, word: bytes) -> bytes:
        """Of a client who comes for this alone."""
        with self.client() as client:
            return ask(client, word)

    def told(self, what: str) -> list[list[Any]]:
        """What the ledger was told in the parent; no child has one."""
        lines = [json.loads(line) for line in self.said.read_bytes().split(b"\n") if line.startswith(b"[")]
        assert all(line[0] for line in lines if line[1] != "looked")
        return [line[2:] for line in lines if line[1] == what]

    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ask(client: socket.socket, word: bytes) -> bytes:
    client.sendall(word + b"\n")
    answer = b""
    while not answer.endswith(b"\n") and (data := client.recv(65536)):
        answer += data
    return answer.rstrip(b"\n")


def is_there(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Alone]:
    model, kind = request.param
    server = Alone(tmp_path, model, f"tests.models.naughty:{kind}")
    try:
        assert server.ask(b"hello") == b"hello"
        yield server
        if server.process.poll() is None:
            left = server.children()
            server.process.terminate()
            assert server.process.wait(PATIENCE) == 0, server.complained.read_text()
            assert not any(map(is_there, left))
        assert "Warning" not in server.complained.read_text()
    finally:
        server.process.kill()
        server.process.wait()


def served_by(*models: str, kinds: tuple[str, ...] = ("request",)) -> pytest.MarkDecorator:
    cells = [(model, kind) for model in models for kind in kinds]
    return pytest.mark.parametrize("server", cells, ids="-".join, indirect=True)


@served_by(*PROCESSES, *THREADS, "single", kinds=KINDS)
def test_a_handler_that_exits_has_failed_and_only_its_own_client_hears_of_it(server: Alone) -> None:
    with server.client() as other:
        if server.model != "single":  # there the other one would have to wait
            assert ask(other, b"before") == b"before"
            assert server.ask(b"exit") == b""
            assert ask(other, b"after") == b"after"
    assert server.ask(b"exit") == b""
    assert server.ask(b"again") == b"again"
    until(lambda: ["handler_failed"] in [ended[:1] for ended in server.told("ended")])
    assert "SystemExit" in server.complained.read_text()


@served_by(*PROCESSES, *THREADS, kinds=("session",))
def test_what_a_session_raises_of_its_own_is_a_failure_even_if_it_is_an_OSError(server: Alone) -> None:
    assert server.ask(b"open") == b""
    until(lambda: ["handler_failed"] in [ended[:1] for ended in server.told("ended")])
    assert "/nowhere/at/all" in server.complained.read_text()


@served_by(*PROCESSES, kinds=KINDS)
@pytest.mark.parametrize(("word", "how"), [(b"die", "Killed"), (b"leave", "exit status 3")])
def test_a_handler_that_kills_its_process_harms_only_its_own_client(server: Alone, word: bytes, how: str) -> None:
    with server.client() as other:
        assert ask(other, b"before") == b"before"
        assert server.ask(word) == b""
        assert ask(other, b"after") == b"after"
        assert server.ask(b"again") == b"again"
    until(lambda: len(server.told("ended")) == 4)
    assert [ended for ended in server.told("ended") if ended[0] is not None] == [["handler_failed", "127.0.0.1", 0, 0]]
    assert until(lambda: how in server.complained.read_text())
    assert len(until(lambda: server.told("left")[3:])) == 1  # its place is free again


@served_by("process_pool")
def test_processes_of_a_pool_that_have_died_are_replaced(server: Alone) -> None:
    first = until(lambda: pids if len(pids := server.children()) == POOL else None)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    second = until(lambda: pids if len(pids := server.children()) == POOL and not set(pids) & set(first) else None)
    assert int(server.ask(b"who")) in second


@served_by("process_pool", "fork")
def test_who_serves_does_not_outlive_a_server_that_was_killed(server: Alone) -> None:
    with server.client() as client:
        pid = int(ask(client, b"who"))
        left = {pid, *server.children()}
        server.process.kill()
        server.process.wait()
        assert ask(client, b"still here") == b"still here"
    until(lambda: not any(map(is_there, left)))


@served_by(*FORKING)
def test_a_child_holds_its_own_client_its_line_and_nothing_else(server: Alone) -> None:
    with server.client() as other:
        assert ask(other, b"one") == b"one"
        names = json.loads(server.ask(b"descriptors"))
    assert len([name for name in names if name.startswith("socket:")]) == 2
    assert not [name for name in names if "eventpoll" in name]


@served_by("process_pool")
def test_a_process_of_a_pool_holds_no_line_of_others(server: Alone) -> None:
    """Its client, the door, its line, and what signals wake it by."""
    names = json.loads(server.ask(b"descriptors"))
    assert len([name for name in names if name.startswith("socket:")]) == 5
    assert len([name for name in names if "eventpoll" in name]) == 1


@served_by(*PROCESSES)
def test_what_moves_on_a_long_connection_is_told_before_its_end(server: Alone) -> None:
    with server.client() as client:
        until(lambda: ask(client, b"0123456") == b"0123456" and server.told("moved"))
        until(lambda: ask(client, b"0123456") and sum(moved[2] for moved in server.told("moved")) > 3)
        assert len(server.told("ended")) == 1


@served_by(*PROCESSES)
def test_whoever_is_served_by_a_child_is_counted_by_the_doorkeeper_of_the_parent(server: Alone) -> None:
    until(lambda: server.told("left"))
    with ExitStack() as clients:
        for _ in range(MOST):
            assert ask(clients.enter_context(server.client()), b"one") == b"one"
        with suppress(ConnectionResetError):
            assert server.ask(b"one too many") == b""
    until(lambda: len(server.told("left")) == MOST + 1)
    assert until(lambda: server.told("refused")) == [["banned"]]
    assert len(server.told("entered")) == MOST + 1
    assert server.ask(b"next") == b"next"


@served_by("fork", "process_pool")
def test_what_a_handler_prints_is_not_lost_nor_said_twice(server: Alone) -> None:
    assert server.ask(b"print") == b"print"
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert server.said.read_bytes().count(b"a word") == 1


@served_by("fork")
def test_a_child_has_gone_even_if_one_of_its_own_is_left(server: Alone) -> None:
    with server.client() as client:
        left = int(ask(client, b"bear"))
        pid = int(ask(client, b"who"))
    try:
        until(lambda: not is_there(pid))
        until(lambda: pid not in server.children())
        until(lambda: len(server.told("ended")) == 2)
    finally:
        os.kill(left, signal.SIGKILL)
