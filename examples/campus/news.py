"""What changed, for those who listen. The database is the only thing that all workers share, so each worker looks there."""

from __future__ import annotations

import asyncio
from collections import deque

from examples.campus.store import Store

INTERVAL = 0.2
"""Seconds between two looks at the table of changes: one small query a worker, however many sockets listen."""

Change = dict[str, object]


class News:
    """The latest changes. `watch` runs for as long as the worker does; everybody else awaits `after`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.last = store.last_change()
        self._recent: deque[Change] = deque(maxlen=1000)
        self._came = asyncio.Event()

    async def watch(self) -> None:
        while True:
            changes = await asyncio.to_thread(self.store.changes_after, self.last)
            if changes:
                self._recent.extend(changes)
                self.last = int(str(changes[-1]["id"]))
                self._came.set()
                self._came = asyncio.Event()
            await asyncio.sleep(INTERVAL)

    async def after(self, seen: int) -> list[Change]:
        """The changes that came after number `seen`; waits until there is one."""
        while self.last <= seen:
            await self._came.wait()
        return [change for change in self._recent if int(str(change["id"])) > seen]
