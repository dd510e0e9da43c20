"""What clients say, and must hear: each line comes back as it is."""

from __future__ import annotations

from enum import Enum

SIZE = 64
"""Bytes of a line, its end among them."""


class Verdict(Enum):
    """On what has come of an answer so far."""

    PART = "part"
    WHOLE = "whole"
    WRONG = "wrong"


def message(client: int, number: int) -> bytes:
    """The line number n (from 0) of a client: no two are the same."""
    return (b"%d.%d" % (client, number)).ljust(SIZE - 1, b".") + b"\n"


def judge(message: bytes, received: bytes) -> Verdict:
    """Byte for byte. A byte too many is wrong: nothing else was asked yet."""
    if received == message:
        return Verdict.WHOLE
    return Verdict.PART if message.startswith(received) else Verdict.WRONG
