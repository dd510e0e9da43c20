"""Opens connections, asks once on each (every one with its own cookie), says "ready", and holds them until stdin ends.

`--websocket`: they become WebSockets, and each has had one echo.
"""

from __future__ import annotations

import argparse
import socket
import sys

from bench import browser
from bench.clients.websocket import HANDSHAKE_FIELDS, exchange


def ask(connection: socket.socket, i: int) -> None:
    connection.sendall(browser.head(f"/?{i}", f"session={i:032x}; theme=dark"))
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 ") or b"connection: close" in answer.lower():
        sys.exit(f"connection {i}: {answer!r}")


def upgrade(connection: socket.socket, i: int) -> None:
    connection.sendall(browser.head("/echo", f"session={i:032x}; theme=dark")[:-2] + HANDSHAKE_FIELDS.encode())
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 101 "):
        sys.exit(f"connection {i}: {answer!r}")
    text, echo = exchange(i)
    connection.sendall(text)
    if (got := connection.recv(len(echo), socket.MSG_WAITALL)) != echo:
        sys.exit(f"connection {i}: {got!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--websocket", action="store_true")
    options = parser.parse_args()
    held = []
    for i in range(options.connections):
        connection = socket.create_connection(("127.0.0.1", options.port), timeout=10)
        if options.websocket:
            upgrade(connection, i)
        else:
            ask(connection, i)
        held.append(connection)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
