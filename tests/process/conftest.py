"""A real server in a child process, and the few words needed to talk to it."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 20.0
LOOK = 0.01
"""Seconds between two looks for what a server will do: looking without a pause takes the processor from it."""
ROOT = Path(__file__).parent.parent.parent


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Server:
    def __init__(
        self,
        folder: Path,
        plan: dict[str, Any],
        options: dict[str, Any],
        environ: dict[str, str],
        inherit: socket.socket | None,
    ) -> None:
        self.file = folder / "plan.json"
        self.lines: list[str] = []
        self._rest = b""
        self.write(plan)
        command = [sys.executable, "-W", "error", "-m", "tests.process.served", str(self.file), json.dumps(options)]
        if inherit is not None:  # as systemd does it: descriptor 3, and our own pid in LISTEN_PID
            command = [sys.executable, "-S", "-c", AS_SYSTEMD, str(inherit.fileno()), *command]
        self.process = subprocess.Popen(
            command, pass_fds=(inherit.fileno(),) if inherit is not None else (),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **environ},
        )  # fmt: skip

    def started(self) -> Server:
        assert self.process.stdout is not None
        self.addresses = json.loads(self.process.stdout.readline())
        host, _, port = self.addresses[0].rpartition(":")
        self.address = (host.strip("[]"), int(port)) if port.isdecimal() else ("", 0)
        return self

    def write(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        new = self.file.with_suffix(".new")  # never half a file, whenever it is read
        new.write_text(json.dumps({"listen": ["127.0.0.1:0"], **plan}))
        new.replace(self.file)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def reload(self, plan: dict[str, Any] | None = None) -> None:
        if plan is not None:
            self.write(plan)
        self.signal(signal.SIGHUP)

    def expect(self, text: str) -> str:
        """The next line of the log that has `text` in it."""
        assert self.process.stderr is not None
        until = time.monotonic() + PATIENCE
        while True:
            *lines, self._rest = self._rest.split(b"\n")
            for i, line in enumerate(lines):
                self.lines.append(line.decode())
                if text in self.lines[-1]:
                    self._rest = b"\n".join([*lines[i + 1 :], self._rest])
                    return self.lines[-1]
            readable, _, _ = select.select([self.process.stderr], [], [], until - time.monotonic())
            got = os.read(self.process.stderr.fileno(), 65536) if readable else b""
            assert got, f"{text!r} was not logged, but:\n" + "\n".join(self.lines)
            self._rest += got

    def rest(self) -> str:
        """What was logged and nobody expected, when all processes have ended."""
        assert self.process.stderr is not None
        return (self._rest + self.process.stderr.read()).decode()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, PATIENCE)

    def get(self, path: str = "/", connection: socket.socket | None = None) -> Any:
        body = fetch(connection, path) if connection else self._get_once(path)
        return json.loads(body) if path != "/metrics" else body.decode()

    def _get_once(self, path: str) -> bytes:
        with self.connect() as connection:
            return fetch(connection, path)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status, as soon as `condition` holds for it."""
        return self._ask("/status", condition)

    def wait_for_generation(self, number: int) -> dict[str, Any]:
        """An answer of that generation: its predecessor accepts until it has heard that it should not."""
        return self._ask("/", lambda answer: answer["generation"] == number)

    def _ask(self, path: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while not condition(answer := self.get(path)):
            assert time.monotonic() < until, answer
            time.sleep(LOOK)
        return answer

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(PATIENCE)
        finally:
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()


def fetch(connection: socket.socket, path: str = "/") -> bytes:
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % path.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += (piece := connection.recv(65536))
        assert piece, "the connection ended before the answer"
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    while len(body) < length:
        body += (piece := connection.recv(65536))
        assert piece, "the connection ended inside the answer"
    return body


def wait_refused(connect: Callable[[], socket.socket]) -> None:
    """Until nobody listens there any more."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            connect().close()
        except ConnectionError:
            return
        time.sleep(LOOK)
    raise AssertionError("it still accepts connections")


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def launch(
        plan: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        inherit: socket.socket | None = None,
        **options: Any,
    ) -> Server:
        servers.append(Server(tmp_path, plan or {}, options, environ or {}, inherit))
        return servers[-1]

    yield launch
    for server in servers:
        server.end()
