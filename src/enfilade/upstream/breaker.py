"""The circuit breaker: whatever fails too often is left alone for a while, then trusted again if one exchange succeeds.

An upstream has one for all of its peers together; health has one for each of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

_SLICES = 10
"""The window slides by a tenth of itself."""


class State(Enum):
    """CLOSED: exchanges flow. OPEN: none does. HALF_OPEN: one does, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class Tolerance:
    """How many failures are too many, and for how long. Times are seconds.

    - `failures`: so many in a row; 0: any number.
    - `failure_rate`: such a share (0 to 1) of at least `volume` exchanges within `window`; 0: it is not looked at.
    - `base`: it is open for this long, times the number of openings that are not forgotten, at most for `longest`. One opening
      is forgotten for each `base` that it stays closed.
    """

    failures: int = 5
    failure_rate: float = 0.0
    window: float = 10.0
    volume: int = 20
    base: float = 10.0
    longest: float = 300.0


class Breaker:
    """Who `admits` lets pass tells how it went: exactly one of `succeeded`, `failed`, `abandoned`. `tick` is called about once
    a second. `may_open`: asked before it opens, not when the one exchange that decides has failed.

    `state`; `until`: when it was or will be half-open; `times`: openings that are not forgotten; `streak`: failures in a row.
    """

    __slots__ = (
        "_forget_at", "_may_open", "_samples", "failures", "state", "streak", "successes", "times", "tolerance", "until",
    )  # fmt: skip

    def __init__(self, tolerance: Tolerance, may_open: Callable[[], bool] = lambda: True) -> None:
        self.tolerance = tolerance
        self.state = State.CLOSED
        self.until = 0.0
        self.times = 0
        self.streak = 0
        self.successes = 0
        self.failures = 0
        self._may_open = may_open
        self._forget_at = 0.0
        self._samples = deque([(0.0, 0, 0)])  # (when, successes, failures) until then

    def admits(self, now: float) -> bool:
        """Whether an exchange may be made. The first one after `until` is the one that decides."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.HALF_OPEN or now < self.until:
            return False
        self.state = State.HALF_OPEN
        return True

    def refuses(self, now: float) -> bool:
        """Whether an exchange would not be admitted; asking changes nothing."""
        return self.state is State.HALF_OPEN or (self.state is State.OPEN and now < self.until)

    def succeeded(self, now: float) -> None:
        self.successes += 1
        self.streak = 0
        if self.state is State.HALF_OPEN:
            self.close(now)

    def failed(self, now: float) -> None:
        self.failures += 1
        self.streak += 1
        enough = self.state is State.CLOSED and 0 < self.tolerance.failures <= self.streak
        if self.state is State.HALF_OPEN or (enough and self._may_open()):
            self._open(now)

    def abandoned(self, now: float) -> None:
        """It ended in a way that says nothing, as when the client went away: if it was to decide, the next one is."""
        if self.state is State.HALF_OPEN:
            self.state, self.until = State.OPEN, now

    def tick(self, now: float) -> None:
        """Look at the rate of failures, and forget openings of long ago."""
        if self.state is not State.CLOSED:
            return
        if self.times and now >= self._forget_at:
            self.times -= 1
            self._forget_at = now + self.tolerance.base
        if self.tolerance.failure_rate and self._rate_exceeded(now) and self._may_open():
            self._open(now)

    def close(self, now: float) -> None:
        """Trust it again."""
        self.state = State.CLOSED
        self.streak = 0
        self._samples = deque([(now, self.successes, self.failures)])  # what was before its opening is dealt with
        self._forget_at = now + self.tolerance.base

    def _open(self, now: float) -> None:
        self.state = State.OPEN
        self.times += 1
        self.until = now + min(self.tolerance.base * self.times, self.tolerance.longest)

    def _rate_exceeded(self, now: float) -> bool:
        samples, window = self._samples, self.tolerance.window
        if now - samples[-1][0] >= window / _SLICES:
            samples.append((now, self.successes, self.failures))
        while len(samples) > 1 and now - samples[1][0] >= window:
            samples.popleft()
        _, successes, failures = samples[0]
        failed = self.failures - failures
        ended = failed + self.successes - successes
        return ended >= max(1, self.tolerance.volume) and failed >= self.tolerance.failure_rate * ended

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state.value}, {self.streak} failures in a row>"
