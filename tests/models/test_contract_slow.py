"""The contract of the models: clients that are slow, and those that say or take nothing."""

from __future__ import annotations

import socket
import time

import pytest
from tests.models.contract import (
    CELLS,
    PATIENCE,
    Nursery,
    ask,
    cells,
    has_ended,
    many,
    others_are_served,
    over,
    read_line,
    serving,
    until,
)

pytestmark = pytest.mark.abreast


def is_heard_no_more(client: socket.socket, data: bytes) -> bool:
    """Whether nobody reads any more what it says again and again, up to 100 MB."""
    client.settimeout(0.2)
    try:
        for _ in range(100_000_000 // len(data)):
            client.sendall(data)
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE)
    return False


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_client_that_says_nothing_is_left(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    """Before it has said anything, not even a word of TLS; and after its first message."""
    with serving(nursery, model, handler, "tcp4", "tls", threads=2, idle=1.0) as server:
        with (
            server.connect(transport) as silent,
            server.connect(transport) as curt,
            socket.create_connection(server.doors[transport].getsockname(), PATIENCE) as mute,
        ):
            assert ask(curt, b"one") == b"ONE"
            assert has_ended(silent) and has_ended(curt) and has_ended(mute)
        assert over(server, 3).ended == {"idle_timeout": 3}


@cells(CELLS)
def test_a_client_that_writes_slowly_is_heard_to_the_end(nursery: Nursery, model: str, handler: str) -> None:
    """It is silent for less than the time-out each time, and takes longer in all. Nobody waits for it meanwhile."""
    with serving(nursery, model, handler, "tcp4", threads=2, idle=1.2) as server, server.connect() as client:
        for i in range(5):
            client.sendall(b"slow"[i : i + 1] or b"\n")
            if (model, handler) in many(CELLS):
                others_are_served(server)
            time.sleep(0.3)
        assert read_line(client) == b"SLOW\n"


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_client_that_reads_slowly_gets_all_of_it(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    with (
        serving(nursery, model, handler, "tcp4", "tls", threads=2, idle=1.0) as server,
        server.connect(transport, receive=16384) as client,
    ):
        client.sendall(b"big 1000000\n")
        received = 0
        while received < 1_000_001:
            time.sleep(0.02)
            data = client.recv(16_000)
            assert data, f"it was cut after {received} bytes"
            received += len(data)


@cells(CELLS)
def test_a_client_that_reads_nothing_is_bounded(nursery: Nursery, model: str, handler: str) -> None:
    """It asks and asks: then nobody reads what it asks, and nobody keeps what it does not take. Others are served; it is left
    when it has been idle for too long."""
    with serving(nursery, model, handler, "tcp4", threads=2, idle=1.5) as server:
        others_are_served(server)
        over(server, 1)
        before = server.memory()
        with server.connect(receive=4096) as client:
            client.settimeout(0.2)
            assert is_heard_no_more(client, b"big 100000\n" * 100)
            assert server.memory() - before < 32 * 1024 * 1024
            if (model, handler) in many(CELLS):
                others_are_served(server)
            until(lambda: server.counts().ended["idle_timeout"] == 1)
