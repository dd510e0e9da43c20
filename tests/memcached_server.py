"""A real Memcached for tests, on a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class MemcachedServer:
    def __init__(self, directory: Path, *options: str) -> None:
        self.address = str(directory / "memcached.sock")
        program = shutil.which("memcached")
        assert program is not None, "missing: memcached. On Debian: apt-get install memcached"
        self._command = [program, "-u", pwd.getpwuid(os.geteuid()).pw_name, "-s", self.address, "-t", "1", *options]
        self.start()

    def start(self) -> None:
        Path(self.address).unlink(missing_ok=True)
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while True:
            try:
                self.ask(b"version")
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < until, "memcached does not start"
                time.sleep(0.02)

    def ask(self, command: bytes) -> bytes:
        """Its answer's first bytes."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(self.address)
            client.sendall(command + b"\r\n")
            return client.recv(65536)

    def flush(self) -> None:
        self.ask(b"flush_all")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def memcached_server(directory: Path, *options: str) -> Iterator[MemcachedServer]:
    server = MemcachedServer(directory, *options)
    try:
        yield server
    finally:
        server.stop()
