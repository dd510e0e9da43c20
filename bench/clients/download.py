"""Sixteen connections, each asking for the same large file again and again.

wrk reads 8 KB at a time and fills its core before the server has filled its own. Here the body is counted and thrown away in
the kernel (MSG_TRUNC, tcp(7)), so that the server is the slower side. The status and every Content-Length are checked.
"""

from __future__ import annotations

import argparse
import json
import re
import selectors
import socket
import time

from bench import browser

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
WINDOW = bytearray(1 << 20)


class Download:
    """One connection. `done` counts whole answers, `received` bytes, `failed` says why it ended."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._ask = browser.head(path)
        self.done = self.received = self._left = 0
        self.failed = False
        self.socket.sendall(self._ask)

    def read(self) -> None:
        """Takes what is there. The first read of an answer must hold its whole head."""
        if self._left:
            n = self.socket.recv_into(WINDOW, min(self._left, len(WINDOW)), socket.MSG_TRUNC)
            self._left -= n
            self.failed = n == 0
        else:
            data = self.socket.recv(16384)
            n = len(data)
            end = data.find(b"\r\n\r\n") + 4
            length = LENGTH.search(data, 0, end)
            if length is None or not data.startswith(b"HTTP/1.1 200 "):
                self.failed = True
                return
            self._left = int(length[1]) - (n - end)
        self.received += n
        if self._left == 0 and not self.failed:
            self.done += 1
            self.socket.sendall(self._ask)


def load(port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    selector = selectors.DefaultSelector()
    downloads = [Download(port, path) for _ in range(connections)]
    for download in downloads:
        selector.register(download.socket, selectors.EVENT_READ, download)
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds and selector.get_map():
        for key, _ in selector.select(1):
            key.data.read()
            if key.data.failed:
                selector.unregister(key.fileobj)
    return {
        "requests": sum(download.done for download in downloads),
        "bytes": sum(download.received for download in downloads),
        "seconds": now - began,
        "errors": sum(download.failed for download in downloads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    print(json.dumps(load(options.port, options.path, options.connections, options.seconds)))


if __name__ == "__main__":
    main()
