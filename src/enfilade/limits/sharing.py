"""Limits of several servers: each tells the others what it has let through, and counts what they tell as if it had let it through
itself.

Nobody waits for that: a server decides by what it knows, and every EVERY seconds a worker tells what is new. So where N servers
share a limit, each may let through what comes in the moment before it hears of the others: of a bucket N times its size at the
worst. But all of it is counted everywhere, so what was too much is missing afterwards.

Whoever cannot tell the others counts each request as many times as there are servers: it allows itself its share.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from struct import Struct
from typing import Any, Protocol

from enfilade.limits.bucket import Bucket
from enfilade.limits.table import Buckets, Table, Windows
from enfilade.limits.window import Window

EVERY = 0.05
"""Seconds between two messages of a worker."""
PATIENCE = 1.0
"""Seconds for a message to be taken, and between two tries where nobody takes it."""
MOST = 4096
"""Keys in a message; what is new of more of them is told in the next ones."""
KEPT = 65536
"""Keys of which what is new is kept while nobody can be told; beyond that it is forgotten."""
_HEAD = 8
_ENTRY = Struct("<qqq")
_TOO_MANY = 1 << 31
"""What no worker lets through between two messages."""
log = logging.getLogger("enfilade.limits")


class Channel(Protocol):
    """All messages reach all who listen, ourselves too. Raises OSError."""

    async def tell(self, message: bytes) -> None: ...
    async def hear(self) -> bytes:
        """The next one."""
        ...

    async def close(self) -> None:
        """Let go of what there is; whoever listens hears an OSError. The next message connects anew."""


def number_with(secret: bytes) -> Callable[[object], int]:
    """What makes 64 bits of what is counted by itself, the same on all servers with this secret."""
    key = blake2b(secret, digest_size=32).digest()

    def number(what: object) -> int:
        return int.from_bytes(blake2b(repr(what).encode(), key=key, digest_size=8).digest(), "big", signed=True) or 1

    return number


class Sharing:
    """That of one worker of the server with the id `server` (8 bytes), one of `servers`. `alone` is told whether nobody hears
    us."""

    def __init__(
        self,
        server: bytes,
        servers: int,
        channel: Channel,
        buckets: Buckets,
        windows: Windows,
        alone: Callable[[bool], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._server = server
        self._servers = servers
        self._channel = channel
        self._buckets = buckets
        self._windows = windows
        self._alone = alone
        self._clock = clock
        self._nobody_hears = False
        # What nobody has been told: by whose it is and its pace, less than 0 for a window.
        self._news: dict[tuple[int, int], int] = {}

    def counter(self, table: Table[Any]) -> Callable[[int], None]:
        """What counts a request at its place in `table`."""
        sign = -1 if table is self._windows else 1

        def count(place: int) -> None:
            table.count(place, self._servers if self._nobody_hears else 1)
            whose, pace = table.whose(place)
            key = whose, sign * pace
            self._news[key] = self._news.get(key, 0) + 1

        return count

    async def run(self, *, listen: bool) -> None:
        """Tell the others, and, in one worker of a server, `listen` to them, until it is cancelled."""
        try:
            await asyncio.gather(self._tell_always(), *([self._hear_always()] if listen else []))
        finally:
            await self._channel.close()

    async def _tell_always(self) -> None:
        while True:
            await asyncio.sleep(PATIENCE if self._nobody_hears else EVERY)
            if self._news or self._nobody_hears:
                await self.tell()

    async def tell(self) -> None:
        """Tell the others what is new."""
        told = dict(list(self._news.items())[:MOST])
        for key in told:
            del self._news[key]
        try:
            await asyncio.wait_for(self._channel.tell(pack(self._server, told)), PATIENCE)
        except (TimeoutError, OSError) as error:
            for key, count in told.items():
                self._news[key] = self._news.get(key, 0) + count
            if len(self._news) > KEPT:
                self._news.clear()
            if not self._nobody_hears:
                why = str(error) or "no answer"
                log.warning("no other server hears of our limits: each allows 1/%d of them (%s)", self._servers, why)
                await self._channel.close()  # who listens there may never be told that it is gone
            self._turn(alone=True)
        else:
            if self._nobody_hears:
                log.warning("the other servers hear of our limits again")
            self._turn(alone=False)

    def _turn(self, *, alone: bool) -> None:
        if alone is not self._nobody_hears:
            self._nobody_hears = alone
            self._alone(alone)

    async def _hear_always(self) -> None:
        while True:
            try:
                self.heard(await self._channel.hear())
            except OSError:
                await asyncio.sleep(PATIENCE)  # `tell` says it

    def heard(self, message: bytes) -> None:
        """Count what another server has let through."""
        if message[:_HEAD] == self._server:
            return
        now = self._clock()
        for whose, pace, count in unpack(message):
            if pace > 0:
                table: Table[Any] = self._buckets
                place, _, _ = self._buckets.look(Bucket(1, pace), table.spot(whose), now)
            else:
                table = self._windows
                place, _, _ = self._windows.look(Window(1, -pace), table.spot(whose), now)
            table.count(place, count)


def pack(server: bytes, news: dict[tuple[int, int], int]) -> bytes:
    return server + b"".join([_ENTRY.pack(whose, pace, count) for (whose, pace), count in news.items()])


def unpack(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Whose, pace and count of each entry; nothing of a message that is none of ours."""
    body = message[_HEAD:]
    if len(body) % _ENTRY.size == 0:
        for whose, pace, count in _ENTRY.iter_unpack(body):
            if whose and pace and 0 < count < _TOO_MANY:
                yield whose, pace, count
