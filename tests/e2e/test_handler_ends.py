"""How streams with a handler end under the supervisor, in each model: all of them are streams of one configuration."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.conftest import Server, Start
from tests.e2e.kit import connect, eventually

from enfilade.models.table import MODELS

ALL = "[server]\ndrain_timeout = 600\n" + "".join(
    f'[streams.{model}]\nlisten = "tcp://127.0.0.1:0"\nhandler = "echo"\nmodel = "{model}"\n' for model in MODELS
)


@contextmanager
def clients(server: Server) -> Iterator[dict[str, socket.socket]]:
    """One of each model, who has been served."""
    with ExitStack() as held:
        found = {model: held.enter_context(connect(server, model)) for model in MODELS}
        assert said(found, b"before") == dict.fromkeys(MODELS, b"before")
        yield found


def said(clients: dict[str, socket.socket], word: bytes) -> dict[str, bytes]:
    """What each hears who says `word`."""
    for sock in clients.values():
        sock.sendall(word)
    return heard(clients)


def heard(clients: dict[str, socket.socket]) -> dict[str, bytes]:
    """What each hears now."""
    return {model: sock.recv(100) for model, sock in clients.items()}


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


def test_a_stop_ends_idle_connections_also_of_those_who_drain(start: Start) -> None:
    server = start(ALL, wait=False)
    with clients(server) as old:
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded")
        assert said(old, b"meanwhile") == dict.fromkeys(MODELS, b"meanwhile"), "a drain spares them"
        server.signal(signal.SIGTERM)
        assert heard(old) == dict.fromkeys(MODELS, b"")
    assert server.stop() == 0


def test_no_process_outlives_the_supervisor(start: Start) -> None:
    server = start(ALL, wait=False)
    with clients(server) as all_of_them:
        started = processes(server.process.pid)
        assert len(started) > len(MODELS)
        server.signal(signal.SIGKILL)
        assert heard(all_of_them) == dict.fromkeys(MODELS, b"")
    eventually(lambda: not any(map(alive, started)))
