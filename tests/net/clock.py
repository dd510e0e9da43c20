"""A clock that stands until it is advanced, and what slept on it runs."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush

TURNS = 50
"""Of the event loop: more than any chain of tasks that do no I/O needs to come to rest."""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._count += 1
        heappush(self._sleepers, (self.now + seconds, self._count, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, each sleeper waking in its moment."""
        await rest()
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, woken = heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await rest()
        self.now = until


async def rest() -> None:
    """Let everything run that can run without I/O or time."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
