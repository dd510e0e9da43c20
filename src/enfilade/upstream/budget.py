"""Whether an exchange that failed may be tried again. A failing upstream must not be asked many times as much as a healthy one,
so retries are paid from a budget that grows with the requests.
"""

from __future__ import annotations

from math import exp, expm1

IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""RFC 9110 section 9.2.2: asking twice does what asking once does."""

_MEMORY = 10.0
"""Seconds that a request's deposit lasts, on average (as in Finagle's `RetryBudget`)."""


class RetryBudget:
    """A token bucket: each request deposits `ratio` of a token, each retry takes one, and `floor` tokens a second come for
    nothing, for upstreams with few requests.

    The bucket leaks: tokens last for ten seconds on average, so that a quiet day does not pay for a storm. What is in it
    therefore tends to ten times what comes in each second. In any span of T seconds with N requests, at most `ratio` x N +
    `floor` x T retries are made beyond what the bucket held at its start.
    """

    __slots__ = ("_floor", "_ratio", "_since", "_tokens", "requests")

    def __init__(self, now: float, *, ratio: float = 0.2, floor: float = 10.0) -> None:
        self._ratio = ratio
        self._floor = floor * _MEMORY  # what the bucket holds without any requests
        self._tokens = self._floor
        self._since = now
        self.requests = 0
        """Made since we last looked, retries not among them: whoever makes them counts."""

    def take(self, now: float) -> bool:
        """Pay for a retry. False: it cannot be paid."""
        if self.left(now) < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def left(self, now: float) -> float:
        """How many retries could be paid now."""
        age = (now - self._since) / _MEMORY
        # What was deposited since we last looked came evenly, and the earlier of it has leaked more.
        lasting = -expm1(-age) / age if age else 1.0
        earned = self.requests * self._ratio * lasting
        self._tokens = self._floor + (self._tokens - self._floor) * exp(-age) + earned
        self.requests = 0
        self._since = now
        return self._tokens


def may_retry(
    method: str, *, sent: bool, answered: bool, replayable: bool, attempts: int, budget: RetryBudget, now: float
) -> bool:
    """Whether a failed request may be made again; if so, it is paid from `budget`.

    `sent`: whether the peer may have read a byte of it; if not, any method may be tried again (RFC 9110 section 9.2.2).
    `answered`: the answer had begun, so nothing can be taken back. `replayable`: its body is there from its first byte on.
    `attempts`: how many more are allowed.
    """
    repeatable = not answered and replayable and (not sent or method in IDEMPOTENT)
    return repeatable and attempts > 0 and budget.take(now)
