"""One text after the other, and the answer to each. Blocking, and nothing but sockets."""

from __future__ import annotations

import socket
import ssl
import time
from typing import NamedTuple

from enfilade.client.target import DATAGRAM


class Manner(NamedTuple):
    """Where an answer ends: with `end`; without one, when nothing more has come for `silence` seconds (over UDP, with its
    datagram). `patience`: seconds in which it must have come, or begun where it has no `end`."""

    end: bytes = b""
    silence: float = 0.5
    patience: float = 5.0


class Unanswered(Exception):
    """There is no answer, or only `part` of one; the text says why, for people."""

    def __init__(self, text: str, part: bytes = b"") -> None:
        super().__init__(text)
        self.part = part


class Asking:
    """A connection, or a socket for datagrams, that has somebody at its other end."""

    def __init__(self, sock: socket.socket, manner: Manner) -> None:
        self._sock = sock
        self._manner = manner
        self._datagrams = sock.type == socket.SOCK_DGRAM
        self._rest = b""

    def ask(self, message: bytes) -> bytes:
        """The answer to `message`. Raises Unanswered."""
        try:
            self._sock.settimeout(self._manner.patience)
            self._sock.sendall(message)
        except OSError as error:
            raise Unanswered(reason_of(error)) from None
        return self._answer_to_end() if self._manner.end else self._answer_to_silence()

    def _answer_to_end(self) -> bytes:
        """What comes behind the end is part of the next answer; over UDP, none is."""
        end, deadline = self._manner.end, time.monotonic() + self._manner.patience
        while end not in self._rest:
            data = self._receive(deadline - time.monotonic(), self._rest)
            if data is None:
                raise self._late(self._rest)
            if not data:
                raise Unanswered("the server ended the connection, and not the answer", self._rest)
            self._rest += data
        answer, _, rest = self._rest.partition(end)
        self._rest = b"" if self._datagrams else rest
        return answer + end

    def _answer_to_silence(self) -> bytes:
        answer = self._receive(self._manner.patience)
        if answer is None:
            raise self._late()
        if self._datagrams:
            return answer
        if not answer:
            raise Unanswered("the server ended the connection without an answer")
        while data := self._receive(self._manner.silence, answer):
            answer += data
        return answer

    def _receive(self, seconds: float, part: bytes = b"") -> bytes | None:
        """What comes next; b"": nothing more will; None: nothing did, in so many seconds. Raises Unanswered with the `part` that
        came before."""
        try:
            self._sock.settimeout(max(seconds, 0.001))
            return self._sock.recv(DATAGRAM)
        except TimeoutError:
            return None
        except OSError as error:
            raise Unanswered(reason_of(error), part) from None

    def _late(self, part: bytes = b"") -> Unanswered:
        hint = "; a datagram may have been lost, or nobody be there" if self._datagrams else ""
        return Unanswered(f"no {'end of the ' if part else ''}answer in {self._manner.patience:g} seconds{hint}", part)


def reason_of(error: OSError) -> str:
    """What has happened, for people."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ConnectionRefusedError():
            return "nobody is there: the connection was refused"
        case ConnectionResetError() | BrokenPipeError() | ssl.SSLEOFError():
            return "the server cut the connection"
        case TimeoutError():
            return "it takes too long"
    return error.strerror or str(error)
