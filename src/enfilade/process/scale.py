"""How many workers an application gets, and which of them has served its time. Pure: the clock and what was counted go in."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

FULL = 0.75
"""The part of its time that a worker is busy when it is well used: beyond, requests begin to wait for each other."""
CALM = 60.0
"""Seconds in which fewer workers would have done before there are fewer: starting one costs more than keeping it."""
SPREAD = 0.1
"""The part of `max_requests` over which the workers of an application are spread, so that they do not all go at once."""
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly however many there are


class Work(NamedTuple):
    """What an application has to do now, counted by all edge workers: requests in flight and queued, and those `served` ever.
    `cpu`: how many processors its workers used since the last look."""

    in_flight: int
    queued: int
    served: int
    cpu: float = 0.0

    def busy(self, concurrency: int) -> float:
        """How many workers it keeps busy. `concurrency`: requests that one can serve at once; 0: any number, so that
        only the processor says how busy it is."""
        return (self.in_flight + self.queued) / concurrency if concurrency else self.cpu


class Scale:
    """`wanted`: how many workers there should be: between `minimum` and `maximum`, or none where `idle_stop` (seconds; 0: never)
    went by without a request. It grows at once and shrinks when it has been calm for a while."""

    def __init__(self, minimum: int, maximum: int, idle_stop: float) -> None:
        self.wanted = minimum
        self._minimum = minimum
        self._maximum = maximum
        self._idle_stop = idle_stop
        self._served = 0
        self._quiet_since: float | None = None
        self._calm_since: float | None = None
        self._peak = 0

    def look(self, now: float, work: Work, concurrency: int) -> None:
        """Decide anew."""
        if self._is_idle(now, work):
            self.wanted = 0
        elif self.wanted == 0:
            if work.in_flight or work.queued:
                self.wake()
        else:
            self._fit(now, min(max(ceil(work.busy(concurrency) / FULL), self._minimum), self._maximum))

    def wake(self) -> None:
        """A request waits for a worker."""
        if self.wanted == 0:
            self.wanted = self._minimum
            self._quiet_since = self._calm_since = None

    def _is_idle(self, now: float, work: Work) -> bool:
        quiet = work.served == self._served and not work.in_flight and not work.queued
        self._served = work.served
        if not quiet or self._quiet_since is None:
            self._quiet_since = now
        return 0 < self._idle_stop <= now - self._quiet_since

    def _fit(self, now: float, needed: int) -> None:
        if needed >= self.wanted:
            self.wanted = needed
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since, self._peak = now, needed
        else:
            self._peak = max(self._peak, needed)
            if now - self._calm_since >= CALM:
                self.wanted = self._peak
                self._calm_since = None


def request_limit(max_requests: int, number: int) -> int:
    """After how many requests the worker with this `number` is replaced; 0: never. Never more than `max_requests`."""
    return max_requests - int(max_requests * SPREAD * (number * _GOLDEN % 1))


def why_worn(served: int, limit: int, memory: int, max_memory: int) -> str:
    """Why a worker should be replaced that `served` so many requests and uses `memory` bytes; "": it need not. 0: no limit."""
    if 0 < limit <= served:
        return f"it has served {served} requests"
    if 0 < max_memory <= memory:
        return f"it uses {memory >> 20} MB of memory"
    return ""
