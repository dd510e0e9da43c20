"""How long requests took, in memory that does not grow with their number."""

from __future__ import annotations

from array import array
from math import ceil, log

STEP = 1.01
"""A bucket is 1 % wide: so exact is a percentile."""
LONGEST = 1_000 * 1_000_000_000
"""Nanoseconds; what took longer counts as this."""
_SCALE = 1 / log(STEP)
_BUCKETS = int(log(LONGEST) * _SCALE) + 2


class Histogram:
    """Counts of spans of time, in buckets each of which is STEP times as wide as the one before."""

    __slots__ = ("buckets", "count", "longest")

    def __init__(self) -> None:
        self.buckets = array("Q", bytes(8 * _BUCKETS))
        self.count = 0
        self.longest = 0
        """Nanoseconds, exactly."""

    def add(self, nanoseconds: int) -> None:
        within = nanoseconds if 0 < nanoseconds < LONGEST else max(1, min(nanoseconds, LONGEST))
        self.buckets[int(log(within) * _SCALE)] += 1
        self.count += 1
        if nanoseconds > self.longest:
            self.longest = nanoseconds

    def merge(self, other: Histogram) -> None:
        for i, count in enumerate(other.buckets):
            if count:
                self.buckets[i] += count
        self.count += other.count
        self.longest = max(self.longest, other.longest)

    def percentile(self, percent: float) -> float:
        """Seconds within which so much of a hundred was over: the middle of the bucket where that is. 0.0 if there is nothing."""
        rank = max(1, ceil(self.count * percent / 100))
        seen = 0
        for i, count in enumerate(self.buckets):
            seen += count
            if seen >= rank:
                return min(float(STEP ** (i + 0.5)), self.longest) / 1e9
        return 0.0
