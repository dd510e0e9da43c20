"""A real name server for tests: Knot DNS with the zone example.com, which takes updates that are signed with KEY."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.query
import dns.resolver
from tests.ports import HOST, free_port

KEY = "acme-key"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA=="
_CONFIG = """
server:
    rundir: "{folder}"
    listen: {host}@{port}
database:
    storage: "{folder}"
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: updates
    key: {key}
    action: update
zone:
  - domain: example.com
    storage: "{folder}"
    file: example.com.zone
    acl: updates
"""
_ZONE = """
$ORIGIN example.com.
$TTL 60
@ SOA ns admin 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
* A 127.0.0.1
"""


class Knot:
    """`address` is where it answers."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
        assert program is not None, "missing: knotd. On Debian: apt-get install knot"
        self.port = free_port()
        self.address = f"{HOST}:{self.port}"
        (folder / "knot.conf").write_text(
            _CONFIG.format(folder=folder, host=HOST, port=self.port, key=KEY, secret=SECRET)
        )
        (folder / "example.com.zone").write_text(_ZONE)
        with (folder / "knot.log").open("wb") as log:
            self._process = subprocess.Popen([program, "-c", str(folder / "knot.conf")], stdout=log, stderr=log)
        until = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < until and self._process.poll() is None, (folder / "knot.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return bool(self._ask("ns.example.com", "A"))
        except (OSError, dns.exception.DNSException):
            return False

    def _ask(self, name: str, kind: str) -> list[str]:
        answer = dns.query.tcp(dns.message.make_query(name, kind), HOST, 2, self.port)
        return [str(record).strip('"') for found in answer.answer for record in found]

    def texts(self, name: str) -> list[str]:
        """The TXT records of `name`."""
        return sorted(self._ask(name, "TXT"))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def knot(folder: Path) -> Iterator[Knot]:
    folder.mkdir(exist_ok=True)
    server = Knot(folder)
    try:
        yield server
    finally:
        server.stop()
