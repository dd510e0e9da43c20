"""Where a message ends in a stream of bytes, and how a handler says so:

    @framed(Delimiter(b"\\n"))
    def shout(line: bytes) -> bytes:
        return line.upper()

A handler gets one message, without what frames it, and returns the answer, which is framed in the same way; None ends the
conversation. Over UDP it is the same with a datagram in place of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

H = TypeVar("H", bound=Callable[..., Any])


class Framing(Protocol):
    def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """The whole messages that `data` begins with, and the rest; None: the next one is longer than `limit` bytes."""

    def ends(self, data: bytearray, seen: int, limit: int) -> bool:
        """Whether `cut` may find more in `data` than it did in the first `seen` bytes, which were no whole message, nor too long.
        It looks at what is new, not at all of `data`: a message may come byte by byte."""

    def wrap(self, answer: bytes) -> bytes:
        """An answer as it is sent."""


class Chunks:
    """None: whatever is read at once is a message. TCP does not keep what was sent together together."""

    def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """See `Framing.cut`. Nothing is kept, so nothing can be too long."""
        return [data], b""

    def ends(self, data: bytearray, seen: int, limit: int) -> bool:
        """See `Framing.ends`. Nothing is kept, so nothing is ever asked."""
        return True

    def wrap(self, answer: bytes) -> bytes:
        """See `Framing.wrap`."""
        return answer


@dataclass(frozen=True)
class Delimiter:
    """A message ends in `end`, an answer in `answer_end`, or in `end`, too."""

    end: bytes
    answer_end: bytes | None = None

    def __post_init__(self) -> None:
        if not self.end:
            raise ValueError("a delimiter has at least one byte")

    def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """See `Framing.cut`."""
        *messages, rest = data.split(self.end)
        for i, message in enumerate(messages):
            if len(message) > limit:
                return messages[:i], None
        # A delimiter may have begun behind the longest message there may be.
        return messages, rest if len(rest) < limit + len(self.end) else None

    def ends(self, data: bytearray, seen: int, limit: int) -> bool:
        """See `Framing.ends`. What was seen may have ended in all of the delimiter but its last byte."""
        return len(data) >= limit + len(self.end) or data.find(self.end, max(seen + 1 - len(self.end), 0)) >= 0

    def wrap(self, answer: bytes) -> bytes:
        """See `Framing.wrap`."""
        return answer + (self.end if self.answer_end is None else self.answer_end)


@dataclass(frozen=True)
class Length:
    """In front of each message and each answer stands its length in bytes, as an unsigned integer of `size` bytes, most
    significant first."""

    size: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.size <= 8:
            raise ValueError("a length has 1 to 8 bytes")

    def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """See `Framing.cut`."""
        messages: list[bytes] = []
        at = 0
        while (begin := at + self.size) <= len(data):
            length = int.from_bytes(data[at:begin], "big")
            if length > limit:
                return messages, None
            if begin + length > len(data):
                break
            messages.append(data[begin : begin + length])
            at = begin + length
        return messages, data[at:]

    def ends(self, data: bytearray, seen: int, limit: int) -> bool:
        """See `Framing.ends`. Once the length is known, it was not too long."""
        return seen < self.size or len(data) >= self.size + int.from_bytes(data[: self.size], "big")

    def wrap(self, answer: bytes) -> bytes:
        """See `Framing.wrap`. Raises OverflowError where `size` bytes cannot say how long it is."""
        return len(answer).to_bytes(self.size, "big") + answer


@dataclass(frozen=True)
class Fixed:
    """A message has `size` bytes. An answer may have any number."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("a message has at least one byte")

    def cut(self, data: bytes, limit: int) -> tuple[list[bytes], bytes | None]:
        """See `Framing.cut`. Every message has the length that the handler asked for, whatever the limit."""
        whole = len(data) - len(data) % self.size
        return [data[at : at + self.size] for at in range(0, whole, self.size)], data[whole:]

    def ends(self, data: bytearray, seen: int, limit: int) -> bool:
        """See `Framing.ends`."""
        return len(data) >= self.size

    def wrap(self, answer: bytes) -> bytes:
        """See `Framing.wrap`."""
        return answer


def framed(framing: Framing) -> Callable[[H], H]:
    """Say that a function, plain or `async`, is a handler of requests, each a message of this framing."""

    def mark(handler: H) -> H:
        handler.framing = framing  # type: ignore[attr-defined]
        return handler

    return mark
