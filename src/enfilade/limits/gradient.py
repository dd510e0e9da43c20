"""How many requests may be in flight, found out by how long they take (after Netflix's concurrency-limits, gradient).

As long as requests take about as long as the quickest of late, there is room, and the limit grows; where they take longer, they
wait for each other somewhere behind us, and it shrinks in the same proportion.
"""

from __future__ import annotations

import math

BATCH = 16
"""Requests of which the mean counts."""
SPAN = 30.0
"""Seconds: the quickest of this span and of the last one is what others are measured by."""
TOLERANCE = 1.5
"""So many times as long as the quickest may they take."""
SMOOTHING = 0.2
LEAST = 0.5
"""What the limit is multiplied by at the least, before it is smoothed."""


class Gradient:
    """`limit`: the present one, from 1 to `most`."""

    def __init__(self, most: int, now: float) -> None:
        self.limit = min(most, 20.0)
        self._most = most
        self._batch: list[float] = []
        self._busy = False
        self._quickest = [math.inf, math.inf]
        self._turn = now + SPAN

    def add(self, seconds: float, in_flight: int, now: float) -> None:
        """A request took `seconds`; there are so many in flight, itself among them."""
        self._batch.append(seconds)
        self._busy = self._busy or 2 * in_flight >= self.limit
        if len(self._batch) < BATCH:
            return
        mean = sum(self._batch) / BATCH
        self._batch.clear()
        if now >= self._turn:
            self._quickest = [math.inf, self._quickest[0]]
            self._turn = now + SPAN
        self._quickest[0] = min(self._quickest[0], mean)
        ratio = max(LEAST, min(1.0, TOLERANCE * min(self._quickest) / mean)) if mean > 0 else 1.0
        # What nobody makes use of says nothing about where the limit is.
        if ratio < 1.0 or self._busy:
            wanted = self.limit * ratio + math.sqrt(self.limit)
            self.limit = max(1.0, min(self._most, self.limit + SMOOTHING * (wanted - self.limit)))
        self._busy = False
