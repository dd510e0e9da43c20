"""How asking fails, and what it is counted as."""

from __future__ import annotations

import errno

KINDS: dict[type[Exception], str] = {
    ConnectionRefusedError: "refused",
    ConnectionResetError: "reset",
    BrokenPipeError: "broken_pipe",
    TimeoutError: "timeout",
}


class Unanswered(Exception):
    """No answer, or not the right one. The text is what kind of failure that is: "closed", "wrong", "timeout"."""


def kind_of(error: Exception) -> str:
    """What `error` is counted as: "refused", "reset", "closed", "EMFILE"."""
    if isinstance(error, Unanswered):
        return str(error)
    number = error.errno if isinstance(error, OSError) else None
    return KINDS.get(type(error)) or errno.errorcode.get(number or 0, type(error).__name__)
