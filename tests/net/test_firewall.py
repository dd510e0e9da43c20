"""The gate in front of connections, between a fake socket and a fake server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.net.test_proxy_header import HEADER, Server, World

from enfilade.http.addresses import Networks
from enfilade.http.reasons import Reason, reason
from enfilade.net.edge import serving
from enfilade.net.firewall import Admitted, Guard, Leave

RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def guard(*denied: str) -> Guard:
    return Guard(Admitted(lambda: Networks((), denied, rest=True), ()))


class Door(World):
    """`senders` are those who introduce others."""

    def __init__(self, firewall: Guard | None, senders: str = "198.51.100.0/24") -> None:
        super().__init__(senders)
        make = serving(self, lambda: self.server, senders=Networks([senders]), guard=firewall)  # type: ignore[arg-type]
        self.front: Any = make()
        self.socket.set_protocol(self.front)


def test_whoever_is_denied_is_reset_and_counted_before_there_is_a_server() -> None:
    door = Door(guard("192.0.2.0/24"))
    door.connect()
    assert door.socket.aborted and door.socket.options == [RESET]
    assert door.meter.reasons == ["firewall_denied"]
    assert door.server.ends is None and not door.connections


def test_all_others_are_served_as_without_it() -> None:
    door = Door(guard("203.0.113.0/24"))
    door.connect()
    door.socket.comes(b"GET /")
    assert (door.server.got, door.meter.reasons, door.socket.protocol) == (b"GET /", [], door.server)


@pytest.mark.parametrize(("denied", "served"), [("203.0.113.9", False), ("192.0.2.1", True)])
def test_behind_the_proxy_protocol_the_introduced_client_counts(denied: str, served: bool) -> None:
    door = Door(guard(denied), "192.0.2.0/24")
    door.connect()
    assert not door.socket.closed, "the balancer itself is asked for its header"
    door.socket.comes(HEADER + b"GET /")
    assert door.server.got == (b"GET /" if served else b"")
    assert door.socket.aborted is not served
    assert door.meter.reasons == ([] if served else ["firewall_denied"])


@pytest.mark.parametrize(("denied", "drained"), [("10.0.0.0/8", True), ("203.0.113.9", False)])
def test_a_drain_finds_whoever_serves_behind_it(denied: str, drained: bool) -> None:
    door = Door(guard(denied), "192.0.2.0/24")
    door.connect()
    door.front.drain()
    door.socket.comes(HEADER)
    assert door.server.drained is drained


def test_without_a_firewall_there_is_no_gate() -> None:
    server = Server()
    make: Callable[[], Any] = lambda: server  # noqa: E731
    assert serving(None, make) is make  # type: ignore[arg-type,comparison-overlap]


# -- lists that change


class List:
    """A file with one denied network a line, and what is made of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = 0
        self.reads = 0
        self.write("192.0.2.1")
        self.admitted = Admitted(self.read, [str(path)])

    def write(self, text: str) -> None:
        self.path.write_text(text)
        self.writes += 1
        os.utime(self.path, ns=(self.writes, self.writes))

    def read(self) -> Networks:
        self.reads += 1
        return Networks((), self.path.read_text().split(), rest=True)

    def looks(self) -> None:
        """Three, with what they set going."""
        for now in range(3):
            self.admitted.look(now)
            if self.admitted._reading is not None:
                self.admitted._reading.join()


def test_a_list_that_changes_is_taken_up(tmp_path: Path) -> None:
    made = List(tmp_path / "denied")
    assert "192.0.2.1" not in made.admitted
    made.looks()
    assert made.reads == 1, "it is not read for nothing"
    made.write("192.0.2.2")
    made.looks()
    assert "192.0.2.1" in made.admitted and "192.0.2.2" not in made.admitted
    assert made.reads == 2


def test_one_that_cannot_be_read_changes_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = List(tmp_path / "denied")
    made.write("192.0.2.2 nonsense")
    with caplog.at_level(logging.ERROR):
        made.looks()
        made.looks()
    assert "192.0.2.1" not in made.admitted and "192.0.2.2" in made.admitted
    assert [(r.levelname, r.message[:41]) for r in caplog.records] == [
        ("ERROR", 'the firewall stays as it was: "nonsense" '),
    ]
    made.write("192.0.2.2")
    made.looks()
    assert "192.0.2.2" not in made.admitted, "and it goes on when it is mended"


# -- connections that are counted


class Counting:
    """Lets so many in at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open = 0

    def come(self, client: str) -> Reason | Leave | None:
        if self.open == self.most:
            return reason("address_connection_limit")
        self.open += 1
        return self.leave

    def leave(self) -> None:
        self.open -= 1


def test_one_too_many_is_reset_and_a_lost_one_makes_room() -> None:
    arrivals = Counting(1)
    first, second, third = (Door(Guard(None, arrivals)) for _ in range(3))
    first.connect()
    first.socket.comes(b"GET /")
    assert first.server.got == b"GET /" and arrivals.open == 1
    second.connect()
    assert second.socket.aborted and second.socket.options == [RESET] and second.server.ends is None
    assert second.meter.reasons == ["address_connection_limit"]
    first.socket.protocol.connection_lost(None)
    assert first.server.lost and arrivals.open == 0
    third.connect()
    assert third.server.ends is not None


def test_what_is_behind_the_gate_may_take_the_transport_for_itself() -> None:
    """As a refusal does where the whole server is full (net/refusal.py)."""
    arrivals = Counting(9)
    door = Door(Guard(None, arrivals))
    door.server.connection_made = lambda transport: transport.set_protocol(asyncio.Protocol())  # type: ignore[method-assign]
    door.connect()
    assert arrivals.open == 0


def test_whoever_is_not_let_in_is_not_counted() -> None:
    arrivals = Counting(9)
    door = Door(Guard(Networks((), ["192.0.2.0/24"], rest=True), arrivals))
    door.connect()
    assert door.meter.reasons == ["firewall_denied"] and arrivals.open == 0


def test_a_counted_connection_is_drained_like_any_other() -> None:
    door = Door(Guard(None, Counting(9)), "192.0.2.0/24")
    door.connect()
    door.front.drain()
    door.socket.comes(HEADER)
    assert door.server.drained
