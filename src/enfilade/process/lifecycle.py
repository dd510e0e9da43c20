"""How long the supervisor waits for its workers, whatever they run, and what it says of their ends."""

from __future__ import annotations

import os
import signal

FIRST_DELAY, MAX_DELAY, SETTLED = 0.1, 10.0, 30.0
"""Restart of a crashed worker: the delay doubles from the first to the largest; SETTLED seconds of life begin it anew."""


SPEAK_AFTER, SPEAK_AGAIN = 1.0, 10.0
"""Seconds after which people are told that a worker still starts, and between two such lines."""

GRACE = 2.0
"""Seconds beyond a drain time-out in which workers close what is left and stop their applications."""

STOP_NOW_TIMEOUT = 2.0
"""Seconds from "stop now" to SIGKILL."""


def restart_delay(previous: float, lived: float) -> float:
    """Seconds to wait before a place is filled again, from the last such delay (0: none) and the life of the dead worker."""
    if previous == 0 or lived >= SETTLED:
        return FIRST_DELAY
    return min(2 * previous, MAX_DELAY)


def ending(status: int) -> str:
    """What `os.waitpid` says, for people."""
    code = os.waitstatus_to_exitcode(status)
    return f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code} ({signal.strsignal(-code)})"
