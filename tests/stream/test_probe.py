"""Checks of peers that do not speak HTTP: what is sent, which answers are good, and what none is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.stream.kit import HERE, World, nobody, opened, peer, run
from tests.stream.test_relay import client_tls, server_tls
from tests.stream.test_udp import Echo

from enfilade.assemble.balance import check_of
from enfilade.config.schema import Check as CheckTable
from enfilade.stream.probe import StreamProbe
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import READ_AT_MOST, Check
from enfilade.upstream.prober import Done, Prober
from enfilade.wire.proxy_protocol import announce

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def probe(world: World, check: Check) -> bool:
    """How a check of the world's only peer ends."""
    assert world.service.upstream is not None
    (only,) = world.service.upstream.peers
    ended: asyncio.Future[bool] = world.loop.create_future()
    StreamProbe(world.service.upstream, only, check, 0.0, lambda peer, ok: ended.set_result(ok)).begin()
    return await ended


async def silent(reader: Reader, writer: Writer) -> None:
    await reader.read()
    writer.close()


async def banner(reader: Reader, writer: Writer) -> None:
    for piece in (b"22", b"0 read", b"y\r\n"):
        writer.write(piece)
        await writer.drain()
    await silent(reader, writer)


async def ping(reader: Reader, writer: Writer) -> None:
    assert await reader.readline() == b"PING\r\n"
    writer.write(b"+PONG\r\n")
    await silent(reader, writer)


async def hang_up(reader: Reader, writer: Writer) -> None:
    writer.close()


async def chatter(reader: Reader, writer: Writer) -> None:
    writer.write(b"x" * (READ_AT_MOST + 10) + b"220")
    await silent(reader, writer)


@pytest.mark.parametrize(
    ("serve", "check", "good"),
    [
        (silent, Check(), True),
        (hang_up, Check(), True),
        (banner, Check(contains=b"220 ready"), True),
        (banner, Check(contains=b"554"), None),
        (ping, Check(send=b"PING\r\n", contains=b"+PONG"), True),
        (ping, Check(send=b"PING\r\n"), True),
        (hang_up, Check(contains=b"220"), False),
        (chatter, Check(contains=b"220"), False),
        (silent, Check(send=b"PING\r\n"), None),
    ],
)
def test_answers_over_tcp(serve: Any, check: Check, good: bool | None) -> None:
    """None: it is waited for one, as long as the check may take."""

    async def main() -> None:
        world = World(await peer(serve))
        if good is None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(probe(world, check), 0.05)
        else:
            assert await probe(world, check) is good

    run(main)


def test_whoever_accepts_no_connection_is_not_well() -> None:
    async def main() -> None:
        assert await probe(World(nobody()), Check()) is False

    run(main)


@pytest.mark.parametrize("trusting", [True, False])
def test_tls_belongs_to_it(trusting: bool) -> None:
    async def main() -> None:
        world = World(await peer(banner, server_tls()), tls=client_tls(trusting=trusting))
        assert await probe(world, Check(contains=b"220")) is trusting

    run(main)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_peer_that_wants_the_proxy_protocol_is_told_that_it_is_we(version: Any) -> None:
    heard: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        heard.append(await reader.readexactly(len(announce(version, None))))
        await banner(reader, writer)

    async def main() -> None:
        assert await probe(World(await peer(serve), send_proxy=version), Check(contains=b"220")) is True
        assert heard == [announce(version, None)]

    run(main)


@pytest.mark.parametrize(("contains", "good"), [(b"", True), (b"a:ask", True), (b"b:", False)])
def test_answers_over_udp(contains: bytes, good: bool) -> None:
    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Echo(b"a"), (HERE, 0))
        opened.append(transport.close)
        world = World(f"udp://{HERE}:{transport.get_extra_info('sockname')[1]}")
        assert await probe(world, Check(send=b"ask", contains=contains)) is good

    run(main)


def test_nobody_over_udp_is_told_by_the_network() -> None:
    async def main() -> None:
        assert await probe(World(nobody().replace("tcp", "udp")), Check(send=b"ask")) is False

    run(main)


def test_checks_take_a_peer_out_and_bring_it_back() -> None:
    """The prober asks at its ticks; one that is not answered in time has failed, and is asked no further."""
    asked: asyncio.Queue[Writer] = asyncio.Queue()

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.put_nowait(writer)
        await silent(reader, writer)

    async def main() -> None:
        table = CheckTable(contains="ready", interval=5.0, timeout=2.0, fall=2, rise=1)
        world = World(await peer(serve), check=table)
        upstream, check = world.service.upstream, check_of(world.table)
        assert upstream is not None and check is not None
        (only,) = upstream.peers
        ended = asyncio.Event()

        def make(peer: Peer, check: Check, now: float, done: Done) -> StreamProbe:
            return StreamProbe(upstream, peer, check, now, lambda peer, ok: (done(peer, ok), ended.set()))  # type: ignore[func-returns-value]

        prober = Prober(upstream, check, lambda: 0.5, make)
        for up in (True, False):
            prober.tick(world.now)
            await asked.get()
            world.now += 2.0
            prober.tick(world.now)
            assert only.up is up
            world.now += 3.0
        assert upstream.take(HERE) is None and upstream.nobody.name == "no_peer"
        ended.clear()
        prober.tick(world.now)
        (await asked.get()).write(b"ready")
        await ended.wait()
        assert only.up

    run(main)
