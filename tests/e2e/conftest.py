"""Real servers for real clients: each is `enfilade up` in a process of its own, on free ports."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from httpx._transports import default

ROOT = Path(__file__).parent.parent.parent
T = TypeVar("T")
# Each client reads the 150 authorities of the Web when it is made, to speak plain HTTP: 50 ms of it.
default.create_ssl_context = cache(default.create_ssl_context)
Start = Callable[..., "Server"]
PATIENCE = 20.0
"""Seconds that a machine may stall for without a test failing; fewer than the server's own time-outs, which end much, too."""
START = 40.0
"""The same for a start, of several processes."""


class Server:
    """A running server. `url("http")` is where it listens; `output` is what it has printed."""

    def __init__(
        self,
        arguments: list[str],
        cwd: Path,
        environ: dict[str, str] | None = None,
        under: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.directory = cwd
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONUNBUFFERED": "1", **(environ or {})}
        self.process = subprocess.Popen(
            [*under, sys.executable, "-m", "enfilade", *arguments],
            cwd=cwd,
            pass_fds=pass_fds,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._urls: dict[str, str] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                for url in re.findall(r"\b(https?://[^\s]+:\d+)", line):
                    self._urls.setdefault(urlsplit(url).scheme, url)
                self._changed.notify_all()
        self.process.wait()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str, seconds: float = PATIENCE) -> str:
        """The first line that matches `pattern`, printed so far or within `seconds`."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.process.poll() is not None, seconds)
            line = found()
        assert line is not None, f"no line matches {pattern!r} in:\n{self.output}"
        return line

    def url(self, scheme: str = "http") -> str:
        with self._changed:
            self._changed.wait_for(lambda: scheme in self._urls or self.process.poll() is not None, START)
        assert scheme in self._urls, f"does not listen for {scheme}:\n{self.output}"
        return self._urls[scheme]

    def address(self, scheme: str = "http") -> tuple[str, int]:
        parts = urlsplit(self.url(scheme))
        assert parts.hostname is not None and parts.port is not None
        return parts.hostname, parts.port

    def connect(self, scheme: str = "http", *, alpn: list[str] | None = None) -> socket.socket:
        sock = socket.create_connection(self.address(scheme), timeout=10)
        if scheme == "http":
            return sock
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(alpn or ["http/1.1"])
        return context.wrap_socket(sock, server_hostname="localhost")

    def raw(self, data: bytes) -> bytes:
        """Send `data` on a new plain connection and return all that comes until the server closes it."""
        with self.connect() as sock:
            sock.sendall(data)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            return answer

    def logged(self, name: str, look: Callable[[str], T]) -> T:
        """What `look` makes of the first line of the log file `name` for which that is true, now or in a moment."""
        deadline = time.monotonic() + PATIENCE
        path = self.directory / name
        while time.monotonic() < deadline:
            for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
                if line.endswith("\n") and (found := look(line.rstrip("\n"))):
                    return found
            time.sleep(0.02)
        raise AssertionError(f"no such line in {name}:\n{path.read_text() if path.exists() else 'nothing'}")

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Stop gracefully; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def _starter(directory: Path) -> Iterator[Start]:
    running: list[Server] = []

    def start(
        config: str = "", *arguments: str, files: dict[str, str] | None = None, wait: bool = True,
        environ: dict[str, str] | None = None, under: Sequence[str] = (), pass_fds: Sequence[int] = (),
    ) -> Server:  # fmt: skip
        """Start `enfilade up` with `config`, or `enfilade ARGUMENTS`, next to `files`; wait until it serves, or do not.
        `under`: a command that runs it."""
        for name, text in (files or {}).items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if config:
            (directory / "enfilade.toml").write_text(config)
            arguments = ("up", "-c", "enfilade.toml")
        server = Server(list(arguments), directory, environ, under, pass_fds)
        running.append(server)
        if wait:
            server.url(next((s for s in ("http", "https") if f"{s} =" in config or f"--{s}" in arguments), "http"))
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from _starter(tmp_path)


@pytest.fixture(scope="module")
def directory_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `start_once` puts the configuration and runs: for what the configuration names."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def start_once(directory_once: Path) -> Iterator[Start]:
    """The same for a server that all tests of a module share."""
    yield from _starter(directory_once)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    """An HTTP/1.1 client of the module's own `server`."""
    with httpx.Client(base_url=server.url("http"), timeout=PATIENCE) as made:
        yield made


@pytest.fixture(scope="module")
def http2(server: Server) -> Iterator[httpx.Client]:
    """The same over TLS and HTTP/2."""
    with httpx.Client(base_url=server.url("https"), verify=False, http2=True, timeout=PATIENCE) as made:
        yield made
