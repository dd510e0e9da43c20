"""The handlers that are measured: each answers a line with the same line, after some work. How much of it is told by the
environment, so that all models have the same to do."""

from __future__ import annotations

import asyncio
import os
import time

from enfilade.framing import Delimiter, framed

SECONDS = "ENFILADE_WORK_SECONDS"
"""How long `wait` and `wait_awaited` wait."""
ROUNDS = "ENFILADE_WORK_ROUNDS"
"""How many rounds `compute` computes."""
_LINE = Delimiter(b"\n")
_SECONDS = float(os.environ.get(SECONDS, "0"))
_ROUNDS = int(os.environ.get(ROUNDS, "0"))


@framed(_LINE)
def nothing(line: bytes) -> bytes:
    """An echo."""
    return line


@framed(_LINE)
def wait(line: bytes) -> bytes:
    """Wait, as for a database, and have the whole thread wait."""
    time.sleep(_SECONDS)
    return line


@framed(_LINE)
async def wait_awaited(line: bytes) -> bytes:
    """Wait, and let the event loop serve others."""
    await asyncio.sleep(_SECONDS)
    return line


@framed(_LINE)
def compute(line: bytes) -> bytes:
    """Keep a processor busy, in Python."""
    turn(_ROUNDS)
    return line


def turn(rounds: int) -> int:
    """Something that takes as many times as long for as many rounds."""
    number = 1
    for _ in range(rounds):
        number = number * 1103515245 + 12345 & 0x7FFFFFFF
    return number


def rounds_for(seconds: float) -> int:
    """How many rounds take so many seconds of processor time on this machine: the quickest of a few tries, as the others were
    disturbed."""
    rounds = 20_000
    quickest = min(_taken(rounds) for _ in range(10))
    return max(1, round(rounds * seconds / quickest))


def _taken(rounds: int) -> float:
    before = time.thread_time()
    turn(rounds)
    return time.thread_time() - before
