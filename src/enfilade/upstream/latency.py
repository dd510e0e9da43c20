"""What is late, for hedging: a request that is slower than nearly all are is worth asking another peer for."""

from __future__ import annotations

_SIZE = 256
_STEP = 32


class Percentile:
    """The `share` (0.95: the 95th percentile) of the last 256 durations, looked up anew every 32 of them: it follows within
    seconds where traffic is dense, and costs a sort of 256 numbers for 32 exchanges."""

    __slots__ = ("_durations", "_next", "_share", "value")

    def __init__(self, share: float = 0.95) -> None:
        self._share = share
        self._durations: list[float] = []
        self._next = 0
        self.value: float | None = None
        """Seconds; None while fewer than 32 are known."""

    def add(self, seconds: float) -> None:
        """An exchange took so long."""
        at = self._next
        if len(self._durations) < _SIZE:
            self._durations.append(seconds)
        else:
            self._durations[at] = seconds
        self._next = at = (at + 1) % _SIZE
        if at % _STEP == 0:
            known = sorted(self._durations)
            self.value = known[int(self._share * len(known))]
