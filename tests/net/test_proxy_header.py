"""The PROXY protocol in front of a connection, between a fake socket and a fake server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.net.kit import Meter, Transport

from enfilade.http.addresses import Networks
from enfilade.net.connection import ends_of
from enfilade.net.context import ConnectionLimits
from enfilade.net.proxy_header import ProxyHeader
from enfilade.wire.proxy_protocol import encode_v2

HEADER = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n"


class Socket(Transport):
    """Hands what comes to the protocol that it has, as a loop does."""

    def get_protocol(self) -> Any:
        return self.protocol

    def resume_reading(self) -> None: ...
    def pause_reading(self) -> None: ...

    def comes(self, data: bytes) -> None:
        self.protocol.data_received(data)


class Server(asyncio.Protocol):
    def __init__(self) -> None:
        self.got = b""
        self.drained = self.lost = False
        self.ends: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ends = ends_of(transport, None)

    def data_received(self, data: bytes) -> None:
        self.got += data

    def drain(self) -> None:
        self.drained = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class World:
    """It stands in for the Service, too."""

    unix_path = None
    refusals = 0

    def __init__(self, senders: str = "192.0.2.0/24") -> None:
        self.now = 100.0
        self.clock = lambda: self.now
        self.limits = ConnectionLimits(handshake_timeout=10.0)
        self.connections: set[Any] = set()
        self.full = False
        self.meter = Meter()
        self.server = Server()
        self.socket = Socket()
        self.front = ProxyHeader(self, Networks([senders]), lambda: self.server)  # type: ignore[arg-type]
        self.socket.set_protocol(self.front)

    def connect(self) -> None:
        self.front.connection_made(self.socket)


@pytest.mark.parametrize("header", [HEADER, encode_v2(("203.0.113.9", 4711), ("198.51.100.1", 443))])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_header_says_who_is_there_and_is_seen_by_nobody_else(header: bytes, size: int) -> None:
    world = World()
    world.connect()
    raw = header + b"GET /"
    for at in range(0, len(raw), size):
        world.socket.comes(raw[at : at + size])
    assert world.server.got == b"GET /"
    assert (world.server.ends.client, world.server.ends.server) == (("203.0.113.9", 4711), ("198.51.100.1", 443))
    assert world.server.ends.client_ip == "203.0.113.9"
    assert not world.connections


def test_what_the_server_writes_goes_to_the_socket() -> None:
    world = World()
    world.connect()
    world.socket.comes(HEADER)
    world.server.transport.write(b"hello")
    assert world.socket.wrote == b"hello"
    world.server.transport.close()
    assert world.socket.closed


def test_the_sender_may_speak_for_itself() -> None:
    world = World()
    world.connect()
    world.socket.comes(b"PROXY UNKNOWN\r\n")
    assert world.server.ends.client == ("192.0.2.1", 5)


def test_strangers_are_served_as_without_it() -> None:
    world = World("10.0.0.0/8")
    world.connect()
    world.socket.comes(HEADER)
    assert world.server.got == HEADER
    assert world.server.ends.client_ip == "192.0.2.1"


def test_from_a_sender_the_header_is_required() -> None:
    world = World()
    world.connect()
    world.socket.comes(b"GET / HTTP/1.1\r\n")
    assert world.socket.aborted and world.meter.reasons == ["bad_proxy_header"]
    assert world.server.ends is None


def test_a_header_must_come_in_time() -> None:
    world = World()
    world.connect()
    world.socket.comes(HEADER[:10])
    (front,) = world.connections
    front.sweep(109.9)
    assert not world.socket.closed
    front.sweep(110.0)
    assert world.socket.aborted and world.meter.reasons == ["bad_proxy_header"]
    front.connection_lost(None)
    assert not world.connections


def test_a_drain_waits_for_what_comes_behind_the_header() -> None:
    world = World()
    world.connect()
    world.front.drain()
    world.socket.comes(HEADER)
    assert world.server.drained


def test_a_full_worker_does_not_wait_for_headers() -> None:
    world = World()
    world.full = True
    world.connect()
    assert world.socket.aborted and world.meter.reasons == ["connection_limit"]
    assert not world.connections
