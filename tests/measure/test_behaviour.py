"""What clients do besides asking and waiting."""

from __future__ import annotations

import queue
import socket

import pytest
from tests.measure.servers import echo, stream_server

from enfilade.client.target import target
from enfilade.measure.behaviour import idle, read_until_end, reset, say_all, send_in_pieces


def test_a_message_in_pieces_arrives_whole() -> None:
    with stream_server(echo) as url, target(url).connect(10) as sock:
        send_in_pieces(sock, b"one by one", pause=0.001)
        sock.shutdown(socket.SHUT_WR)
        assert read_until_end(sock) == b"one by one"


def test_half_closed_it_still_hears_all() -> None:
    with stream_server(echo) as url, target(url).connect(10) as sock:
        assert say_all(sock, b"x" * 100_000) == b"x" * 100_000


def test_a_slow_reader_reads_all() -> None:
    with stream_server(lambda sock: sock.sendall(b"x" * 50_000)) as url, target(url).connect(10, receive=2048) as sock:
        assert read_until_end(sock, size=10_000, pause=0.001) == b"x" * 50_000


def test_a_reset_is_seen_as_one() -> None:
    seen: queue.Queue[type[Exception]] = queue.Queue()

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"hello")
        try:
            connection.recv(1)
        except OSError as error:
            seen.put(type(error))

    with stream_server(serve) as url:
        sock = target(url).connect(10)
        assert sock.recv(5) == b"hello"
        reset(sock)
        assert seen.get(timeout=10) is ConnectionResetError


def test_idle_connections_are_open_until_they_are_let_go() -> None:
    with stream_server(echo) as url:
        with idle(target(url), 20) as held:
            held[-1].sendall(b"still there")
            assert held[-1].recv(100) == b"still there"
        with pytest.raises(OSError):
            held[0].send(b"x")
