"""Streams with a handler, from end to end: every model under the supervisor, spoken to by real clients."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import address_of, connect, eventually, line, rejects, workers
from tests.e2e.processes import ask, metrics
from tests.ports import free_port

from enfilade.models.table import MODELS

HERE = "127.0.0.1"
NC = shutil.which("nc")
ADMIN = '[server]\nadmin = "127.0.0.1:0"\nworkers = 1\n'
LINES = """
from enfilade.framing import Delimiter, framed

@framed(Delimiter(b"\\n"))
def answer(line):
    if line == b"raise":
        raise RuntimeError("as it was told")
    return line.upper()

def session(connection):
    file = connection.makefile()
    for line in file:
        file.write(b"> " + line)
        file.flush()

async def async_session(reader, writer):
    while line := await reader.readline():
        writer.write(b">> " + line)
        await writer.drain()
"""
RELOADED = ("thread", "fork", "process_pool", "epoll", "asyncio_streams", "uvloop_protocol")
"""One of each way to wait, and of each way to hand a client on."""


def stream(name: str, model: str, handler: str = "lines:answer", more: str = "") -> str:
    return f'[streams.{name}]\nlisten = "tcp://{HERE}:0"\nhandler = "{handler}"\nmodel = "{model}"\n{more}\n'


def nc(*arguments: str, text: str) -> str:
    assert NC is not None, "nc is missing (netcat-openbsd)"
    return subprocess.run(
        [NC, *arguments], input=text, capture_output=True, text=True, timeout=PATIENCE, check=True
    ).stdout


@contextmanager
def clients(server: Server) -> Iterator[dict[str, socket.socket]]:
    """One of each of the models that are in RELOADED, who has been served."""
    with ExitStack() as held:
        found = {model: held.enter_context(connect(server, model)) for model in RELOADED}
        for model, sock in found.items():
            sock.sendall(b"one\n")
            assert line(sock) == b"ONE\n", model
        yield found


def answer(server: Server, name: str) -> bytes:
    """What a stream says to one who comes for this alone."""
    with connect(server, name) as sock:
        sock.sendall(b"two\n")
        return line(sock)


def has_ended(sock: socket.socket) -> bool:
    """Whether the server has ended the connection, by a reset or in peace, with nothing more to say."""
    try:
        return not sock.recv(1)
    except ConnectionError:
        return True


def is_refused(server: Server, name: str) -> bool:
    """Whether who comes to the stream now hears no answer."""
    try:
        with connect(server, name) as sock:
            sock.sendall(b"one\n")
            return has_ended(sock)
    except ConnectionError:
        return True


@pytest.fixture(scope="module")
def zens(start_once: Start) -> Iterator[Server]:
    """A server with the handler zen in each model: over TCP, IPv6, Unix, TLS, and UDP."""
    tables = [
        f'[streams.{model}]\nhandler = "zen"\nmodel = "{model}"\ntls = "internal"\nlog = false\n'
        f'listen = ["tcp://{HERE}:0", "tcp://[::1]:0", "tls://{HERE}:{free_port()}", "unix:{model}.sock"]\n'
        + (
            f'[streams.{model}-udp]\nhandler = "zen"\nmodel = "{model}"\nlisten = ["udp://{HERE}:0", "udp://[::1]:0"]\n'
            if MODELS[model].udp
            else ""
        )
        for model in MODELS
    ]
    server = start_once("\n".join(tables), wait=False)
    for model in MODELS:
        server.wait_for(rf"streams\.{model} on unix:")
    yield server
    children = workers(server)
    assert server.stop() == 0, server.output
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")], "nobody is left"
    assert "Traceback" not in server.output


def ports(server: Server, name: str) -> list[tuple[str, int]]:
    """The addresses of a stream, in the order in which they are written."""
    found = [said for said in server.lines if f": streams.{name} on " in said and "://" in said]
    return [(said.rpartition("://")[2].rpartition(":")[0].strip("[]"), int(said.rpartition(":")[2])) for said in found]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_nc(zens: Server, directory_once: Path, model: str) -> None:
    (four, port), (six, port6), (_, tls_port) = ports(zens, model)
    both = "What counts?\nWhat is better than ugly?"
    wanted = "Readability counts.Beautiful is better than ugly."
    assert nc("-N", four, str(port), text=both) == wanted
    assert nc("-N", "-6", six, str(port6), text=both) == wanted
    assert nc("-N", "-U", str(directory_once / f"{model}.sock"), text=both) == wanted
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((four, tls_port), timeout=PATIENCE) as sock, context.wrap_socket(sock) as secure:
        secure.sendall(b"What counts?")
        answer = b""
        while not answer.endswith(b"."):
            answer += secure.recv(100)
        assert answer == b"Readability counts."


@pytest.mark.parametrize("model", [name for name, model in MODELS.items() if model.udp])
def test_every_model_that_can_answers_datagrams(zens: Server, model: str) -> None:
    for address in ports(zens, f"{model}-udp"):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"What counts?", address)
            assert sock.recvfrom(100)[0] == b"Readability counts."


def test_one_command_is_a_server(start: Start) -> None:
    server = start("", "stream", "zen", "--model", "poll", "--listen", f"tcp://{HERE}:0", wait=False)
    host, port = address_of(server, "zen")
    assert nc("-N", host, str(port), text="What?") == "I have no answer to that."
    assert server.stop() == 0


def test_a_reload_takes_the_new_code_and_leaves_who_talks_to_the_old(start: Start) -> None:
    tables = [stream(model, model) for model in RELOADED]
    server = start("".join(tables), files={"lines.py": LINES}, wait=False)
    with clients(server) as old:
        (server.directory / "lines.py").write_text(LINES.replace("line.upper()", "line[::-1]"))
        server.signal(signal.SIGHUP)
        server.wait_for("generation 2 serves")
        for model, sock in old.items():
            eventually(lambda model=model: answer(server, model) == b"owt\n", model)
            sock.sendall(b"two\n")
            assert line(sock) == b"TWO\n", model
    assert server.stop() == 0


def counted(server: Server) -> dict[str, tuple[float, ...]]:
    """Connections in all and now, requests and bytes received, by model."""
    found, names = metrics(server), ("connections_total", "connections_open", "requests_total", "received_bytes_total")
    return {m: tuple(found.get(f'enfilade_stream_{name}{{stream="{m}"}}', 0) for name in names) for m in RELOADED}


def test_what_is_counted_and_logged(start: Start) -> None:
    logged = 'idle_timeout = "1s"\nlog = {{ format = "json", to = "{}.log" }}'
    tables = [stream(model, model, more=logged.format(model)) for model in RELOADED]
    server = start(ADMIN + "".join(tables), files={"lines.py": LINES}, wait=False)
    with clients(server) as failing:
        for model, sock in failing.items():
            sock.sendall(b"raise\n")
            assert sock.recv(1) == b"", f"its handler raised: {model}"
    with clients(server) as idle:
        for model, sock in idle.items():
            sock.sendall(b"two\n")
            assert line(sock) == b"TWO\n", model
        for model, sock in idle.items():
            assert sock.recv(1) == b"", f"it is idle, and closed: {model}"
    eventually(lambda: sum("RuntimeError: as it was told" in said for said in server.lines) == len(RELOADED))
    for model in RELOADED:
        row = server.logged(f"{model}.log", lambda text: (found := json.loads(text))["received"] == 8 and found)
        assert (row["sent"], row["reason"], row["client_ip"]) == (8, "idle_timeout", HERE), model
        assert server.logged(f"{model}.log", lambda text: json.loads(text)["reason"] == "handler_failed"), model
    eventually(lambda: counted(server) == dict.fromkeys(RELOADED, (2, 0, 3, 18)))
    assert rejects(server)["idle_timeout"] == len(RELOADED)


def test_who_is_banned_is_out_at_once_and_does_not_come_in(start: Start) -> None:
    tables = [stream(model, model) for model in RELOADED]
    server = start(ADMIN + "[bans]\n" + "".join(tables), files={"lines.py": LINES}, wait=False)
    with clients(server) as inside:
        ban = json.dumps({"address": HERE})
        assert ask(server, "POST", "/bans/add", ban, content_type="application/json").status == 200
        assert [model for model, sock in inside.items() if not has_ended(sock)] == []
    for model in RELOADED:
        assert is_refused(server, model), model
    eventually(lambda: rejects(server).get("banned", 0) >= 2 * len(RELOADED))


def test_the_firewall_stands_in_front_of_handlers(start: Start) -> None:
    server = start(
        ADMIN + f'[firewall]\ndeny = ["{HERE}"]\n' + stream("x", "thread") + stream("y", "epoll"),
        files={"lines.py": LINES},
        wait=False,
    )
    for name in "xy":
        assert is_refused(server, name)
    eventually(lambda: rejects(server).get("firewall_denied") == 2)


def test_a_worker_that_is_killed_is_replaced(start: Start) -> None:
    server = start(stream("x", "process_pool"), files={"lines.py": LINES}, wait=False)
    address_of(server, "x")
    [pid] = workers(server)
    born = Path(f"/proc/{pid}/task/{pid}/children")
    eventually(lambda: len(born.read_text().split()) == 8)
    children = born.read_text().split()
    os.kill(pid, signal.SIGKILL)
    server.wait_for(r"worker \d+ of streams\.x \(slot 0\) was killed by signal 9 .*; restart in")
    eventually(lambda: workers(server) not in ([], [pid]))
    with connect(server, "x") as sock:
        sock.sendall(b"one\n")
        assert line(sock) == b"ONE\n"
    eventually(lambda: not [child for child in children if os.path.exists(f"/proc/{child}")], "orphans end")


def test_sessions_have_the_whole_connection(start: Start) -> None:
    server = start(
        stream("sync", "thread", "lines:session") + stream("async", "uvloop_streams", "lines:async_session"),
        files={"lines.py": LINES},
        wait=False,
    )
    for name, prompt in (("sync", b"> "), ("async", b">> ")):
        with connect(server, name) as sock:
            sock.sendall(b"one\ntwo\n")
            assert (line(sock), line(sock)) == (prompt + b"one\n", prompt + b"two\n")


def test_a_handler_that_the_model_cannot_run_is_refused_at_the_start_and_at_a_reload(start: Start) -> None:
    bad = stream("x", "epoll", "lines:session")
    server = start(bad, files={"lines.py": LINES}, wait=False)
    server.wait_for("cannot start: .*the model epoll cannot run a handler of kind session; these can: single, thread")
    assert server.process.wait(PATIENCE) == 1
    server = start(stream("x", "thread", "lines:session"), wait=False)
    address_of(server, "x")
    (server.directory / "enfilade.toml").write_text(bad)
    server.signal(signal.SIGHUP)
    server.wait_for("reload refused, nothing has changed: .*the model epoll cannot run")
    with connect(server, "x") as sock:
        sock.sendall(b"one\n")
        assert line(sock) == b"> one\n"
