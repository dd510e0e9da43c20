"""Requests as bytes. {path}, {host} and {port} stand for the target's own."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.doctor.answers import Seen
from enfilade.doctor.target import Target

LINE = b"GET {path} HTTP/1.1\r\n"
AGENT = b"User-Agent: enfilade-doctor\r\n"
HEAD = LINE + b"Host: {host}\r\n" + AGENT
ORDINARY = HEAD + b"\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Look = Callable[[Target], Seen]


def sent(data: bytes, *more: bytes, methods: tuple[str, ...] = ()) -> Look:
    """Sends `data`; each of `more` once there is an answer to what came before it."""
    return lambda target: target.ask(data, *more, methods=methods)


def fields(lines: bytes, body: bytes = b"") -> Look:
    """An ordinary request with more field lines."""
    return sent(HEAD + lines + b"\r\n\r\n" + body)


def chunks(body: bytes) -> Look:
    """An ordinary request with a chunked body."""
    return sent(CHUNKED + body)
