"""What clients do besides asking one thing after the other: in pieces, all at once, half closed, cut, idle, slow."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from enfilade.client.target import Target


def send_in_pieces(sock: socket.socket, data: bytes, size: int = 1, pause: float = 0.0) -> None:
    """`size` bytes in each segment, `pause` seconds behind each: a client whose messages are split, or that writes slowly."""
    for i in range(0, len(data), size):
        sock.sendall(data[i : i + size])
        if pause:
            time.sleep(pause)


def read_until_end(sock: socket.socket, size: int = 65536, pause: float = 0.0) -> bytes:
    """All that comes until the other side ends; with a `pause` before each `size` bytes: a client that reads slowly (best on a
    connection with few bytes to `receive`)."""
    received = bytearray()
    while data := sock.recv(size):
        received += data
        if pause:
            time.sleep(pause)
    return bytes(received)


def say_all(sock: socket.socket, data: bytes) -> bytes:
    """Send `data`, end our direction (half-close), and read all that comes back."""
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    return read_until_end(sock)


def reset(sock: socket.socket) -> None:
    """End the connection with a reset, not in peace."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextmanager
def idle(target: Target, count: int, timeout: float = 10.0) -> Iterator[list[socket.socket]]:
    """So many connections that say nothing. Raises OSError where one cannot be had."""
    with ExitStack() as held:
        yield [held.enter_context(target.connect(timeout)) for _ in range(count)]
