"""Those who wait until one more request may be in flight, and in which order they come: by priority, and of one priority each key
in its turn. No clock, no memory of who was in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

LEVELS = ("high", "normal", "low")
"""From the first to the last. What follows calls them 0, 1, 2."""
PATIENCE = 8
"""Turns for which a level waits at most for those in front of it."""
T = TypeVar("T")


class Line(Generic[T]):
    """At most `most` wait. Who is served is who has waited longest of the key whose turn it is, at the first level where somebody
    waits; but a level that others were served before PATIENCE times comes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Of each level, who waits by key; the key that comes next is the first.
        self._levels: tuple[dict[Hashable, deque[T]], ...] = tuple({} for _ in LEVELS)
        self._passed = [0] * len(LEVELS)
        self._where: dict[T, tuple[int, Hashable]] = {}

    def __len__(self) -> int:
        return len(self._where)

    def enter(self, one: T, key: Hashable, level: int) -> T | None:
        """Let `one` wait; returns who has to go for it, if it is full: of the last level where somebody waits, of the key with
        most of them, who came last. That may be `one`."""
        self._levels[level].setdefault(key, deque()).append(one)
        self._where[one] = level, key
        if len(self._where) <= self._most:
            return None
        last = next(keys for keys in reversed(self._levels) if keys)
        out = max(reversed(last.values()), key=len)[-1]
        self.leave(out)
        return out

    def leave(self, one: T) -> bool:
        """Whether it was waiting."""
        where = self._where.pop(one, None)
        if where is None:
            return False
        level, key = where
        keys = self._levels[level]
        keys[key].remove(one)
        if not keys[key]:
            del keys[key]
        return True

    def next(self) -> T | None:
        """Who is served now."""
        waiting = [level for level, keys in enumerate(self._levels) if keys]
        if not waiting:
            return None
        level = next((level for level in reversed(waiting) if self._passed[level] >= PATIENCE), waiting[0])
        for other in waiting:
            self._passed[other] = 0 if other == level else self._passed[other] + 1
        keys = self._levels[level]
        key = next(iter(keys))
        ones = keys.pop(key)
        one = ones.popleft()
        del self._where[one]
        if ones:
            keys[key] = ones  # behind all others
        return one
