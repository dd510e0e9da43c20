"""What is particular to the models on an event loop, asyncio's own and uvloop: handlers that are awaited."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from tests.models.tls import Client, contexts_in

from enfilade.framing import Chunks, Delimiter, framed
from enfilade.http.reasons import Reason
from enfilade.models import asyncio_protocol, asyncio_streams
from enfilade.models.handler import handler_of
from enfilade.models.server import Door, Ended, Limits, Server

PATIENCE = 20.0
NO_LIMITS = Limits()
RESET = struct.pack("ii", 1, 0)


class Ledger:
    """Keeps how connections end."""

    def __init__(self) -> None:
        self.ends: list[str | None] = []
        self.sums = [0, 0, 0]
        self.changed = asyncio.Event()

    def opened(self) -> None:
        pass

    def moved(self, received: int, sent: int, requests: int) -> None:
        self.sums = [self.sums[0] + received, self.sums[1] + sent, self.sums[2] + requests]

    def ended(self, ended: Ended) -> None:
        self.moved(*ended.moved)
        self.ends.append(None if ended.why is None else ended.why.name)
        self.changed.set()

    def refused(self, why: Reason) -> None:
        self.ends.append(why.name)
        self.changed.set()

    def look(self, now: float) -> None:
        pass


class Scene:
    """A server and its clients, in one loop. `now`: what the server's clock shows."""

    def __init__(
        self,
        serve: Callable[[Server], Awaitable[None]],
        handler: Callable[..., Any],
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        *,
        udp: bool = False,
    ) -> None:
        self.now = 0.0
        self.ledger = Ledger()
        if udp:
            self.door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.door.bind(("127.0.0.1", 0))
        else:
            self.door = socket.create_server(("127.0.0.1", 0))
        self.address = self.door.getsockname()
        self.door.setblocking(False)
        doors = [Door(self.door, None if tls is None else lambda: tls)]
        self.server = Server(handler_of("a test's", handler), doors, limits, self.ledger, clock=lambda: self.now)
        self.serving = asyncio.ensure_future(serve(self.server))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def ends(self, count: int = 1) -> list[str | None]:
        """How so many connections have ended."""
        async with asyncio.timeout(PATIENCE):
            while len(self.ledger.ends) < count:
                self.ledger.changed.clear()
                await self.ledger.changed.wait()
        return self.ledger.ends

    async def close(self) -> None:
        self.server.abort()
        async with asyncio.timeout(PATIENCE):
            await self.serving


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


Play = Callable[[Scene], Awaitable[None]]
Stage = Callable[..., None]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop


@pytest.fixture
def streams(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Stage:
    """Plays with a server of coroutines."""
    return _stage(loop_factory, asyncio_streams.serve)


@pytest.fixture(params=[asyncio_protocol, asyncio_streams], ids=["protocol", "streams"])
def stage(request: pytest.FixtureRequest, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Stage:
    """Plays with a server of either kind."""
    return _stage(loop_factory, request.param.serve)


@pytest.fixture
def datagrams(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Stage:
    """Plays with a server whose door is one for datagrams."""
    return _stage(loop_factory, asyncio_protocol.serve, udp=True)


def _stage(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    serve: Callable[[Server], Awaitable[None]],
    udp: bool = False,
) -> Stage:
    def play(
        handler: Callable[..., Any], play: Play, limits: Limits = NO_LIMITS, tls: ssl.SSLContext | None = None
    ) -> None:
        async def perform() -> None:
            scene = Scene(serve, handler, limits, tls, udp=udp)
            try:
                await play(scene)
            finally:
                await scene.close()

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(perform())

    return play


class Waiting:
    """A handler that waits for ever, and tells."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def wait(self) -> bytes:
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b""


def test_a_handler_whose_client_resets_the_connection_is_cancelled(stage: Stage) -> None:
    waiting = Waiting()

    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        return await waiting.wait()

    async def play(scene: Scene) -> None:
        _, writer = await scene.connect()
        writer.write(b"a")
        await waiting.begun.wait()
        reset(writer)
        async with asyncio.timeout(PATIENCE):
            await waiting.cancelled.wait()
        assert await scene.ends() == ["client_gone"]
        assert not scene.server.open

    stage(handler, play)


def test_a_client_that_has_said_its_last_still_gets_its_answer(stage: Stage) -> None:
    go_on = asyncio.Event()

    @framed(Delimiter(b"\n"))
    async def handler(line: bytes) -> bytes:
        await go_on.wait()
        return line.upper()

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        writer.write(b"one\ntwo\nthr")
        writer.write_eof()
        await asyncio.sleep(0)
        go_on.set()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"ONE\nTWO\n"
        assert await scene.ends() == [None]
        assert scene.ledger.sums == [11, 8, 2]
        writer.close()

    stage(handler, play)


def test_a_handler_that_cancels_itself_has_failed(stage: Stage) -> None:
    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        raise asyncio.CancelledError

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        writer.write(b"a")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
        assert await scene.ends() == ["handler_failed"]

    stage(handler, play)


def test_messages_of_a_client_are_answered_one_after_the_other(stage: Stage) -> None:
    """Also when more come while one is being answered."""
    at_once: list[int] = []
    running = 0

    @framed(Delimiter(b"\n"))
    async def handler(line: bytes) -> bytes:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0)
        running -= 1
        return line

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        for i in range(20):
            writer.write(b"%d\n" % i)
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            assert [int(await reader.readline()) for _ in range(20)] == list(range(20))
        writer.close()
        assert max(at_once) == 1

    stage(handler, play)


def test_who_runs_ahead_of_its_handler_is_not_read_without_end(stage: Stage) -> None:
    waiting = Waiting()

    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        return await waiting.wait()

    async def play(scene: Scene) -> None:
        _, writer = await scene.connect()
        writer.write(b"a")
        await waiting.begun.wait()
        writer.transport.set_write_buffer_limits(0)
        writer.write(bytes(100_000_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await writer.drain()
        assert writer.transport.get_write_buffer_size() > 50_000_000
        writer.transport.abort()

    stage(handler, play)


def test_a_session_may_return_and_its_client_gets_what_was_written(streams: Stage) -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.writelines([b"x" * 500_000, b"y" * 500_000])

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        writer.write(b"go\n" + b"more" * 1000)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"x" * 500_000 + b"y" * 500_000
        writer.close()
        assert await scene.ends() == [None]
        assert scene.ledger.sums[1] == 1_000_000

    streams(session, play)


def test_a_session_may_close_the_connection_itself_and_go_on(streams: Stage) -> None:
    done = asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()
        await writer.wait_closed()
        done.set()

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"bye"
            await done.wait()
        writer.close()
        assert await scene.ends() == [None]

    streams(session, play)


@pytest.mark.parametrize("error", [ValueError, SystemExit, OSError, asyncio.CancelledError])
def test_a_session_that_raises_ends_its_connection_only(streams: Stage, error: type[BaseException]) -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"raise\n":
                raise error
            writer.write(line)

    async def play(scene: Scene) -> None:
        other_reader, other = await scene.connect()
        reader, writer = await scene.connect()
        writer.write(b"one\nraise\n")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b"one\n"
        writer.close()
        assert await scene.ends() == ["handler_failed"]
        other.write(b"two\n")
        assert await other_reader.readline() == b"two\n"
        other.close()

    streams(session, play)


def test_a_session_that_expects_more_than_comes_has_lost_its_client(streams: Stage) -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)

    async def play(scene: Scene) -> None:
        _, writer = await scene.connect()
        writer.write(b"half")
        writer.close()
        assert await scene.ends() == ["client_gone"]

    streams(session, play)


def test_a_session_that_goes_on_without_its_client_counts_until_it_is_idle_for_too_long(streams: Stage) -> None:
    waiting = Waiting()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionResetError):
            await reader.read()
        await waiting.wait()

    async def play(scene: Scene) -> None:
        _, writer = await scene.connect()
        writer.write(b"a")
        await writer.drain()
        reset(writer)
        async with asyncio.timeout(PATIENCE):
            await waiting.begun.wait()
        assert not waiting.cancelled.is_set() and len(scene.server.open) == 1
        scene.server.look()
        scene.now += 10
        scene.server.look()
        assert await scene.ends() == ["idle_timeout"]

    streams(session, play, Limits(idle=10))


def test_who_is_aborted_is_cancelled(stage: Stage) -> None:
    waiting = Waiting()

    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        return await waiting.wait()

    async def play(scene: Scene) -> None:
        _, writer = await scene.connect()
        writer.write(b"a")
        await waiting.begun.wait()
        await scene.close()
        assert waiting.cancelled.is_set()
        assert scene.ledger.ends == ["shutting_down"]
        writer.transport.abort()

    stage(handler, play)


# -- datagrams that are awaited


def ask(scene: Scene, *questions: bytes) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(scene.address)
    client.setblocking(False)
    for question in questions:
        client.send(question)
    return client


async def hear(client: socket.socket) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().sock_recv(client, 100)


def test_datagrams_that_come_together_are_as_many_as_the_limit_allows(datagrams: Stage) -> None:
    go_on = asyncio.Event()

    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        await go_on.wait()
        return data

    async def play(scene: Scene) -> None:
        with ask(scene, b"one", b"two", b"three", b"four") as client:
            assert await scene.ends(2) == ["connection_limit"] * 2
            go_on.set()
            assert sorted([await hear(client), await hear(client)]) == [b"one", b"two"]

    datagrams(handler, play, Limits(connections=2))


def test_at_the_end_no_datagram_is_taken_and_those_that_were_are_answered(datagrams: Stage) -> None:
    """Who keeps asking does not keep the old generation alive; the next has the same socket."""
    go_on, begun = asyncio.Event(), asyncio.Event()

    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        begun.set()
        await go_on.wait()
        return data

    async def play(scene: Scene) -> None:
        looked = asyncio.Event()
        with scene.door.dup() as of_the_next, ask(scene, b"one") as client:
            await begun.wait()
            scene.server.on_look.append(looked.set)
            scene.server.drain(60)
            await looked.wait()
            client.send(b"two")
            for _ in range(3):
                await asyncio.sleep(0)
            assert of_the_next.recv(100) == b"two"
            go_on.set()
            assert await hear(client) == b"one"
            async with asyncio.timeout(PATIENCE):
                await scene.serving

    datagrams(handler, play)


# -- TLS, to which half a close is known


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return contexts_in(tmp_path_factory.mktemp("tls"))


async def shake(scene: Scene, trusting: ssl.SSLContext) -> tuple[Client, asyncio.StreamReader, asyncio.StreamWriter]:
    """A client whose handshake is done."""
    client = Client(trusting)
    reader, writer = await scene.connect()
    async with asyncio.timeout(PATIENCE):
        while not client.is_shaken:
            writer.write(client.flight())
            client.hear(await reader.read(100_000))
    writer.write(client.flight())
    return client, reader, writer


async def hear_to_the_end(client: Client, reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(PATIENCE):
        while data := await reader.read(100_000):
            client.hear(data)


def test_a_question_right_in_front_of_the_farewell_of_tls_is_answered(stage: Stage, contexts: Contexts) -> None:
    ours, trusting = contexts

    @framed(Delimiter(b"\n"))
    async def handler(line: bytes) -> bytes:
        await asyncio.sleep(0)
        return line.upper()

    async def play(scene: Scene) -> None:
        client, reader, writer = await shake(scene, trusting)
        client.say(b"one\ntwo\n")
        client.leave()
        writer.write(client.flight())
        await hear_to_the_end(client, reader)
        assert client.heard == b"ONE\nTWO\n" and client.has_ended
        writer.close()
        assert await scene.ends() == [None]
        assert scene.ledger.sums == [8, 8, 2]

    stage(handler, play, tls=ours)


def test_a_session_over_tls_says_farewell_when_it_returns(streams: Stage, contexts: Contexts) -> None:
    ours, trusting = contexts

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"who?")
        writer.write((await reader.readline()) * 100_000)

    async def play(scene: Scene) -> None:
        client, reader, writer = await shake(scene, trusting)
        client.say(b"me\n")
        writer.write(client.flight())
        await hear_to_the_end(client, reader)
        assert client.heard == b"who?" + b"me\n" * 100_000 and client.has_ended
        writer.close()
        assert await scene.ends() == [None]
        assert scene.ledger.sums == [3, 300_004, 0]

    streams(session, play, tls=ours)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b""])
def test_who_speaks_no_tls_meets_no_handler(stage: Stage, contexts: Contexts, said: bytes) -> None:
    @framed(Chunks())
    async def handler(data: bytes) -> bytes:
        raise AssertionError("nothing was asked")

    async def play(scene: Scene) -> None:
        reader, writer = await scene.connect()
        writer.write(said)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()
        assert await scene.ends() == ["tls_error"]

    stage(handler, play, tls=contexts[0])
