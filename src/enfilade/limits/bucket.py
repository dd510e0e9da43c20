"""The token bucket: what a limit decides, without a clock or a memory.

It is kept as the generic cell rate algorithm (GCRA) has it: not as tokens that somebody would have to fill in, but as its debt,
the time after which it would be full again if nobody came. A request adds one `interval` to the debt; time alone takes it off.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many requests (`size`, at least 1) at once, and one more each `interval` (nanoseconds, at least 1)."""

    size: int
    interval: int

    def look(self, debt: int) -> tuple[int, int]:
        """At this `debt` (nanoseconds, 0 or more): how many requests would go through now, and the nanoseconds until one more
        would, or, of none, until one would."""
        interval = self.interval
        free, spare = divmod(self.size * interval - debt, interval)
        # More than full is what several workers can make of it who let requests through in the same moment.
        return (free, interval - spare) if free >= 0 else (0, (1 - free) * interval - spare)
