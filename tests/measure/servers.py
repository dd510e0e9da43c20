"""Servers that do right and wrong, in threads of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket], None]


@contextmanager
def stream_server(serve: Serve, family: int = socket.AF_INET, place: object = ("127.0.0.1", 0)) -> Iterator[str]:
    """A server that has `serve` talk on each connection, in a thread. The URL of it."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen(64)
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
                threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        name = listener.getsockname()
        yield f"unix:{name}" if family == socket.AF_UNIX else f"tcp://{name[0]}:{name[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


Answers = Callable[[bytes], list[bytes]]


@contextmanager
def datagram_server(answers: Answers) -> Iterator[str]:
    """A server that sends back what `answers` makes of each datagram. The URL of it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, client = sock.recvfrom(65536)
            if data == b"end":
                return
            for answer in answers(data):
                sock.sendto(answer, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"udp://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
            stop.sendto(b"end", sock.getsockname())
        thread.join()
        sock.close()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)
