"""What several end-to-end modules need: an application that tells what reached it, the counters, descriptors, raw answers."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.conftest import PATIENCE, Server

APP = '''
"""Answers with what reached it; `/seen` with the list of all targets so far, `/slow` never, `/stream` for ever."""

import asyncio

seen = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    path = scope["path"].removeprefix("/app")
    if path == "/seen":
        return await answer(send, "\\n".join(seen).encode())
    seen.append(f"{scope['method']} {path}")
    if path == "/slow":
        await asyncio.Event().wait()
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
            await asyncio.sleep(0.05)
    if path == "/deaf":
        return await answer(send, b"deaf")
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen.append(f"DISCONNECT {path}")
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    seen.append(f"BODY {path} {len(body)}")
    await answer(send, b"echo:" + body)


async def answer(send, body):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
'''


def eventually(condition: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait until `condition()` is true."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"never came true: {what or condition}"
        time.sleep(0.02)


def get(server: Server, path: str, scheme: str = "http", host: str = "localhost") -> tuple[int, bytes]:
    """One answer on a connection of its own."""
    connection = HTTPConnection(*server.address(scheme), timeout=10)
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    try:
        return response.status, response.read()
    finally:
        connection.close()


def admin_address(server: Server) -> tuple[str, int]:
    line = server.wait_for(r"admin")
    found = re.search(r"(https?://[^\s]+:\d+)", line)
    assert found is not None, line
    parts = urlsplit(found[1])
    assert parts.hostname is not None and parts.port is not None
    return parts.hostname, parts.port


def rejects(server: Server) -> dict[str, int]:
    """`enfilade_rejects_total` by reason."""
    connection = HTTPConnection(*admin_address(server), timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return {
        m[1]: int(float(m[2]))
        for m in re.finditer(r'^enfilade_rejects_total\{[^}]*reason="(\w+)"[^}]*\} (\S+)', text, re.M)
    }


def workers(server: Server) -> list[int]:
    """The process ids of the server's children."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def connected(server: Server, port: int) -> list[int]:
    """Those of its processes that have a connection to `port` of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = {f"socket:[{line[9]}]" for line in lines if int(line[2].partition(":")[2], 16) == port}
    return [pid for pid in workers(server) if ends & {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}]


def descriptors(server: Server) -> int:
    """How many descriptors the workers have open."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in workers(server))


def address_of(server: Server, stream: str) -> tuple[str, int]:
    """Where a stream listens."""
    found = re.search(r"://(.*):(\d+)$", server.wait_for(rf"streams\.{stream} on "))
    assert found is not None
    return found[1], int(found[2])


def connect(server: Server, stream: str) -> socket.socket:
    """A connection to a stream."""
    return socket.create_connection(address_of(server, stream), timeout=20)


def line(sock: socket.socket) -> bytes:
    """What comes up to the end of the line, and not a byte more."""
    data = b""
    while not data.endswith(b"\n"):
        piece = sock.recv(1)
        assert piece, "the connection ended"
        data += piece
    return data


def metric(server: Server, name: str) -> float:
    """One sample of /metrics, 0 if it is not there."""
    host, port = admin_address(server)
    with socket.create_connection((host, port), timeout=10) as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b""
        while data := sock.recv(65536):
            text += data
    found = re.search(rf"^{re.escape(name)} (\S+)$", text.decode(), re.M)
    return float(found[1]) if found else 0.0


def parse(answer: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """All the responses that `answer` holds, framed by Content-Length: status, fields, body."""
    responses = []
    while answer:
        head, end, rest = answer.partition(b"\r\n\r\n")
        assert end, answer
        status, *lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines)
        size = int(fields.get(b"content-length", b"0"))
        assert len(rest) >= size, "the answer was cut"
        responses.append((int(status.split()[1]), fields, rest[:size]))
        answer = rest[size:]
    return responses


def last_words(sock: socket.socket) -> bytes:
    """Everything until the server closes; fails where it resets the connection."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def seen(server: Server) -> list[str]:
    """What reached APP so far."""
    return get(server, "/app/seen")[1].decode().splitlines()


@contextmanager
def unharmed_by_it(server: Server) -> Iterator[None]:
    """Whatever a test does: the same worker serves the next request, and no descriptor stays open."""
    before, open_before = workers(server), descriptors(server)
    yield
    assert get(server, "/hi") == (200, b"hi")
    assert workers(server) == before
    eventually(lambda: descriptors(server) <= open_before, "descriptors are closed")
