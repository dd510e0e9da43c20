"""What the tests of the cache share: the origin of `apps/origin.py` behind uvicorn, and what it is asked."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx
from tests.e2e.apps.origin import PIECE, piece
from tests.e2e.conftest import PATIENCE, Server
from tests.e2e.peers import Process
from tests.ports import free_port

APPS = Path(__file__).parent / "apps"
_names = map("name{}".format, itertools.count())


def a_name() -> str:
    """Nobody has asked for it."""
    return next(_names)


def said(response: httpx.Response) -> str:
    return response.headers["cache-status"]


@contextmanager
def speaking(server: Server, version: str) -> Iterator[httpx.Client]:
    """A client of `server` over `http1`, or over TLS and `http2`."""
    http2 = version == "http2"
    url = server.url("https" if http2 else "http")
    with httpx.Client(base_url=url, http2=http2, verify=False, timeout=PATIENCE) as made:
        yield made


class Origin(Process):
    """The application of `apps/origin.py`, in a server of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        port = port or free_port()
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS), "origin:app", "--port", str(port)]
        super().__init__([*command, "--log-level", "warning", "--timeout-graceful-shutdown", "1"], port, folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, name: str) -> int:
        """How often it was asked for."""
        return int(self._post(f"/count/{name}"))

    def left(self, name: str) -> int:
        return int(self._post(f"/left/{name}"))

    def open(self, name: str) -> None:
        self._post(f"/open/{name}")

    def fail(self, name: str) -> None:
        self._post(f"/fail/{name}")

    def move(self, name: str) -> None:
        self._post(f"/move/{name}")

    def _post(self, path: str) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", path)
            return connection.getresponse().read()
        finally:
            connection.close()


Count = Callable[[str], int]


def pattern(start: int, stop: int) -> bytes:
    """Those bytes of a body of any size of `apps/origin.py`."""
    first, last = start // PIECE, (stop - 1) // PIECE
    body = b"".join(piece(number) for number in range(first, last + 1))
    return body[start - first * PIECE : stop - first * PIECE]


def ask(server: Server, target: str, method: str = "GET", **fields: str) -> tuple[int, dict[str, str], bytes]:
    """On a connection of its own, so that any worker may take it: status, fields, body."""
    connection = HTTPConnection(*server.address(), timeout=PATIENCE)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()
