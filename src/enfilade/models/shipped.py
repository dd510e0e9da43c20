"""Handlers that come along: `echo` (RFC 862), `discard` (RFC 863), `time`, and `zen`."""

from __future__ import annotations

from datetime import UTC, datetime

from enfilade.framing import Chunks, Delimiter, framed


@framed(Chunks())
def echo(data: bytes) -> bytes:
    """What was sent comes back."""
    return data


@framed(Chunks())
def discard(data: bytes) -> bytes:
    """What was sent is gone."""
    return b""


@framed(Delimiter(b"\n"))
def time(line: bytes) -> bytes:
    """Whatever the line says, the answer is the time of day, in UTC (RFC 3339)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


_ZEN = {
    b"What is better than ugly": b"Beautiful is better than ugly",
    b"What is better than implicit": b"Explicit is better than implicit",
    b"What counts": b"Readability counts",
}


@framed(Delimiter(b"?", b"."))
def zen(question: bytes) -> bytes:
    """Each of three questions is answered by an aphorism of the Zen of Python (PEP 20)."""
    return _ZEN.get(question.strip(), b"I have no answer to that")
