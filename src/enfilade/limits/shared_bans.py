"""Bans that several servers have in common, in a store between them. What happens here never waits for it: it is asked now and
then, told what has changed here, and what it tells is taken over."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from enfilade.limits.bans import Ban, Bans

log = logging.getLogger("enfilade.bans")

LOOK = 1.0
"""Seconds between two looks."""
PAUSE = 5.0
"""Seconds for which a store that failed is left alone."""


class StoreError(Exception):
    """The store cannot be asked; the text says why."""


class Store(Protocol):
    """A text for each address. Each method raises StoreError."""

    async def version(self) -> int:
        """A larger number after each change; 0 where nothing was ever written, or all was forgotten."""

    async def read(self) -> Mapping[str, str]: ...

    async def write(self, changed: Mapping[str, str], seconds: int) -> None:
        """Keep these for so long at least."""

    async def remove(self, addresses: Sequence[str]) -> None:
        """These are of no use any more. It counts as no change."""


Connect = Callable[[], AbstractAsyncContextManager[Store]]


class SharedBans:
    """What `bans` and those of other servers have in common. `clock`: seconds since 1970."""

    def __init__(self, bans: Bans, clock: Callable[[], float] = time.time) -> None:
        self._bans = bans
        self._clock = clock
        self._version: int | None = None
        self._known: dict[str, int] = {}

    async def follow(self, connect: Connect, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Without end. A store that fails is told of once."""
        failed = False
        while True:
            try:
                async with connect() as store:
                    while True:
                        await self.look(store)
                        failed = False
                        await sleep(LOOK)
            except StoreError as error:
                if not failed:
                    log.error("bans are not shared: %s", error)
                failed = True
                await sleep(PAUSE)

    async def look(self, store: Store) -> None:
        """Take over what others have changed, and tell them what was changed here. Raises StoreError."""
        version = await store.version()
        if self._version is not None and version < self._version:
            self._known.clear()  # it has forgotten everything
        if version != self._version:
            useless = self._take(await store.read())
            if useless:
                await store.remove(useless)
            self._version = version
        changed = self._changes()
        if changed:
            longest = max(until for until, _ in changed.values())
            await store.write(
                {address: text for address, (_, text) in changed.items()}, longest - int(self._clock()) + 1
            )
        self._known = {ban.address: ban.until for ban in self._bans.listed()}

    def _take(self, found: Mapping[str, str]) -> list[str]:
        """The addresses of what has ended, or is not understood."""
        useless = []
        for address, text in found.items():
            read = _decode(address, text)
            if read is None or read[0].until <= self._clock():
                useless.append(address)
                continue
            ban, lifted = read
            here = self._bans.find(address)
            if lifted:
                if here is not None and here.until <= ban.until:
                    self._bans.lift(address)
                self._known.pop(address, None)
            elif here is None or here.until < ban.until:
                self._bans.put(ban)
                self._known[address] = ban.until
            elif here.until == ban.until:
                self._known[address] = ban.until
        return useless

    def _changes(self) -> dict[str, tuple[int, str]]:
        """What the others do not know yet, with its end."""
        here = {ban.address: ban for ban in self._bans.listed()}
        changed = {
            address: (ban.until, _encode(ban, False))
            for address, ban in here.items()
            if self._known.get(address) != ban.until
        }
        for address, until in self._known.items():
            if address not in here and until > self._clock():
                changed[address] = until, _encode(Ban(address, until, 0, ""), True)
        return changed


def _encode(ban: Ban, lifted: bool) -> str:
    return json.dumps({"until": ban.until, "strikes": ban.strikes, "cause": ban.cause, "lifted": lifted})


def _decode(address: str, text: str) -> tuple[Ban, bool] | None:
    """None: it is another version's, or somebody else's."""
    try:
        facts = json.loads(text)
        return Ban(address, int(facts["until"]), int(facts["strikes"]), str(facts["cause"])), bool(facts["lifted"])
    except (ValueError, TypeError, KeyError):
        return None
