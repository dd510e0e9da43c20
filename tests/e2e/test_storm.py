"""A bad hour in a few seconds: reloads, workers killed, a peer that comes and goes, all under load, and no request fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable

from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.processes import status
from tests.ports import free_port

RELOADS = 4
KILLS = 3
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
pid_file = "server.pid"
[server.log]
level = "notice"
[sites."*"]
log = false
"/app" = { app = "main" }
"/peers" = { proxy = "peers" }
[apps.main]
target = "hello:app"
workers = 2
[upstreams.peers]
peers = ["http://127.0.0.1:STEADY", "http://127.0.0.1:FLAPS"]
eject = { failures = 2, time = "200ms" }
slow_start = 0
"""
APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A server that answers each request with ANSWER, when it is up; what it has is cut when it goes down."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        while self._open:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        self._open.discard(writer)
        await _closed(writer)


class Client:
    """Asks for `path` again and again until `stop`, on connections that it opens only where the server has closed the last one;
    `answers` counts, and whatever is not a 200 is an error."""

    def __init__(self, server: Server, path: str, stop: asyncio.Event) -> None:
        self.answers = 0
        self._server = server
        self._request = b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % path.encode()
        self._stop = stop

    async def run(self) -> None:
        writer: asyncio.StreamWriter | None = None
        while not self._stop.is_set():
            if writer is None:
                reader, writer = await asyncio.open_connection(*self._server.address())
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), (self._request, head, await reader.read(100))
            assert await reader.readexactly(2) == b"ok"
            self.answers += 1
            if b"connection: close" in head.lower():
                await _closed(writer)
                writer = None
            await asyncio.sleep(0.004)
        if writer is not None:
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """To its end: what a loop leaves open is found by whichever test runs when garbage is collected."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def app_workers(server: Server) -> list[int]:
    """Those that serve now, of the generation that serves now."""
    facts = status(server)
    workers = [worker for app in facts["apps"] for worker in app["workers"]]
    return [w["pid"] for w in workers if (w["state"], w["generation"]) == ("serving", facts["generation"])]


def asked(server: Server) -> int:
    facts = status(server)
    return int(facts["reloads"] + facts["reloads_refused"])


async def in_thread(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, condition, "", 30.0)


def test_reloads_kills_and_a_peer_that_flaps_lose_no_idempotent_request(start: Start) -> None:
    """FAILURES 19, 20 and 22 together."""

    async def main() -> tuple[Server, list[Client]]:
        steady, flaps = Peer(), Peer()
        await steady.up()
        await flaps.up()
        text = CONFIG.replace("STEADY", str(steady.port)).replace("FLAPS", str(flaps.port))
        server = await asyncio.to_thread(start, text, files={"hello.py": APP})
        stop = asyncio.Event()
        clients = [Client(server, path, stop) for path in ("/app", "/peers") for _ in range(4)]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        await asyncio.gather(reloading(server), killing(server), flapping(flaps))
        stop.set()
        await asyncio.gather(*tasks)
        await flaps.down()
        await steady.down()
        return server, clients

    async def reloading(server: Server) -> None:
        """Each until it is done, or refused because one of its workers was killed before it could serve."""
        for _ in range(RELOADS):
            before = asked(server)
            server.signal(signal.SIGHUP)
            await in_thread(lambda before=before: asked(server) > before)  # type: ignore[misc]

    async def killing(server: Server) -> None:
        """One worker at a time, of those that serve now."""
        killed: set[int] = set()
        for _ in range(KILLS):
            await in_thread(lambda: len(set(app_workers(server)) - killed) > 1)
            victim = (set(app_workers(server)) - killed).pop()
            killed.add(victim)
            with contextlib.suppress(ProcessLookupError):  # a reload was quicker
                os.kill(victim, signal.SIGKILL)

    async def flapping(peer: Peer) -> None:
        for _ in range(10):
            await peer.down()
            await asyncio.sleep(0.1)
            await peer.up()
            await asyncio.sleep(0.1)

    server, clients = asyncio.run(main())
    assert min(client.answers for client in clients) > 10
    facts = status(server)
    assert facts["reloads"] > RELOADS // 2 and facts["generation"] > RELOADS // 2, json.dumps(facts, indent=1)
