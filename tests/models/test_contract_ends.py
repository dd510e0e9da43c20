"""The contract of the models: how conversations end, and who suffers from whom."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from contextlib import suppress

import pytest
from tests.models.contract import (
    CELLS,
    PATIENCE,
    REQUESTS,
    SOON,
    Nursery,
    Serving,
    ask,
    cells,
    crowd,
    has_ended,
    many,
    others_are_served,
    over,
    read_to_end,
    reset,
    serving,
    until,
)

pytestmark = pytest.mark.abreast


def is_refused(server: Serving, transport: str) -> bool:
    """Whether who comes now is turned away: before TLS has begun, so no client speaks it here."""
    try:
        with socket.create_connection(server.doors[transport].getsockname(), PATIENCE) as client:
            return has_ended(client)
    except ConnectionError:
        return True


def is_left_to_others(server: Serving) -> bool:
    """Whether who comes now waits for whoever else has the socket."""
    door = server.doors["tcp4"]
    door.settimeout(PATIENCE)
    with server.connect() as client:
        client.sendall(b"hello")
        with door.accept()[0] as taken:
            return taken.recv(100) == b"hello"


# -- conversations that end


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_handler_that_raises_ends_its_connection_only(
    nursery: Nursery, model: str, handler: str, transport: str
) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server:
        with server.connect(transport) as client:
            assert ask(client, b"one") == b"ONE"
            client.sendall(b"two\nboom\nthree\n")
            assert read_to_end(client) == b"TWO\n"
        others_are_served(server)
        assert over(server, 2).ended == {"handler_failed": 1, None: 1}
        assert "ValueError: boom" in server.errors()


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_handler_may_end_the_conversation(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server:
        with server.connect(transport) as client:
            client.sendall(b"one\nend\ntwo\n")
            assert read_to_end(client) == b"ONE\n"
            if transport == "tls":
                client.unwrap().close()
        assert over(server, 1).ended == {None: 1}


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_client_that_goes_on_after_the_end_still_gets_its_last_answer(
    nursery: Nursery, model: str, handler: str, transport: str
) -> None:
    """A connection that is closed over unread bytes is reset, and what was not read yet is lost."""
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server, server.connect(transport) as client:
        client.sendall(b"big 100000\nend\n" + b"more" * 5_000)
        assert len(read_to_end(client)) == 100_001


@cells(REQUESTS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_message_that_is_too_long_ends_the_connection_after_those_before_it(
    nursery: Nursery, model: str, handler: str, transport: str
) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2, message=10) as server:
        with server.connect(transport) as client:
            client.sendall(b"0123456789\n01234567890\nnext\n")
            assert read_to_end(client) == b"0123456789\n"
        with server.connect(transport) as client:
            client.sendall(b"no end of it")
            assert read_to_end(client) == b""
        assert over(server, 2).ended == {"message_too_long": 2}


@cells(CELLS)
def test_a_client_that_resets_its_connection_is_gone(nursery: Nursery, model: str, handler: str) -> None:
    """In the middle of a message; while it is to be answered; before TLS has begun."""
    with serving(nursery, model, handler, "tcp4", "unix", "tls", threads=2) as server:
        client = server.connect()
        client.sendall(b"half a li")
        until(lambda: server.counts().open == 1)
        reset(client)
        assert over(server, 1).ended == {"client_gone": 1}
        client = server.connect(receive=4096)
        client.sendall(b"big 10000000\n")
        client.recv(1)
        reset(client)
        assert over(server, 2).ended == {"client_gone": 2}
        client = server.connect("tls")
        assert ask(client, b"one") == b"ONE"
        reset(client)
        assert over(server, 3).ended.total() == 3
        others_are_served(server)


@cells(CELLS)
def test_what_is_no_tls_is_no_concern_of_others(nursery: Nursery, model: str, handler: str) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server:
        with socket.create_connection(server.doors["tls"].getsockname(), PATIENCE) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                read_to_end(client)
        others_are_served(server)
        assert over(server, 2).ended == {"tls_error": 1, None: 1}


# -- limits


@cells(many(CELLS, 3))
def test_there_are_so_many_connections_at_once(nursery: Nursery, model: str, handler: str) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2, connections=3) as server:
        with crowd(server, 3) as clients:
            for client in clients:
                assert ask(client, b"one") == b"ONE"
            assert is_refused(server, "tcp4")
            assert is_refused(server, "tls")
            assert ask(clients[0], b"two") == b"TWO"
        over(server, 3)
        until(lambda: model == "process_pool" or not server.children())  # who served them counts, until it has gone
        others_are_served(server)
        assert over(server, 4).refused == {"connection_limit": 2}


# -- the end of the server


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_what_was_asked_before_the_end_is_answered(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    """By whoever was at it already. It does not take longer than that."""
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server, server.connect(transport) as client:
        client.sendall(b"wait 0.2\n")
        until(lambda: server.counts().open == 1)
        server.signal(signal.SIGTERM)
        assert read_to_end(client) == b"WAITED\n"
        assert server.wait(SOON) == 0
        assert server.counts().open == 0


@cells(CELLS)
def test_who_waits_at_the_door_at_the_end_is_let_in(nursery: Nursery, model: str, handler: str) -> None:
    """Clients who connected, and asked, before anybody looked."""
    with serving(nursery, model, handler, "tcp4", "unix", threads=2) as server:
        others_are_served(server)
        server.signal(signal.SIGSTOP)
        with crowd(server, 3) as clients, crowd(server, 2, "unix") as more:
            clients += more
            for client in clients:
                client.sendall(b"one\n")
            server.signal(signal.SIGTERM)
            server.signal(signal.SIGCONT)
            assert [read_to_end(client) for client in clients] == [b"ONE\n"] * 5
        assert server.wait(SOON) == 0


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_who_says_nothing_is_not_waited_for_at_the_end(
    nursery: Nursery, model: str, handler: str, transport: str
) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server, server.connect(transport) as client:
        assert ask(client, b"one") == b"ONE"
        begun = time.monotonic()
        server.signal(signal.SIGTERM)
        assert has_ended(client)
        assert server.wait(SOON) == 0
        assert time.monotonic() - begun < SOON
        assert over(server, 1).ended.total() == 1


@cells(CELLS)
def test_who_takes_nothing_is_not_waited_for_at_the_end(nursery: Nursery, model: str, handler: str) -> None:
    with serving(nursery, model, handler, "tcp4", threads=2) as server, server.connect(receive=4096) as client:
        client.sendall(b"big 20000000\n")
        client.recv(1)
        server.signal(signal.SIGTERM)
        assert server.wait(SOON) == 0
        assert server.counts().open == 0


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_a_drained_server_serves_those_who_are_there(
    nursery: Nursery, model: str, handler: str, transport: str
) -> None:
    """And takes nobody else: who comes now is left to whoever else has the socket."""
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server:
        with server.connect(transport) as client:
            assert ask(client, b"one") == b"ONE"
            server.signal(signal.SIGUSR2)
            assert ask(client, b"two") == b"TWO"
            if (model, handler) in many(CELLS):
                busy = 1 if model == "process_pool" else 0  # who serves has the door still, and takes nobody
                until(lambda: server.holders("tcp4") <= busy)
                assert is_left_to_others(server)
            assert ask(client, b"three") == b"THREE"
        assert server.wait(SOON) == 0
        assert over(server, 1).ended == {None: 1}


@cells(CELLS)
def test_a_drain_has_an_end(nursery: Nursery, model: str, handler: str) -> None:
    with serving(nursery, model, handler, "tcp4", threads=2, drain=0.2) as server, server.connect() as client:
        assert ask(client, b"one") == b"ONE"
        server.signal(signal.SIGUSR2)
        assert ask(client, b"two") == b"TWO"
        assert has_ended(client)
        assert server.wait(SOON) == 0


@cells(CELLS)
@pytest.mark.parametrize("transport", ["tcp4", "tls"])
def test_an_aborted_server_waits_for_nobody(nursery: Nursery, model: str, handler: str, transport: str) -> None:
    with serving(nursery, model, handler, "tcp4", "tls", threads=2) as server, server.connect(transport) as client:
        assert ask(client, b"one") == b"ONE"
        client.sendall(b"half a li")
        server.signal(signal.SIGQUIT)
        with suppress(ssl.SSLEOFError):
            assert has_ended(client)
        assert server.wait(SOON) == 0
        assert server.counts().open == 0
