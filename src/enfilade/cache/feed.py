"""Purges reach every server that shares a Redis, also one that was away.

They stand in a stream there, the `Journal`, and its order is the order for everybody, who made them included. One worker of
a server (`Feed`) writes what is purged here and reads what all have purged. What it has read and written stands in the memory
of the purges, so the next worker that does this goes on from there.

**Clocks differ.** What makes an answer dead is that it carries an earlier generation than the purge, and another server may
have fetched it. So a purge that comes back from the journal has one generation on all servers: the journal's time and a margin
that is more than their clocks differ by; and if that is not enough, one above that of who made it. Until it comes back, it
counts where it was made; what is fetched there in this moment is fetched once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from enfilade.cache.purges import ALL, Position, Purge, Purges
from enfilade.cache.stores.troubles import Troubles, reason_of

T = TypeVar("T")
Entry = tuple[Position, Purge]

LOOK = 0.05
"""Seconds between two looks at what is purged here."""
MARGIN = 2_000_000_000
"""Nanoseconds by which the servers' clocks may differ without making it cost a fetch more."""
TIMEOUT = 2.0
"""Seconds for an answer of the journal."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 5.0
"""Seconds for which a journal that failed is left alone: until then others' purges do not count here."""
START = 1.0
"""Seconds for which a worker waits at its start for what it may have missed."""
NOTHING = b""
"""A name that no answer has."""


class Journal(Protocol):
    """Entries are never changed, and only the oldest go. All raise OSError (which a time-out is, too) where it is away. `stream`
    tells it from any other."""

    stream: int

    async def append(self, purges: Sequence[Purge]) -> None:
        """Write them to its end."""

    async def read(self, after: Position, seconds: float) -> list[Entry]:
        """The first entries `after` that, but not all at once; where there are none, wait for so long."""

    async def holds(self, position: Position) -> bool:
        """Is this entry still there?"""

    async def last(self) -> Position:
        """Of the last entry. Time and number are 0 where there is none."""

    async def close(self) -> None:
        """It is not used any more."""


class Feed:
    """`where` names the journal in the log."""

    def __init__(
        self,
        purges: Purges,
        journal: Journal,
        where: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._purges = purges
        self._journal = journal
        self._sleep = sleep
        self._troubles = Troubles(where)
        self._task: asyncio.Task[None] | None = None
        self._pause = FIRST_PAUSE
        self._at = Position(journal.stream, 0, 0)

    async def catch_up(self) -> None:
        """Apply what was purged elsewhere so far: for each worker, before it serves. Gives up where that takes long, or where the
        journal is away."""
        try:
            async with asyncio.timeout(START):
                await self.read_missed()
        except OSError as error:
            self._troubles.tell(reason_of(error))

    def start(self) -> None:
        """Go on with it: for one worker."""
        self._task = asyncio.create_task(self.run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            try:
                await self._send()
            except OSError as error:  # a successor finds it unsent, where the memory stays
                self._troubles.tell(reason_of(error))
        await self._journal.close()

    async def run(self) -> None:
        while True:
            try:
                await self.read_missed()
                await self.announce()
                self._pause = FIRST_PAUSE
                while True:
                    await self.turn(LOOK)
            except OSError as error:
                self._troubles.tell(reason_of(error))
            await self._sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def read_missed(self) -> None:
        """Apply all that was not seen yet. Where some of it may be gone (too much, or the journal has lost its memory), all
        counts as purged. What it has lost, others may have missed: they are told so."""
        purges, stream = self._purges, self._journal.stream
        seen = purges.seen
        if seen.stream != stream or not await self._ask(self._journal.holds(seen)):
            lost = seen.stream == stream and await self._ask(self._journal.last()) < seen
            purges.start_over(stream)
            if lost:
                purges.purge(ALL)
            seen = Position(stream, 0, 0)
        # Kept here as well: until a reload is over, another worker may follow another journal.
        self._at = seen
        while await self._read(0):
            pass

    async def announce(self) -> None:
        """Tell the others of our generation: theirs is above it then, and what they fetch from now on is good for us, too."""
        await self._send()
        await self._ask(self._journal.append([Purge(self._purges.generation, NOTHING, False)]))

    async def turn(self, seconds: float) -> None:
        """Send what was purged here, then read what comes within `seconds`."""
        await self._send()
        await self._read(seconds)

    async def _send(self) -> None:
        purges = self._purges
        until = purges.generation
        if until <= purges.sent:
            return
        made = purges.since(purges.sent)
        if made is None:
            made = [Purge(until, ALL, False)]
        if made:
            await self._ask(self._journal.append(made))
            until = max(until, made[-1].generation)
        purges.sent = until

    async def _read(self, seconds: float) -> bool:
        """Did anything come?"""
        entries = await self._ask(self._journal.read(self._at, seconds), seconds)
        for at, purge in entries:
            self._purges.apply(purge._replace(generation=agreed(purge.generation, at)), at)
            self._at = at
        return bool(entries)

    async def _ask(self, asked: Awaitable[T], more: float = 0.0) -> T:
        async with asyncio.timeout(TIMEOUT + more):
            return await asked


def agreed(generation: int, at: Position) -> int:
    """Which generation all servers give to the purge `at` this position, if its maker gave it `generation`."""
    return max(at.time * 1_000_000 + at.number + MARGIN, generation + 1)
