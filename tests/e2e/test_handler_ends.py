"""How streams with a handler end under the supervisor, in each model."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.e2e.conftest import Start
from tests.e2e.kit import connect, eventually

from enfilade.models.table import MODELS

in_each = pytest.mark.parametrize("model", MODELS)


def config(model: str) -> str:
    text = '[server]\ndrain_timeout = 600\n[streams.x]\nlisten = "tcp://127.0.0.1:0"\nhandler = "echo"\nmodel = "{}"\n'
    return text.format(model)


def processes(parent: int) -> list[int]:
    """Those that it has started, and those that these have."""
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [*children, *(pid for child in children for pid in processes(child))]


def alive(pid: int) -> bool:
    """It is neither gone nor a zombie that nobody has buried yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@in_each
def test_a_stop_ends_idle_connections_also_of_those_who_drain(start: Start, model: str) -> None:
    server = start(config(model), wait=False)
    with connect(server, "x") as old:
        old.sendall(b"before")
        assert old.recv(100) == b"before"
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded")
        old.sendall(b"meanwhile")
        assert old.recv(100) == b"meanwhile", "a drain spares it"
        server.signal(signal.SIGTERM)
        assert old.recv(100) == b""
    assert server.stop() == 0


@in_each
def test_no_process_outlives_the_supervisor(start: Start, model: str) -> None:
    server = start(config(model), wait=False)
    with connect(server, "x") as sock:
        sock.sendall(b"before")
        assert sock.recv(100) == b"before"
        started = processes(server.process.pid)
        assert started
        server.signal(signal.SIGKILL)
        assert sock.recv(100) == b""
    eventually(lambda: not any(map(alive, started)))
