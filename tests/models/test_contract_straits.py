"""The contract of the models: when the system has nothing left, when signals come, and strange datagrams."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, suppress

import pytest
from tests.models.contract import (
    CELLS,
    DATAGRAMS,
    SOON,
    UDP,
    Nursery,
    Serving,
    ask,
    cells,
    many,
    read_exactly,
    say_and_leave,
    serving,
    until,
)

pytestmark = pytest.mark.abreast

DESCRIPTORS = 40
"""So many may be open: some ten are before the first client is there."""


@cells(many(CELLS, 3))
def test_without_a_descriptor_left_who_is_there_is_served(nursery: Nursery, model: str, handler: str) -> None:
    """Others are turned away, or wait; nobody turns round and round; and when there are descriptors again, they are served."""
    with serving(nursery, model, handler, "tcp4", descriptors=DESCRIPTORS) as server, ExitStack() as held:
        first = held.enter_context(server.connect())
        assert ask(first, b"one") == b"ONE"
        with ExitStack() as crowd:
            for _ in range(DESCRIPTORS):
                with suppress(ConnectionError):
                    crowd.enter_context(server.connect())
            until(lambda: any("no_socket" in counts for counts in server.counts()[1:3]))
            assert ask(first, b"two") == b"TWO"
            begun, before = time.monotonic(), server.cpu()
            time.sleep(0.3)
            assert server.cpu() - before < (time.monotonic() - begun) / 2
            assert ask(first, b"three") == b"THREE"
        until(lambda: _is_served(server))


def _is_served(server: Serving) -> bool:
    try:
        with server.connect() as client:
            return ask(client, b"one") == b"ONE"
    except ConnectionError:
        return False


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_signals_interrupt_nothing(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    """While it waits for clients, reads, computes, waits, and writes more than the client takes at once (EINTR)."""
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server:
        for _ in range(20):
            server.signal(signal.SIGUSR1)
        with server.connect(transport, receive=16384) as client:
            for i in range(50):
                client.sendall(b"si")
                server.signal(signal.SIGUSR1)
                client.sendall(b"gnal %d\n" % i)
                assert read_exactly(client, len(b"SIGNAL %d\n" % i)) == b"SIGNAL %d\n" % i
            client.sendall(b"wait 0.1\n")
            for _ in range(10):
                server.signal(signal.SIGUSR1)
                time.sleep(0.005)
            assert read_exactly(client, 7) == b"WAITED\n"
            client.sendall(b"big 1000000\n")
            received = 0
            while received < 1_000_001:
                received += len(read_exactly(client, 50_000 if received < 1_000_000 else 1))
                server.signal(signal.SIGUSR1)
            assert say_and_leave(client, b"", 0) == b""
        until(lambda: server.counts().ended == {None: 1})
        assert server.counts().refused == {} and server.errors() == ""


BLOCKED = {(model, "lines") for model in ("single", "select", "poll", "epoll", "asyncio_protocol", "uvloop_protocol")}
"""Where a handler that waits holds up everything, the end too."""
ECHO = [(model, "echo") for model, handler in UDP if handler == "lines"]


@cells(ECHO)
def test_datagrams_of_any_length(nursery: Nursery, model: str, handler: str) -> None:
    """An empty one is answered by nothing, as all of it is; 65,507 bytes are the most that UDP over IPv4 takes."""
    with serving(nursery, model, handler, *DATAGRAMS) as server:
        for transport in DATAGRAMS:
            with server.connect(transport) as client:
                client.send(b"")
                for size in (1, 1_472, 1_473, 65_507):
                    client.send(b"." * size)
                    assert client.recv(65536) == b"." * size


@cells(UDP)
def test_datagrams_that_are_no_message_are_counted_and_no_more(nursery: Nursery, model: str, handler: str) -> None:
    """Half of one, one that is too long, one that the handler raises at, and one that it ends at: UDP has no conversation."""
    with (
        serving(nursery, model, handler, *DATAGRAMS, threads=2, message=10) as server,
        server.connect("udp4") as client,
    ):
        for datagram in (b"", b"half", b"01234567890\n", b"boom\n", b"end\n"):
            client.send(datagram)
        client.send(b"one\nboom\n")
        assert client.recv(100) == b"ONE\n"
        client.send(b"two\n01234567890\n")
        assert client.recv(100) == b"TWO\n"
        client.send(b"three\nend\n")
        assert client.recv(100) == b"THREE\n"
        refused = {"no_message": 2, "message_too_long": 2, "handler_failed": 2}
        until(lambda: server.counts().refused == refused)
        assert server.errors().count("ValueError: boom") == 2


@cells(UDP)
def test_datagrams_of_clients_who_are_gone_harm_nobody(nursery: Nursery, model: str, handler: str) -> None:
    """The system tells the server by an error that an answer did not arrive (ICMP), at whatever it does next."""
    with serving(nursery, model, handler, *DATAGRAMS, threads=2) as server:
        for transport in DATAGRAMS:
            with server.connect(transport) as staying:  # coming later, it might get the port of one who has gone
                for _ in range(20):
                    with server.connect(transport) as client:
                        client.send(b"one\n")
                staying.send(b"two\n")
                assert staying.recv(100) == b"TWO\n"
        until(lambda: server.counts().moved[2] == 42)


@cells([cell for cell in UDP if cell not in BLOCKED])
def test_a_datagram_that_was_taken_is_answered_at_the_end(nursery: Nursery, model: str, handler: str) -> None:
    with serving(nursery, model, handler, "udp4", threads=2) as server, server.connect("udp4") as client:
        client.send(b"one\n")
        assert client.recv(100) == b"ONE\n"
        client.send(b"wait 0.2\n")
        until(lambda: not server.waiting("udp4"))
        server.signal(signal.SIGTERM)
        assert client.recv(100) == b"WAITED\n"
        assert server.wait(SOON) == 0
