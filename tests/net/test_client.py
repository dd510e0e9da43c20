"""Connections to peers: how they come to their pool, how they leave it, and what their dialer says."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import self_signed
from tests.handlers.proxy.conftest import scene  # noqa: F401
from tests.handlers.proxy.kit import GET, OK, Scene
from tests.net.kit import Meter

from enfilade.config.schema import Upstream
from enfilade.exchange.call import Channel
from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason
from enfilade.net.client import CallLimits, ClientContext, Engine
from enfilade.net.context import ConnectionLimits, Tracked
from enfilade.net.dialer import Dialer, client_tls
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits

Make = Callable[..., Scene]


def used(s: Scene) -> Any:
    """A client whose first exchange has left an idle connection."""
    client = s.client()
    client.says(GET)
    if s.http2:
        s.far[0].talk()
        s.far[0].answers(1)
    else:
        s.far[0].says(OK)
    client.got()
    return client


@pytest.mark.parametrize("http2", [False, True])
def test_an_idle_connection_is_closed_after_a_while(scene: Make, http2: bool) -> None:  # noqa: F811
    s = scene(http2=http2, limits=CallLimits(keep_alive=60.0))
    client = used(s)
    s.wait(59.0)
    assert not s.far[0].closed
    s.wait(1.0)
    assert s.far[0].closed
    client.says(GET)
    assert len(s.far) == 2


def test_one_idle_connection_more_than_is_kept_goes_after_a_while(scene: Make) -> None:  # noqa: F811
    s = scene(table=Upstream(keep=1, eject=False))
    clients = [s.client(), s.client()]
    for client, far in zip(clients, (0, 1), strict=True):
        client.says(GET)
        assert len(s.far) == far + 1
    for far in s.far:
        far.says(OK)
    s.wait(0.9)
    assert [far.closed for far in s.far] == [False, False]
    s.wait(0.1)
    assert sum(far.closed for far in s.far) == 1


def test_a_busy_connection_is_not_idle(scene: Make) -> None:  # noqa: F811
    s = scene(limits=CallLimits(keep_alive=60.0, head=0.0))
    s.client().says(GET)
    s.wait(3600.0)
    assert not s.far[0].closed


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("how", ["ends", "breaks"])
def test_a_connection_closed_while_idle_is_not_used(scene: Make, http2: bool, how: str) -> None:  # noqa: F811
    s = scene(http2=http2)
    client = used(s)
    getattr(s.far[0], how)()
    client.says(GET)
    assert len(s.far) == 2


@pytest.mark.parametrize("said", [b"connection: close\r\n", b""])
def test_an_answer_that_closes_ends_the_connection(scene: Make, said: bytes) -> None:  # noqa: F811
    s = scene()
    client = s.client()
    client.says(GET)
    version = b"HTTP/1.1" if said else b"HTTP/1.0"
    s.far[0].says(version + b" 200 OK\r\n" + said + b"content-length: 2\r\n\r\nok")
    assert client.got().endswith(b"ok") and s.far[0].closed
    client.says(GET)
    assert len(s.far) == 2


def test_a_drain_lets_go_of_idle_connections(scene: Make) -> None:  # noqa: F811
    s = scene()
    one, two = s.client(), s.client()
    one.says(GET)
    two.says(GET)
    s.far[0].says(OK)
    s.run(s.upstream.peers[0].pool.retire)
    assert s.far[0].closed and not s.far[1].closed
    s.far[1].says(OK)
    assert two.got().endswith(b"ok") and s.far[1].closed
    one.says(GET)
    s.far[2].says(OK)
    assert one.got().count(b"\r\n\r\nok") == 2 and s.far[2].closed


def test_an_http2_connection_takes_calls_when_its_peer_has_said_how_many(scene: Make) -> None:  # noqa: F811
    s = scene(http2=True, streams=2, greets=False)
    clients = [s.client() for _ in range(3)]
    for client in clients:
        client.says(GET)
    far = s.far[0]
    assert far.got().startswith(b"PRI * ") and b"GET" not in far.transport.wrote
    s.greets = True
    far.connection.service.loop.call_soon(far.connection.data_received, b"".join(far.engine.pending()))
    s.settle()
    far.engine.feed(far.transport.wrote, 0.0)
    far._seen = len(far.transport.wrote)
    assert len(far.connection.open) == 2 and len(s.far) == 2
    s.far[1].talk()
    assert list(s.far[1].asked) == [1]


def test_an_idle_http2_connection_says_goodbye(scene: Make) -> None:  # noqa: F811
    s = scene(http2=True, limits=CallLimits(keep_alive=60.0))
    used(s)
    s.far[0].got()
    s.wait(60.0)
    assert s.far[0].got().endswith(b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\0")


def test_what_an_engine_cannot_send_costs_no_connection(scene: Make, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    s = scene(path=lambda x: b"/a b")
    client = s.client()
    with caplog.at_level(logging.ERROR):
        client.says(GET)
    assert (
        client.got().startswith(b"HTTP/1.1 500 ")
        and s.reasons == ["internal"]
        and "not a request target" in caplog.text
    )
    assert s.upstream.peers[0].pool.idle and not s.far[0].closed


# -- dialing


class Home:
    crowded = False

    def __init__(self) -> None:
        self.channel: Any = None
        self.why: Reason | None = None
        self.told = asyncio.Event()

    def opened(self, channel: Channel) -> None:
        assert self.why is None
        self.channel = channel
        self.told.set()

    def refused(self, why: Reason) -> None:
        assert self.channel is None and self.why is None
        self.why = why
        self.told.set()

    def freed(self, channel: Channel) -> None: ...

    def lost(self, channel: Channel) -> None: ...


class Context(ClientContext):
    """Tells when a connection is gone."""

    def closed(self, connection: Tracked, ends: Ends) -> None:
        super().closed(connection, ends)
        self.over.set()

    over: asyncio.Event


ENGINE: Engine = lambda alpn: (Http1Client(Http1Limits()), False)  # noqa: E731


async def dialed(where: tuple[str, int] | str, *, timeout: float = 5.0, said: bytes = b"", **options: Any) -> Home:
    context = context_of(asyncio.get_running_loop())
    home = await home_of(Dialer(context, where, ENGINE, timeout=timeout, name="http://peer", **options), said)
    if home.channel is not None:
        await closed(home, context)
    assert not context.connections
    return home


def context_of(loop: asyncio.AbstractEventLoop) -> Context:
    context = Context(
        calls=CallLimits(),
        loop=loop,
        limits=ConnectionLimits(),
        meter=Meter(),
        connections=set(),  # type: ignore[arg-type]
    )
    context.over = asyncio.Event()
    return context


async def home_of(dial: Dialer, said: bytes = b"") -> Home:
    """Who was dialed for, when it has heard how it went."""
    home = Home()
    dial(home, said)
    await home.told.wait()
    return home


async def closed(home: Home, context: Context) -> None:
    """Wait until that is so; its peer may have been quicker."""
    home.channel.close()
    while home.channel in context.connections:
        context.over.clear()
        await context.over.wait()


async def serve(**options: Any) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, **options)
    return server, server.sockets[0].getsockname()[1]


def why(home: Home) -> str:
    return "" if home.why is None else home.why.name


def test_tcp_and_unix(tmp_path: Path) -> None:
    async def main() -> list[str]:
        server, port = await serve()
        unix = await asyncio.start_unix_server(lambda r, w: w.close(), tmp_path / "s")
        async with server, unix:
            return [why(await dialed(("127.0.0.1", port))), why(await dialed(str(tmp_path / "s")))]

    assert asyncio.run(main()) == ["", ""]


def test_nobody_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "enfilade.upstream")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        places: list[Any] = [taken.getsockname(), str(tmp_path / "none"), ("x" * 70 + ".invalid", 80), ("", 0)]

        async def main() -> list[str]:
            return [why(await dialed(place)) for place in places]

        assert asyncio.run(main()) == ["connect_failed"] * 4
    assert caplog.text.count("(connect_failed)") == 4 and "http://peer: " in caplog.text


def test_a_shortage_of_descriptors_is_ours_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[str]:
        server, port = await serve()
        context = context_of(asyncio.get_running_loop())
        now = 1000.0
        context.clock = lambda: now
        dial = Dialer(context, ("127.0.0.1", port), ENGINE, timeout=5.0, name="http://peer")
        reasons = []
        async with server:
            for seconds in (0.0, 59.0, 1.0):
                now += seconds
                with no_descriptors():
                    reasons.append(why(await home_of(dial)))
            home = await home_of(dial)
            await closed(home, context)
        return [*reasons, why(home)]

    assert asyncio.run(main()) == ["no_socket"] * 3 + [""]
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2
    assert caplog.records[0].getMessage() == "http://peer: Too many open files (no_socket)"


@contextmanager
def no_descriptors() -> Iterator[None]:
    """The process can open no file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_local_port_is_our_shortage_where_the_peer_was_reached_before() -> None:
    """Otherwise it is what Linux says where the host has no IPv6."""

    async def main() -> list[str]:
        loop: Any = asyncio.get_running_loop()
        server, port = await serve()
        context = context_of(loop)
        dial = Dialer(context, ("127.0.0.1", port), ENGINE, timeout=5.0)
        homes = []
        async with server:
            for fails in (True, False) * 2:
                if fails:
                    loop.create_connection = no_port
                homes.append(await home_of(dial))
                vars(loop).pop("create_connection", None)
            for home in (homes[1], homes[3]):
                await closed(home, context)
        return [why(home) for home in homes]

    async def no_port(*args: object, **options: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    assert asyncio.run(main()) == ["connect_failed", "", "no_socket", ""]


def test_an_announcement_is_what_the_peer_reads_first(tmp_path: Path) -> None:
    """Before TLS begins, too."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.readexactly(7))
        writer.close()

    async def main() -> list[tuple[str, bytes]]:
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        unix = await asyncio.start_unix_server(listen, tmp_path / "s")
        port = server.sockets[0].getsockname()[1]
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with server, unix:
            found = []
            for where, context in (
                (("127.0.0.1", port), None),
                (str(tmp_path / "s"), None),
                (("localhost", port), tls),
            ):
                home = await dialed(where, said=b"it is x", tls=context, server_name="localhost" if context else "")
                found.append((why(home), await heard.get()))
            return found

    said = asyncio.run(main())
    assert [words for _, words in said] == [b"it is x"] * 3
    assert [why for why, _ in said] == ["", "", "connect_failed"], "the last one ended within the handshake"


def test_who_cannot_be_told_cannot_be_connected_to(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        places: list[Any] = [taken.getsockname(), str(tmp_path / "none"), ("x" * 70 + ".invalid", 80)]

        async def main() -> list[str]:
            return [why(await dialed(place, said=b"it is x")) for place in places]

        assert asyncio.run(main()) == ["connect_failed"] * 3


def test_a_peer_that_does_not_accept_in_time() -> None:
    async def main() -> str:
        accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda r, w: accepted.set_result(w), "127.0.0.1", 0)
        where = server.sockets[0].getsockname()
        async with server:
            home = await dialed(where, timeout=0.05, tls=client_tls(verify=False), server_name="a")
            writer = await accepted
            writer.close()
            await writer.wait_closed()
            return why(home)

    assert asyncio.run(main()) == "connect_timeout"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that vouches for itself, and its key."""
    path = tmp_path_factory.mktemp("tls") / "pem"
    made = self_signed(["localhost"])
    path.write_bytes(made.chain + made.key)
    return path


@pytest.mark.parametrize(
    ("name", "trusted", "verify", "expected"),
    [
        ("localhost", True, True, ""),
        ("other.example", True, True, "upstream_tls"),
        ("localhost", False, True, "upstream_tls"),
        ("other.example", False, False, ""),
    ],
)
def test_certificates_are_verified(pem: Path, name: str, trusted: bool, verify: bool, expected: str) -> None:
    async def main() -> str:
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        theirs.load_cert_chain(pem)
        server, port = await serve(ssl=theirs)
        async with server:
            ours = client_tls(authority=str(pem) if trusted else None, verify=verify)
            return why(await dialed(("127.0.0.1", port), tls=ours, server_name=name))

    assert asyncio.run(main()) == expected


def test_a_peer_that_speaks_no_tls() -> None:
    async def main() -> str:
        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return why(await dialed(("127.0.0.1", port), tls=client_tls(), server_name="localhost"))

    assert asyncio.run(main()) == "upstream_tls"
