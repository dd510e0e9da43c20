"""Connections that are passed on: both ways, both ends, and everything that can go wrong between."""

from __future__ import annotations

import asyncio
import socket
import ssl
from errno import EMFILE
from functools import partial
from typing import Any

import pytest
from tests.certificates import self_signed
from tests.net.kit import Transport
from tests.stream.kit import HERE, World, echo, nobody, peer, run

from enfilade.http.ends import Ends
from enfilade.net.tls import context_for
from enfilade.stream.relay import HIGH_WATER, FarEnd, Relay
from enfilade.wire.proxy_protocol import parse

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
CERTIFICATE = self_signed(["localhost", "a.example", "b.example"])


def server_tls() -> ssl.SSLContext:
    return context_for(CERTIFICATE, ())


def client_tls(*, trusting: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        context.load_verify_locations(cadata=CERTIFICATE.chain.decode())
    return context


# -- the bytes


def test_bytes_go_both_ways_and_the_end_of_one_way_is_not_that_of_the_other() -> None:
    async def main() -> None:
        world = World(await peer(echo))
        await world.listen()
        reader, writer = await world.client()
        writer.write(b"x" * 3_000_000)
        writer.write_eof()
        assert await reader.read() == b"heard " + b"x" * 3_000_000
        record = await world.sink.next()
        assert (record.received, record.sent, record.reason) == (3_000_000, 3_000_006, None)
        assert (world.counts.total, world.counts.open, world.counts.received) == (1, 0, 3_000_000)
        assert not world.connections

    run(main)


def test_a_peer_that_ends_first_hears_the_rest() -> None:
    async def main() -> None:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: Reader, writer: Writer) -> None:
            writer.write(b"that is all")
            writer.write_eof()
            heard.set_result(await reader.read())
            writer.close()

        world = World(await peer(serve))
        await world.listen()
        reader, writer = await world.client()
        assert await reader.read() == b"that is all"
        writer.write(b"but I have more")
        writer.close()
        assert await heard == b"but I have more"
        assert (await world.sink.next()).reason is None

    run(main)


def test_a_peer_may_speak_first() -> None:
    async def main() -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            writer.write(b"220 ready\r\n")
            await echo(reader, writer)

        world = World(await peer(serve))
        await world.listen()
        reader, writer = await world.client()
        assert await reader.readline() == b"220 ready\r\n"
        writer.write(b"EHLO")
        writer.write_eof()
        assert await reader.read() == b"heard EHLO"

    run(main)


def test_a_peer_on_a_unix_socket(tmp_path: Any) -> None:
    async def main() -> None:
        path = str(tmp_path / "peer.sock")
        server = await asyncio.start_unix_server(echo, path)
        world = World(f"unix:{path}")
        await world.listen()
        reader, writer = await world.client()
        writer.write_eof()
        assert await reader.read() == b"heard "
        server.close()
        await server.wait_closed()

    run(main)


class Held(Transport):
    """Remembers whether it is read."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == HIGH_WATER


def test_an_end_that_is_full_stops_the_other_from_being_read() -> None:
    async def main() -> None:
        world = World(nobody())
        near, far = Held(), Held()
        relay = Relay(world.service)
        relay.connection_made(near)
        assert not near.reading, "there is nobody yet to write to"
        relay._dialling.cancel()  # type: ignore[union-attr]
        relay._connected(far)
        assert near.reading and far.reading
        for full, stopped in ((relay, far), (relay.other, near)):
            full.pause_writing()
            assert not stopped.reading
            full.resume_writing()
            assert stopped.reading

    run(main)


def test_a_client_that_became_full_while_we_connected_is_remembered() -> None:
    async def main() -> None:
        world = World(nobody())
        near, far = Held(), Held()
        relay = Relay(world.service)
        relay.connection_made(near)
        relay._dialling.cancel()  # type: ignore[union-attr]
        relay.other.data_received(b"a peer that speaks first")
        relay.pause_writing()
        relay._connected(far)
        assert near.wrote == b"a peer that speaks first"
        assert not far.reading

    run(main)


def test_a_peer_that_is_gone_before_we_know_that_it_is_there_ends_the_connection() -> None:
    async def main() -> None:
        world = World(nobody())
        near, far = Held(), Held()
        relay = Relay(world.service)
        relay.connection_made(near)
        relay._dialling.cancel()  # type: ignore[union-attr]
        relay.other.data_received(b"goodbye")
        relay.other.connection_lost(None)
        relay._connected(far)
        assert near.wrote == b"goodbye" and near.closed

    run(main)


# -- which peer


def test_the_next_peer_is_tried() -> None:
    async def main() -> None:
        good = await peer(echo)
        world = World(nobody(), nobody(), good)
        await world.listen()
        reader, writer = await world.client()
        writer.write_eof()
        assert await reader.read() == b"heard "
        record = await world.sink.next()
        assert (record.peer, record.reason) == (good, None)

    run(main)


def test_a_peer_that_refuses_again_and_again_is_not_tried_any_more() -> None:
    async def main() -> None:
        bad, good = nobody(), await peer(echo)
        world = World(bad, good)
        await world.listen()
        for _ in range(5):
            reader, writer = await world.client()
            writer.write_eof()
            await reader.read()
            await world.sink.next()
        assert world.service.upstream is not None
        states = {p.name: (p.up, p.in_flight) for p in world.service.upstream.peers}
        assert states == {bad: (False, 0), good: (True, 0)}

    run(main)


def test_a_peer_that_leaves_keeps_its_connections_and_gets_no_more() -> None:
    async def main() -> None:
        first, second = await peer(echo), await peer(echo)
        world = World(first)
        await world.listen()
        upstream = world.service.upstream
        assert upstream is not None
        (old,) = upstream.peers
        reader, writer = await world.client()
        writer.write(b"be")
        while not old.in_flight:
            await world.loop.run_in_executor(None, lambda: None)
        world.join(upstream, second)
        upstream.leave(old)
        assert list(upstream.targets) == list(upstream.peers) != [old]
        other, its = await world.client()
        its.write_eof()
        assert await other.read() == b"heard " and (await world.sink.next()).peer == second
        writer.write(b"hind")
        writer.write_eof()
        assert await reader.read() == b"heard behind" and (await world.sink.next()).peer == first

    run(main)


def test_what_we_have_not_got_ourselves_is_held_against_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def no_descriptors(*args: Any, **kwargs: Any) -> Any:
            raise OSError(EMFILE, "Too many open files")

        world = World(await peer(echo))
        await world.listen()
        monkeypatch.setattr("enfilade.stream.relay.connect", no_descriptors)
        for _ in range(6):
            reader, _ = await world.client()
            assert await _all_of(reader) == b""
        assert world.service.upstream is not None and world.service.upstream.peers[0].up
        assert world.meter.reasons == ["no_socket"] * 6

    run(main)


def test_where_all_peers_are_full_the_connection_is_refused_as_busy() -> None:
    async def main() -> None:
        world = World()
        world.service.upstream = world.upstream()
        full = world.join(world.service.upstream, await peer(echo), limit=1)
        full.took()
        await world.listen()
        reader, _ = await world.client()
        assert await _all_of(reader) == b""
        assert world.meter.reasons == ["upstream_busy"] and full.up

    run(main)


def test_nobody_there_ends_the_connection_with_the_reason() -> None:
    async def main() -> None:
        world = World(nobody())
        await world.listen()
        reader, _ = await world.client()
        assert await _all_of(reader) == b""
        record = await world.sink.next()
        assert record.reason is not None and record.reason.name == "connect_failed"
        assert record.peer is None
        assert world.meter.reasons == ["connect_failed"]

    run(main)


async def _all_of(reader: Reader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def test_a_peer_that_does_not_answer_in_time() -> None:
    async def main() -> None:
        # A queue of nobody's that is full: the kernel drops what would be one more.
        with socket.socket() as deaf:
            deaf.bind((HERE, 0))
            deaf.listen(0)
            taken = [socket.socket() for _ in range(3)]
            for sock in taken:
                sock.setblocking(False)
                sock.connect_ex(deaf.getsockname())
            world = World(f"tcp://{HERE}:{deaf.getsockname()[1]}", connect_timeout=0.05)
            await world.listen()
            reader, _ = await world.client()
            assert await _all_of(reader) == b""
            record = await world.sink.next()
            assert record.reason is not None and record.reason.name == "connect_timeout"
            for sock in taken:
                sock.close()

    run(main)


def test_a_client_that_leaves_early_takes_no_peer_along() -> None:
    async def main() -> None:
        world = World(nobody())
        near = Held()
        relay = Relay(world.service)
        relay.connection_made(near)
        dialling = relay._dialling
        assert dialling is not None
        relay.connection_lost(None)
        with pytest.raises(asyncio.CancelledError):
            await dialling
        record = await world.sink.next()
        assert record.reason is not None and record.reason.name == "client_gone"
        assert world.service.upstream is not None
        assert [p.in_flight for p in world.service.upstream.peers] == [0]
        assert not world.connections and not world.sink.records

    run(main)


# -- who the client is


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("over_tls", [False, True])
def test_the_peer_is_told_who_the_client_is_before_anything_else(version: str, over_tls: bool) -> None:
    async def main() -> None:
        said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: Reader, writer: Writer) -> None:
            said.set_result(await reader.readuntil(b"\r\n") if version == "v1" else await reader.readexactly(28))
            if over_tls:
                await writer.start_tls(server_tls())
            await echo(reader, writer)

        plain = await peer(serve)
        world = World(plain.replace("tcp:", "tls:") if over_tls else plain, send_proxy=version, tls=client_tls())
        await world.listen()
        reader, writer = await world.client()
        header = parse(await said)
        assert header is not None
        assert (header.source, header.destination) == (writer.get_extra_info("sockname"), world.address)
        writer.write(b"hello")
        if not over_tls:
            writer.write_eof()
            assert await reader.read() == b"heard hello"

    run(main)


# -- TLS


def test_tls_is_ended_here() -> None:
    async def main() -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            writer.write(b"heard " + await reader.readexactly(5))
            writer.close()

        world = World(await peer(serve))
        await world.listen(tls=server_tls())
        reader, writer = await world.client(ssl=client_tls(), server_hostname="localhost")
        writer.write(b"hello")
        assert await reader.read() == b"heard hello"
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        assert (await world.sink.next()).reason is None

    run(main)


def test_tls_begins_here_and_the_peer_is_verified() -> None:
    async def main() -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            writer.write(b"heard " + await reader.readexactly(5))
            writer.close()

        url = await peer(serve, tls=server_tls())
        for trusting, answer, why in ((True, b"heard hello", None), (False, b"", "upstream_tls")):
            world = World(url, tls=client_tls(trusting=trusting))
            await world.listen()
            reader, writer = await world.client()
            writer.write(b"hello")
            assert await _all_of(reader) == answer
            record = await world.sink.next()
            assert (record.reason and record.reason.name) == why

    run(main)


@pytest.mark.parametrize(("name", "answer"), [("a.example", b"I am a"), ("b.example", b"I am b")])
def test_the_name_in_the_client_hello_finds_the_peer_and_tls_is_between_them(name: str, answer: bytes) -> None:
    async def main() -> None:
        async def serve(words: bytes, reader: Reader, writer: Writer) -> None:
            writer.write(words)
            writer.close()

        urls = {n: await peer(partial(serve, b"I am " + n.encode()), tls=server_tls()) for n in "ab"}
        by_name = {f"{n}.example": url.replace("tls:", "tcp:") for n, url in urls.items()}
        world = World(by_name=by_name)
        await world.listen()
        reader, _ = await world.client(ssl=client_tls(), server_hostname=name)
        assert await reader.read() == answer
        record = await world.sink.next()
        assert (record.name, record.peer) == (name, by_name[name])

    run(main)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x00"])
def test_what_asks_for_no_server_goes_to_the_default_or_nowhere(data: bytes) -> None:
    async def main() -> None:
        world = World(by_name={"a.example": nobody(), "*": await peer(echo)})
        await world.listen()
        reader, writer = await world.client()
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == b"heard " + data
        world = World(by_name={"a.example": nobody()})
        await world.listen()
        reader, writer = await world.client()
        writer.write(data)
        assert await _all_of(reader) == b""
        assert world.meter.reasons == ["unknown_server_name"]

    run(main)


# -- time, limits, the end


def connected(world: World) -> tuple[Relay, Held, Held]:
    near, far = Held(), Held()
    relay = Relay(world.service)
    relay.connection_made(near)
    if relay._dialling is not None:
        relay._dialling.cancel()
        relay._dialling = None
        relay._connected(far)
    return relay, near, far


def test_a_silent_connection_ends_by_the_time_since_its_last_byte() -> None:
    async def main() -> None:
        world = World(nobody())
        relay, near, far = connected(world)
        world.sweep(50.0)
        relay.other.data_received(b"x")
        world.sweep(1.0)
        world.sweep(59.0)
        assert not near.closed
        world.sweep(1.0)
        assert near.aborted and far.aborted
        relay.connection_lost(None)
        relay.other.connection_lost(None)
        assert world.meter.reasons == ["idle_timeout"]
        assert world.counts.open == 0

    run(main)


def test_a_client_hello_must_come_in_time() -> None:
    async def main() -> None:
        world = World(by_name={"*": nobody()})
        relay, near, _ = connected(world)
        relay.data_received(b"\x16\x03\x01")
        world.sweep(9.9)
        assert not near.closed
        world.sweep(0.1)
        assert near.aborted
        relay.connection_lost(None)
        assert world.meter.reasons == ["handshake_timeout"]

    run(main)


def test_connections_beyond_the_limit_are_closed_and_counted() -> None:
    async def main() -> None:
        world = World(nobody(), connections=1)
        connected(world)
        relay, near, _ = connected(world)
        assert near.aborted and world.meter.reasons == ["connection_limit"]
        relay.connection_lost(None)
        assert world.counts.open == 1 and not world.sink.records

    run(main)


def test_a_drain_lets_it_live_and_a_dismissal_ends_it_when_all_is_sent() -> None:
    async def main() -> None:
        world = World(nobody())
        relay, near, far = connected(world)
        relay.drain()
        assert not near.closed
        relay.dismiss()
        assert near.closed and far.closed and not near.aborted
        relay.connection_lost(None)
        relay.other.connection_lost(None)
        assert world.meter.reasons == ["shutting_down"]

    run(main)


def test_an_end_that_breaks_ends_the_other_once() -> None:
    async def main() -> None:
        for first in (0, 1):
            world = World(nobody())
            relay, near, far = connected(world)
            ends: list[Relay | FarEnd] = [relay, relay.other]
            ends[first].connection_lost(ConnectionResetError())
            assert (far, near)[first].closed and not world.sink.records
            ends[1 - first].connection_lost(None)
            assert len(world.sink.records) == 1
            assert isinstance(relay.ends, Ends)

    run(main)
