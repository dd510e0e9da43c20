"""Reload: a new configuration under load without one failed request, and every way in which it may be refused."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.processes import APP, ask, command, get, metrics, status, until, write
from tests.wire.outgoing import outgoing, unjoined

from enfilade.wire.events import ConnectionClosed, MessageEnded, ResponseReceived, StreamClosed
from enfilade.wire.http2 import Http2Client, Http2Limits

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
drain_timeout = 5
pid_file = "server.pid"
[sites."*"]
tls = "internal"
log = false
headers = {{ X-Version = "{version}" }}
"/*" = {{ app = "main" }}
"/v{version}" = {{ respond = "new" }}
[apps.main]
target = "hello:app"
workers = 1
"""
RELOADS = 10


def config(version: int, more: str = "") -> str:
    return CONFIG.format(version=version) + more


@pytest.fixture
def server(start: Start) -> Server:
    return start(config(0), files={"hello.py": APP})


def reload(server: Server, text: str) -> None:
    write(server, text)
    server.signal(signal.SIGHUP)


# -- clients under load: each counts the answers that it got, and raises where it got none


class Load:
    """Clients that go on until `stop`; `answers` are all they got."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answers = 0
        self.versions: set[str] = set()
        self.stop = asyncio.Event()

    async def http1(self) -> None:
        """A keep-alive client that opens a new connection only where the server said that it closes the old one."""
        reader = writer = None
        while not self.stop.is_set():
            if writer is None:
                reader, writer = await asyncio.open_connection(*self.server.address())
            writer.write(b"GET /x HTTP/1.1\r\nHost: t\r\n\r\n")
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200"), head
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            self._count(re.search(rb"x-version: (\d+)", head)[1].decode())  # type: ignore[index]
            if b"connection: close" in head:
                await _close(writer)
                writer = None
            await asyncio.sleep(0.005)
        if writer is not None:
            await _close(writer)

    async def http2(self) -> None:
        """The same over TLS and HTTP/2. (h2, and so httpx, gives up a request in flight at any GOAWAY; our engine does not.)"""
        engine = reader = writer = None
        while not self.stop.is_set():
            if engine is None or not engine.available:
                if writer is not None:
                    await _close(writer)
                reader, writer = await asyncio.open_connection(*self.server.address("https"), ssl=_trusting())
                engine = Http2Client(Http2Limits())
            assert reader is not None and writer is not None
            engine.request(outgoing("GET", "https", "localhost", b"/x"), end=True)
            ended = False
            while not ended:
                writer.writelines(engine.pending())
                data = await reader.read(65536)
                assert data, "the connection ended before the answer"
                for event in unjoined(engine.feed(data, 0.0), empty=True):
                    assert not isinstance(event, StreamClosed | ConnectionClosed), event
                    if isinstance(event, ResponseReceived):
                        assert event.status == 200
                        self._count((event.fields.get(b"x-version") or b"").decode())
                    ended |= isinstance(event, MessageEnded)
            await asyncio.sleep(0.005)
        if writer is not None:
            await _close(writer)

    def _count(self, version: str) -> None:
        self.answers += 1
        self.versions.add(version)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def test_reloads_under_load_lose_no_request_and_the_totals_are_exact(server: Server) -> None:
    """New configurations by SIGHUP and by the admin listener, in turn."""

    async def main() -> Load:
        load = Load(server)
        clients = [asyncio.create_task(make()) for make in (load.http1, load.http1, load.http1, load.http2)]
        for number in range(1, RELOADS + 1):
            write(server, config(number))
            if number % 2:
                server.signal(signal.SIGHUP)
            else:
                answer = await asyncio.to_thread(ask, server, "POST", "/reload", content_type="application/json")
                assert json.loads(answer.body) == {"reloaded": True, "generation": number + 1}  # type: ignore[attr-defined]
            await asyncio.to_thread(server.wait_for, f"generation {number + 1} serves")
        while str(RELOADS) not in load.versions:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        load.stop.set()
        await asyncio.gather(*clients)
        return load

    load = asyncio.run(main())
    assert len(load.versions) > RELOADS // 2
    assert get(server, f"/v{RELOADS}")[2] == b"new"
    assert get(server, "/v1")[2] != b"new"
    found = metrics(server)
    requests = 'enfilade_requests_total{site="*",route="%s",status="200"}'
    assert found[requests % "/*"] == load.answers + 1
    assert found[requests % f"/v{RELOADS}"] == 1
    assert found['enfilade_request_duration_seconds_count{site="*",route="/*"}'] == load.answers + 1
    assert found['enfilade_reloads_total{result="done"}'] == RELOADS
    assert found["enfilade_generation"] == RELOADS + 1
    assert found["enfilade_worker_restarts_total"] == 0
    assert not [name for name in found if name.startswith("enfilade_rejects_total")]
    until(lambda: metrics(server)['enfilade_workers{crew="edge"}'] == 2)
    server.stop()
    assert "ERROR" not in server.output.upper(), server.output


@pytest.fixture(scope="module")
def shared(start_once: Start) -> Iterator[Server]:
    return start_once(config(0), files={"hello.py": APP})


def test_a_handshake_that_a_reload_overtakes_is_finished_and_served_once(server: Server) -> None:
    """Who was accepted is served, and told `Connection: close` (RFC 9112 section 9.6)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
    with socket.create_connection(server.address("https"), timeout=10) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        incoming.write(sock.recv(65536))  # so it was accepted, by the worker that will drain
        reload(server, config(1))
        server.wait_for("generation 2 serves")
        until(lambda: any(w["state"] == "draining" for w in status(server)["workers"]))
        tls.do_handshake()
        tls.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        sock.sendall(outgoing.read())
        while piece := sock.recv(65536):
            incoming.write(piece)
        answer = tls.read(65536)
    assert (
        answer.startswith(b"HTTP/1.1 200")
        and b"connection: close" in answer.lower()
        and b"x-version: 0" in answer.lower()
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (config(1).replace("workers", "worker"), r'enfilade.toml:6:1: unknown key "worker" in server; did you mean'),
        (config(1) + '[sites."a"]\n"/" = { redirect = "nowhere" }\n', r"enfilade.toml:\d+:20: .*'nowhere' is not an address"),
        (config(1).replace("hello:app", "nothing:app"), "main cannot be started: nothing:app: there is no module"),
        (config(1) + 'env = { FAIL = "1" }\n', "the application main cannot be started: .*no database"),
        (config(1).replace('admin = "127', 'admin = "127.0.0.1:0"\nuser = "nobody-here'), "there is no user 'nobody-here"),
    ],
    ids=["key", "redirect", "import", "lifespan", "user"],
)  # fmt: skip
def test_a_bad_configuration_is_refused_with_its_reason_and_nothing_changes(
    shared: Server, text: str, why: str
) -> None:
    before = status(shared)
    write(shared, text)
    answer = ask(shared, "POST", "/reload", content_type="application/json")
    assert answer.status == 409
    assert re.search(why, shared.wait_for(f"reload refused, nothing has changed.*{why}"))
    after = status(shared)
    assert after["reloads_refused"] == before["reloads_refused"] + 1
    assert [w["pid"] for w in after["workers"] if w["state"] == "serving"] == [w["pid"] for w in before["workers"]]
    assert get(shared)[1]["x-version"] == "0"


def test_the_reload_command_waits_for_the_outcome(shared: Server) -> None:
    """`reload` reads the configuration itself, so what is wrong with it is said where it was called."""
    text = config(0).replace('admin = "127.0.0.1:0"', 'admin = "unix:admin.sock"')
    write(shared, text)
    shared.signal(signal.SIGHUP)
    until((shared.directory / "admin.sock").exists)
    until(lambda: command(shared, "status").returncode == 0)
    write(shared, text + 'env = { A = "b" }\n')
    done = command(shared, "reload")
    assert (done.returncode, "reloaded: generation" in done.stdout) == (0, True), shared.output()
    write(shared, text.replace("workers = 2", "workers = 0"))
    done = command(shared, "reload")
    assert (done.returncode, "enfilade.toml:6:11: server.workers: expected" in done.stderr) == (1, True)
    write(shared, text.replace("hello:app", "nothing:app"))
    done = command(shared, "reload")
    assert (done.returncode, "was refused" in done.stderr) == (1, True)
    assert '"state": "serving"' in command(shared, "status", "--json").stdout


def test_listeners_and_workers_come_and_go(start: Start) -> None:
    base = config(0)
    server = start(base, files={"hello.py": APP})
    reload(
        server,
        base.replace('http = "127.0.0.1:0"', 'http = ["127.0.0.1:0", "unix:web.sock"]', 1).replace(
            "workers = 2", "workers = 3"
        ),
    )
    server.wait_for("generation 2 serves")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(server.directory / "web.sock"))) as client:
        assert client.get("http://x/").status_code == 200
    until(lambda: sum(w["state"] == "serving" for w in status(server)["workers"]) == 3)
    reload(server, base.replace("workers = 2", "workers = 1"))
    server.wait_for("generation 3 serves")
    until(lambda: [w["state"] for w in status(server)["workers"]] == ["serving"])
    assert not (server.directory / "web.sock").exists()
    assert get(server)[0] == 200
