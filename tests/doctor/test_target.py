"""How long is waited for an answer."""

from __future__ import annotations

import socket
import time
from typing import cast

import pytest

from enfilade.doctor import target as module
from enfilade.doctor.answers import Ending
from enfilade.doctor.target import Target, converse

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Tardy:
    """A connection with two answers, of which the second comes a second after the first."""

    def __init__(self) -> None:
        self._answers = [(0.0, ANSWER), (1.0, ANSWER)]
        self._timeout = 0.0

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        if not self._answers or self._answers[0][0] > self._timeout:
            raise TimeoutError
        return self._answers.pop(0)[1]


@pytest.mark.parametrize(("methods", "answers"), [((), 1), (("GET", "GET"), 2)])
def test_each_request_of_one_piece_has_time_for_its_answer(
    monkeypatch: pytest.MonkeyPatch, methods: tuple[str, ...], answers: int
) -> None:
    monkeypatch.setattr(module, "send", lambda target, sock, piece: (1.0, b""))
    monkeypatch.setattr(module, "PATIENCE", 3600.0)
    target = Target("http", "localhost", 80, "/", "127.0.0.1", deadline=time.monotonic() + 3600)
    seen = converse(target, cast(socket.socket, Tardy()), [b"two requests"], methods)
    assert (len(seen.answers), seen.ending) == (answers, Ending.OPEN)
