"""What clients say, and what they must hear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial


class Verdict(Enum):
    """On what has come of an answer so far."""

    PART = "part"
    WHOLE = "whole"
    WRONG = "wrong"


Judge = Callable[[bytes], Verdict]
Talk = Callable[[int, int], tuple[bytes, Judge]]
"""The message number n (from 0) of client c, and who judges its answer: `talk(c, n)`. The clients of the way "processes" are told
it with pickle."""


def compare(answer: bytes, received: bytes) -> Verdict:
    """Byte for byte. A byte too many is wrong: nothing else was asked yet."""
    if received == answer:
        return Verdict.WHOLE
    return Verdict.PART if answer.startswith(received) else Verdict.WRONG


def exactly(answer: bytes) -> Judge:
    return partial(compare, answer)


def is_late(datagram: bytes, earlier: Iterable[Judge]) -> bool:
    """Whether it answers what was asked, and answered, before."""
    return any(judge(datagram) is Verdict.WHOLE for judge in earlier)


@dataclass(frozen=True)
class Echo:
    """Lines of `size` bytes, no two of which are the same, that must come back as they are."""

    size: int = 64

    def __call__(self, client: int, number: int) -> tuple[bytes, Judge]:
        line = (b"%d.%d" % (client, number)).ljust(self.size - 1, b".") + b"\n"
        return line, exactly(line)


@dataclass(frozen=True)
class Dialogue:
    """The same messages again and again, each with its answer."""

    lines: Sequence[tuple[bytes, bytes]]

    def __call__(self, client: int, number: int) -> tuple[bytes, Judge]:
        message, answer = self.lines[number % len(self.lines)]
        return message, exactly(answer)
