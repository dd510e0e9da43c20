"""Handlers of every kind and framing. Those called `lines` do what their lines say:

- `boom`: raise; `end`: end the conversation; `big N`: answer N bytes; `wait S`: answer after S seconds;
- anything else comes back in capitals.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from enfilade.framing import Chunks, Delimiter, Fixed, Framing, Length, framed


def _said(line: bytes) -> tuple[float, bytes | None]:
    """For how long to wait, and what to answer then."""
    word, _, rest = line.partition(b" ")
    if word == b"boom":
        raise ValueError("boom")
    if word == b"end":
        return 0.0, None
    if word == b"big":
        return 0.0, b"." * int(rest)
    if word == b"wait":
        return float(rest), b"WAITED"
    return 0.0, line.upper()


@framed(Delimiter(b"\n"))
def lines(line: bytes) -> bytes | None:
    seconds, answer = _said(line)
    time.sleep(seconds)
    return answer


@framed(Delimiter(b"\n"))
async def async_lines(line: bytes) -> bytes | None:
    seconds, answer = _said(line)
    await asyncio.sleep(seconds)
    return answer


def session_lines(connection: Any) -> None:
    with connection.makefile() as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            seconds, answer = _said(line.removesuffix(b"\n"))
            time.sleep(seconds)
            if answer is None:
                break
            file.write(answer + b"\n")
            file.flush()


async def async_session_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (line := await reader.readline()).endswith(b"\n"):
        seconds, answer = _said(line.removesuffix(b"\n"))
        await asyncio.sleep(seconds)
        if answer is None:
            break
        writer.write(answer + b"\n")
        await writer.drain()


def _reversing(framing: Framing) -> tuple[Callable[..., Any], Callable[..., Any]]:
    @framed(framing)
    def plain(message: bytes) -> bytes:
        return message[::-1]

    @framed(framing)
    async def awaited(message: bytes) -> bytes:
        await asyncio.sleep(0)
        return message[::-1]

    return plain, awaited


def _capitals(framing: Framing) -> tuple[Callable[..., Any], Callable[..., Any]]:
    @framed(framing)
    def plain(message: bytes) -> bytes:
        return message.upper()

    @framed(framing)
    async def awaited(message: bytes) -> bytes:
        await asyncio.sleep(0)
        return message.upper()

    return plain, awaited


questions, async_questions = _reversing(Delimiter(b"?\r\n", b".\r\n"))
lengths, async_lengths = _reversing(Length(2))
fixed, async_fixed = _reversing(Fixed(4))
chunks, async_chunks = _capitals(Chunks())


def session_bytes(connection: Any) -> None:
    """A session without a file."""
    while data := connection.recv(100):
        connection.sendall(data.upper())


async def async_session_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data.upper())
        await writer.drain()
