"""Connects from an address that the server refuses, as often as it can, and waits for the end of each connection.

Each asks for something at once, as a server that refuses after reading has to be asked.
"""

from __future__ import annotations

import select
import socket
import struct
import time

from bench import browser
from bench.clients.kit import main

REFUSED = "127.0.0.9"
AT_ONCE = 64
IP_BIND_ADDRESS_NO_PORT = 24
"""The port is chosen with the destination in mind (linux/in.h); Python has no name for it."""
NO_LINGER = struct.pack("ii", 1, 0)


class Crowd:
    def __init__(self, port: int) -> None:
        self._port = port
        self._poll = select.epoll()
        self._socks: dict[int, socket.socket] = {}
        self._said: dict[int, bytes] = {}
        self.refused = self.errors = 0

    def connect(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)  # leaves no port in TIME_WAIT
        sock.bind((REFUSED, 0))
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self._port))
        self._socks[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP)

    def turn(self) -> None:
        for fd, event in self._poll.poll(1.0):
            sock = self._socks[fd]
            try:
                if event & select.EPOLLOUT and fd not in self._said:
                    sock.send(browser.head("/1k.html"))
                    self._said[fd] = b""
                    self._poll.modify(sock, select.EPOLLIN)
                    continue
                piece = sock.recv(65536)
                if piece:
                    self._said[fd] += piece
                    if b"</html>" not in self._said[fd]:
                        continue
            except OSError:
                pass
            self._end(fd)

    def _end(self, fd: int) -> None:
        said = self._said.pop(fd, b"")
        if not said or said.startswith(b"HTTP/1.1 403 "):
            self.refused += 1
        else:
            self.errors += 1
        sock = self._socks.pop(fd)
        self._poll.unregister(sock)
        sock.close()
        self.connect()


def load(port: int, seconds: float) -> dict[str, float]:
    crowd = Crowd(port)
    for _ in range(AT_ONCE):
        crowd.connect()
    began = time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        crowd.turn()
    return {"requests": crowd.refused, "bytes": 0, "seconds": taken, "errors": crowd.errors}


if __name__ == "__main__":
    main(load, __doc__)
