"""What came back from a server, read with more tolerance than our own engines have: it is looked at, not relied on."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r?\n")
_CHUNK = re.compile(rb"([0-9a-fA-F]+)[^\r\n]*\r\n")


class Ending(Enum):
    """How the connection was when nothing more came."""

    OPEN = "open"
    CLOSED = "closed"
    RESET = "reset"


class Answer(NamedTuple):
    """`fields`: names in lower case; `whole`: whether all of it came."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = True

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str:
        """The field's values as one, "" where it is not there."""
        return ", ".join(self.all(name))

    @property
    def text(self) -> bytes:
        """The body without gzip, if that is what it was coded with."""
        if self.get("content-encoding") != "gzip":
            return self.body
        try:
            return zlib.decompressobj(31).decompress(self.body, 1 << 20)
        except zlib.error:
            return self.body


class Seen(NamedTuple):
    """What one connection has shown.

    `interim`: statuses below 200, in the order in which they came; `rest`: bytes behind the last answer; `signals`: what HTTP/2
    or TLS said to end the stream or the connection; `sent`: how much of what was to be sent went out (0 to 1).
    """

    answers: tuple[Answer, ...] = ()
    ending: Ending = Ending.OPEN
    interim: tuple[int, ...] = ()
    rest: bytes = b""
    signals: tuple[str, ...] = ()
    sent: float = 1.0
    seconds: float = 0.0

    @property
    def status(self) -> int:
        """Of the first answer; 0 where there was none."""
        return self.answers[0].status if self.answers else 0

    @property
    def ended(self) -> bool:
        """Whether the server ended at least the stream."""
        return self.ending is not Ending.OPEN or bool(self.signals)

    @property
    def over(self) -> bool:
        """Whether it ended the connection."""
        return self.ending is not Ending.OPEN or any(said.startswith("GOAWAY") for said in self.signals)

    def __str__(self) -> str:
        parts = [str(status) for status in self.interim]
        parts += _statuses([answer.status for answer in self.answers])
        parts += dict.fromkeys(self.signals)
        text = ", ".join(parts) or "no answer"
        return text if self.ending is Ending.OPEN else f"{text}, {self.ending.value}"


def _statuses(statuses: Sequence[int]) -> list[str]:
    """`statuses`, the same ones that follow each other counted."""
    parts: list[str] = []
    start = 0
    for i, status in enumerate(statuses):
        if i + 1 == len(statuses) or statuses[i + 1] != status:
            times = i + 1 - start
            parts.append(f"{times} x {status}" if times > 2 else ", ".join([str(status)] * times))
            start = i + 1
    return parts


def read_answers(data: bytes, methods: Sequence[str] = (), at_end: bool = False) -> Seen:
    """The answers in `data` to requests with these methods (GET where there are more); `at_end`: nothing more will come."""
    answers: list[Answer] = []
    interim: list[int] = []
    rest = data
    while match := _STATUS_LINE.match(rest):
        head, mark, behind = rest[match.end() - 2 :].partition(b"\r\n\r\n")
        if not mark:
            break
        status = int(match[1])
        fields = tuple(_fields(head))
        if status < 200:
            interim.append(status)
            rest = behind
            if status == 101:
                break
            continue
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        answer, rest = _body(Answer(status, fields), behind, method, at_end)
        answers.append(answer)
    return Seen(tuple(answers), Ending.CLOSED if at_end else Ending.OPEN, tuple(interim), rest)


def _fields(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name.decode("latin-1").lower(), value.strip().decode("latin-1")


def _body(answer: Answer, data: bytes, method: str, at_end: bool) -> tuple[Answer, bytes]:
    """`answer` with its body, and what follows it (RFC 9112 section 6.3)."""
    if method == "HEAD" or answer.status in (204, 304):
        return answer, data
    if "chunked" in answer.get("transfer-encoding").lower():
        return _chunked(answer, data)
    length = answer.get("content-length")
    if length.isdecimal():
        size = int(length)
        return answer._replace(body=data[:size], whole=len(data) >= size), data[size:]
    return answer._replace(body=data, whole=at_end), b""


def _chunked(answer: Answer, data: bytes) -> tuple[Answer, bytes]:
    body = b""
    while match := _CHUNK.match(data):
        size = int(match[1], 16)
        data = data[match.end() :]
        if not size:
            _, mark, behind = (b"\r\n" + data).partition(b"\r\n\r\n")
            return answer._replace(body=body, whole=bool(mark)), behind
        body += data[:size]
        data = data[size + 2 :]
    return answer._replace(body=body, whole=False), b""
