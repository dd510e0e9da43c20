"""Datagrams that are passed on: sessions, their answers, and their number."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.stream.kit import HERE, World, opened, run

from enfilade.http.addresses import Networks
from enfilade.net.firewall import Guard
from enfilade.stream.udp import DRAIN, UdpListener


class Echo(asyncio.DatagramProtocol):
    """Answers with its name, and keeps the addresses that it was asked from."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.seen: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.seen.append(address)
        self.transport.sendto(self.name + b":" + data, address)


async def server(name: bytes = b"a") -> tuple[str, Echo]:
    transport, echo = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Echo(name), (HERE, 0))
    opened.append(transport.close)
    return f"udp://{HERE}:{transport.get_extra_info('sockname')[1]}", echo


@contextmanager
def client(world: World, host: str = HERE) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((host, 0))
        sock.connect(world.address)
        yield sock


async def ask(sock: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, data)
    return await loop.sock_recv(sock, 65535)


def test_each_client_has_a_session_and_gets_its_own_answers() -> None:
    async def main() -> None:
        url, echo = await server()
        world = World(url)
        listener = world.listen_udp()
        with client(world) as one, client(world) as other:
            for data in (b"1", b"2", b"x" * 60_000):
                assert await ask(one, data) == b"a:" + data
                assert await ask(other, data + b"!") == b"a:" + data + b"!"
        assert len(listener.sessions) == len(set(echo.seen)) == 2
        assert (world.counts.total, world.counts.open) == (2, 2)

    run(main)


def test_a_silent_session_ends_and_is_logged() -> None:
    async def main() -> None:
        url, _ = await server()
        world = World(url)
        listener = world.listen_udp()
        with client(world) as sock:
            await ask(sock, b"hello")
            world.sweep(1.0)
            world.sweep(59.0)
            assert listener.sessions
            world.sweep(1.0)
            assert not listener.sessions and not world.connections
            record = await world.sink.next()
            assert (record.client, record.peer) == (sock.getsockname(), url)
            assert (record.received, record.sent, record.reason) == (5, 7, None)
            assert (world.counts.open, world.counts.received, world.counts.sent) == (0, 5, 7)
            assert await ask(sock, b"again") == b"a:again"

    run(main)


def test_when_there_are_too_many_the_one_silent_for_longest_goes() -> None:
    async def main() -> None:
        url, _ = await server()
        world = World(url, connections=2)
        listener = world.listen_udp()
        with client(world) as one, client(world) as two, client(world) as three:
            for sock in (one, two, one, three):
                await ask(sock, b"x")
            assert set(listener.sessions) == {one.getsockname(), three.getsockname()}
            assert world.meter.reasons == ["connection_limit"]

    run(main)


def test_a_client_stays_with_its_peer_and_others_go_to_others() -> None:
    async def main() -> None:
        urls = [(await server(name))[0] for name in (b"a", b"b", b"c")]
        world = World(*urls, balance="round_robin")
        world.listen_udp()
        with client(world) as one, client(world) as two, client(world) as three:
            peers = [(await ask(sock, b"x"))[:1] for sock in (one, two, three)]
            assert sorted(peers) == [b"a", b"b", b"c"]
            assert [(await ask(sock, b"x"))[:1] for sock in (one, two, three)] == peers

    run(main)


def test_a_peer_that_is_not_there_ends_the_session_and_is_ejected() -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((HERE, 0))
            dead = f"udp://{HERE}:{sock.getsockname()[1]}"
        good, _ = await server()
        world = World(dead, good)
        world.listen_udp()
        for _ in range(5):
            with client(world) as sock:
                sock.send(b"x")
                record = await world.sink.next()
                assert record.reason is not None and record.reason.name == "connect_failed"
                assert record.peer == dead
        with client(world) as sock:
            assert await ask(sock, b"x") == b"a:x"

    run(main)


def test_a_peer_that_leaves_keeps_its_sessions_and_gets_no_more() -> None:
    async def main() -> None:
        (first, _), (second, _) = await server(b"a"), await server(b"b")
        world = World(first)
        world.listen_udp()
        upstream = world.service.upstream
        assert upstream is not None
        with client(world) as old, client(world) as new:
            assert await ask(old, b"x") == b"a:x"
            world.join(upstream, second)
            upstream.leave(upstream.peers[0])
            assert await ask(old, b"y") == b"a:y"
            assert await ask(new, b"x") == b"b:x"

    run(main)


def test_a_drain_takes_nothing_new_and_answers_still_go_out() -> None:
    async def main() -> None:
        url, echo = await server()
        world = World(url)
        listener: UdpListener = world.listen_udp()
        with client(world) as sock:
            await ask(sock, b"x")
            listener.stop()
            (session,) = world.connections
            session.drain()
            echo.transport.sendto(b"late", echo.seen[0])
            assert await asyncio.get_running_loop().sock_recv(sock, 100) == b"late"
            world.sweep(0.0)
            world.sweep(DRAIN)
            assert not world.connections

    run(main)


def test_an_order_to_go_ends_sessions_at_once() -> None:
    async def main() -> None:
        url, _ = await server()
        world = World(url)
        world.listen_udp()
        with client(world) as sock:
            await ask(sock, b"x")
        for session in list(world.connections):
            session.dismiss()
        assert not world.connections and world.counts.open == 0

    run(main)


def test_whoever_the_firewall_denies_gets_no_session() -> None:
    async def main() -> None:
        url, echo = await server()
        world = World(url)
        listener = world.listen_udp(Guard(Networks((), ["127.0.0.9"], rest=True)))
        with client(world, "127.0.0.9") as denied, client(world) as other:
            await asyncio.get_running_loop().sock_sendall(denied, b"hello")
            assert await ask(other, b"hello") == b"a:hello"
            assert len(listener.sessions) == 1 and len(echo.seen) == 1
            assert world.meter.reasons == ["firewall_denied"]

    run(main)
