"""What a run stands on: the files to serve, one certificate for all, and servers that are started and answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Template

from bench import browser, compiled, processes
from bench.servers import ON_ALL_CORES, ORIGINS, STREAMS, TARGETS, TLS, Server

ROOT = Path(__file__).parent.parent
START_TIMEOUT = 15.0


class StartError(Exception):
    """The server ended, did not answer in time, or answered wrongly."""


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    port: int
    tls: bool
    path: str
    """What the load asks for."""
    body: int
    """Bytes of the body that answers it."""
    origin: int
    """Port of what stands behind the server; 0: nothing."""
    seconds: float
    """From the start of the process to its first answer."""
    programs: str
    """The folder of the programs in C, for kinds of work that need them."""

    @property
    def url(self) -> str:
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}{self.path}"


class Ground:
    """A scratch folder with everything that servers need."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._files = scratch / "files"
        self._certificate, self._key = scratch / "certificate.pem", scratch / "certificate.pem.key"
        self._path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
        self._write_files()
        self._make_certificate()

    @cached_property
    def _programs(self) -> Path:
        """The folder of the programs in C, compiled when they are first needed."""
        folder = self._scratch / "programs"
        compiled.build(folder)
        return folder

    def _write_files(self) -> None:
        (self._files / "varied").mkdir(parents=True)
        (self._files / "1k.html").write_bytes(b"x" * 1024)
        (self._files / "1m.bin").write_bytes(os.urandom(1024) * 1024)
        (self._files / "10m.bin").write_bytes(os.urandom(1024) * 10 * 1024)
        (self._scratch / "blocked.txt").write_text(
            "".join(f"11.{i >> 8 & 255}.{i & 255}.{i >> 16 << 7}/25\n" for i in range(100_000))
        )
        ban = {"address": "127.0.0.9", "until": int(time.time()) + 86400, "strikes": 1, "cause": "by hand"}
        (self._scratch / "bans").write_text(json.dumps(ban) + "\n")
        for i in range(256):
            (self._files / "varied" / f"{i:03}.html").write_bytes(b"%03d " % i * 256)

    def _make_certificate(self) -> None:
        names = f"subjectAltName=DNS:{browser.HOST},IP:127.0.0.1"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={browser.HOST}", "-addext", names]
        command += ["-keyout", str(self._key), "-out", str(self._certificate)]
        subprocess.run(command, check=True, capture_output=True)

    def version(self, server: Server) -> str | None:
        """The first line that names a version, or None where the server is not installed."""
        command = self._command(server.version, {})
        if shutil.which(command[0]) is None:
            return None
        found = subprocess.run(command, capture_output=True, text=True, env=self._environment())
        lines = (found.stdout + found.stderr).strip().splitlines()
        return lines[0] if found.returncode == 0 and lines else None

    @contextlib.contextmanager
    def started(self, server: Server, kind: str, path: str, body: int) -> Iterator[Running]:
        """The server, once it has answered `path` with 200 and `body` bytes."""
        with self._origin(kind) as origin:
            yield from self._start(server, kind, path, body, origin)

    @contextlib.contextmanager
    def _origin(self, kind: str) -> Iterator[int]:
        """What stands behind the servers for this kind of work: its port, or 0 where there is nothing."""
        if kind not in ORIGINS:
            yield 0
            return
        command, config = ORIGINS[kind]
        port = free_port()
        names = self._names(kind, port) | {"origin": str(port), "origin_config": str(self._scratch / "origin")}
        Path(names["origin_config"]).write_text(Template(config).substitute(names))
        log = self._scratch / "origin.log"
        process = processes.spawn(self._command(command, names), self._environment(), log, processes.LOAD_CORES)
        try:
            self._first_answer(process, port, "proxy", "/1k.html", log)
            yield port
        finally:
            processes.end(process)

    def _start(self, server: Server, kind: str, path: str, body: int, origin: int) -> Iterator[Running]:
        port = free_port()
        cache = tempfile.mkdtemp(prefix="cache-", dir=self._scratch)
        names = self._names(kind, port) | {"origin": str(origin), "cache": cache}
        Path(names["config"]).write_text(Template(server.configs.get(kind, "")).substitute(names))
        log = self._scratch / f"{server.name}.log"
        began = time.perf_counter()
        cores = processes.ALL_CORES if kind in ON_ALL_CORES else processes.SERVER_CORES
        process = processes.spawn(self._command(server.commands[kind], names), self._environment(), log, cores)
        try:
            status, length = self._first_answer(process, port, kind, path, log)
            seconds = time.perf_counter() - began
            if (status, length) != (200, body):
                raise StartError(f"{path}: {status} with {length} bytes, expected 200 with {body}\n{tail(log)}")
            yield Running(process, port, kind in TLS, path, body, origin, seconds, names["programs"])
            if process.poll() is not None:
                raise StartError(f"ended under load with {process.returncode}\n{tail(log)}")
        finally:
            processes.end(process)
            shutil.rmtree(cache, ignore_errors=True)

    def _names(self, kind: str, port: int) -> dict[str, str]:
        return {
            "port": str(port),
            "host": browser.HOST,
            "files": str(self._files),
            "certificate": str(self._certificate),
            "key": str(self._key),
            "config": str(self._scratch / "config.toml"),  # Traefik goes by the suffix
            "scratch": str(self._scratch),
            "target": TARGETS.get(kind, ""),
            "programs": str(self._programs) if kind in STREAMS else "",
            "nginx_user": "user root;" if os.geteuid() == 0 else "",
        }

    def _command(self, line: str, names: dict[str, str]) -> list[str]:
        program, *arguments = shlex.split(Template(line).substitute(names, python=sys.executable))
        return [shutil.which(program, path=self._path) or program, *arguments]

    def _environment(self) -> dict[str, str]:
        scratch = str(self._scratch)
        # A server that runs from its sources has its bytecode, as the installed ones have theirs.
        here = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return here | {
            "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT), str(ROOT / "src")]),
            "PATH": self._path,
            "HOME": scratch,
            "XDG_DATA_HOME": scratch,
            "XDG_CONFIG_HOME": scratch,
        }

    def _first_answer(
        self, process: subprocess.Popen[bytes], port: int, kind: str, path: str, log: Path
    ) -> tuple[int, int]:
        give_up = time.perf_counter() + START_TIMEOUT
        while time.perf_counter() < give_up:
            if process.poll() is not None:
                raise StartError(f"ended with {process.returncode}\n{tail(log)}")
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                if kind in STREAMS:
                    found = ask_stream(port, STREAMS[kind], path)
                else:
                    found = ask_http2(port, path) if kind == "grpc" else ask(port, kind in TLS, path)
                if found[0] < 500 and found[0] != 404:  # a server may be there before its routes, or what is behind it
                    return found
            time.sleep(0.002)
        raise StartError(f"no answer within {START_TIMEOUT:.0f} s\n{tail(log)}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(port: int, tls: bool, path: str) -> tuple[int, int]:
    """Status and body length of one GET, on a connection of its own."""
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=5, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": browser.HOST})
        response = connection.getresponse()
        return response.status, len(response.read())


def ask_http2(port: int, path: str) -> tuple[int, int]:
    """The same over HTTP/2 without TLS; status 0 where nobody answers."""
    command = ["h2load", "-n1", f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    length = re.search(r"headers.*\((\d+)\) data", said)
    if " 1 2xx" not in said or length is None:
        raise ConnectionError("no answer")
    return 200, int(length[1])


def ask_stream(port: int, kind: socket.SocketKind, message: str) -> tuple[int, int]:
    """The same for a service that answers a message: status 200, as it has none."""
    with socket.socket(socket.AF_INET, kind) as connection:
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
        connection.send(message.encode())
        return 200, len(connection.recv(65536))


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
