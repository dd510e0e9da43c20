"""Peers that die with requests in their hands: one of these may be what kills them, and nobody can tell which."""

from __future__ import annotations

from collections import deque

from enfilade.upstream.peer import Peer

WINDOW = 30.0
"""Seconds for which a death counts: as long as a new process must live to be thought sound (process/lifecycle.py)."""


class Deaths:
    """Remembers who died lately. After more than `most` deaths within the window, what a peer had in its hands when it died is
    not to be given to another: every request that kills would cost two."""

    __slots__ = ("_deaths",)

    def __init__(self, most: int) -> None:
        self._deaths: deque[tuple[Peer, float]] = deque(maxlen=most + 1)

    def died(self, peer: Peer, now: float) -> None:
        """Told for each of its requests; it died once."""
        if all(peer is not known for known, _ in self._deaths):
            self._deaths.append((peer, now))

    def too_many(self, now: float) -> bool:
        return len(self._deaths) == self._deaths.maxlen and now - self._deaths[0][1] < WINDOW
