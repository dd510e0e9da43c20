"""Connections that ask and are answered, many at once, without an event loop between them and the clock."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterable
from typing import NamedTuple

from bench import browser

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE = 30.0
"""Seconds that an answer may take."""


class Answer(NamedTuple):
    path: str
    seconds: float
    """From its request to its last byte."""
    body: bytes


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.asked = 0.0
        """When; `time.perf_counter`."""
        self._path = ""
        self._data = b""

    def ask(self, path: str) -> None:
        self._path, self._data = path, b""
        self.asked = time.perf_counter()
        self.socket.sendall(browser.head(path))

    def read(self) -> Answer | None:
        """None: there is more to come. Raises ConnectionError where it is no answer, or not 200."""
        piece = self.socket.recv(65536)
        self._data += piece
        if not piece or not self._data.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(f"not a good answer: {self._data[:200]!r}")
        head, _, body = self._data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return None
        return Answer(self._path, time.perf_counter() - self.asked, body)


class Crowd:
    """Clients whose answers are waited for together."""

    def __init__(self, port: int, size: int) -> None:
        self.clients = [Client(port) for _ in range(size)]
        self._selector = selectors.DefaultSelector()
        for client in self.clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def answers(self) -> list[tuple[Client, Answer]]:
        """Those that are there, or come next. Raises TimeoutError where none comes."""
        whole: list[tuple[Client, Answer]] = []
        while not whole:
            ready = self._selector.select(PATIENCE)
            if not ready:
                raise TimeoutError("no answer")
            found = [(key.data, key.data.read()) for key, _ in ready]
            whole = [(client, answer) for client, answer in found if answer is not None]
        return whole

    def ask_all(self, paths: Iterable[str]) -> list[Answer]:
        """Each path once, on whichever connection is free."""
        left = iter(paths)
        free = self.clients
        busy = 0
        given: list[Answer] = []
        while True:
            for client, path in zip(free, left, strict=False):
                client.ask(path)
                busy += 1
            if not busy:
                return given
            answers = self.answers()
            free = [client for client, _ in answers]
            given += [answer for _, answer in answers]
            busy -= len(answers)
