"""The sliding window: what a limit decides by what it counted in this window and in the last.

Of two windows that follow each other, so much of the last still counts as a span of the same length that ends now has in common
with it, as if its requests had come evenly.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """So many requests (`size`, at least 1) in any `length` (nanoseconds, at least 1)."""

    size: int
    length: int

    def look(self, current: int, last: int, elapsed: int) -> tuple[int, int]:
        """With so many counted in this window, `elapsed` nanoseconds ago begun, and in the last: how many more may come now, and
        the nanoseconds until one more may."""
        size, length = self.size, self.length
        left = length - elapsed
        free = max(0, (size * length - current * length - last * left) // length)
        # What must be forgotten: first of the last window, and when that is over, of this one.
        excess = (free + 1 - size + current) * length + last * left
        if excess <= last * left:
            return free, -(-excess // last) if last else left
        return free, left + (-(-(excess - last * left) // current) if current else 0)
