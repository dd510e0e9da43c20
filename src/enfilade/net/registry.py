"""Peers that register themselves: reading who is registered, and staying registered."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from enfilade.net.discover import OnChange, Sleep
from enfilade.upstream.addresses import Wanted
from enfilade.upstream.names import Waits

log = logging.getLogger("enfilade.upstream")

LOOK = 2.0
"""Seconds between two looks for registrations that have ended without a word."""
SETTLE = 15.0
"""Seconds after the store was away in which nobody is taken for gone: it may have forgotten everybody, and they need this long to
say again that they are there."""
BEATS = 3
"""How often a registration is renewed in its time to live, so that one or two may fail."""
RETRY = 1.0
"""Seconds until a registration that failed is tried again."""


class StoreError(Exception):
    """The store cannot be asked; the text says why."""


class Store(Protocol):
    """The registrations of one upstream. Each method raises StoreError."""

    async def read(self) -> Mapping[str, str]:
        """All registrations by member."""

    async def changed(self, seconds: float) -> None:
        """Wait until somebody says that there is a change, but not longer than this."""

    async def put(self, member: str, text: str, ttl: float, *, announce: bool) -> None:
        """Register `member` for `ttl` seconds."""

    async def remove(self, member: str) -> None:
        """End a registration, and say so."""


Connect = Callable[[], AbstractAsyncContextManager[Store]]


class Registry:
    """The `Source` of the peers that are registered for the upstream called `name`. `parse` makes the peer of a registration's
    text, or raises ValueError."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        parse: Callable[[str], Wanted],
        *,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._connect = connect
        self._parse = parse
        self._sleep = sleep
        self._now = now
        self._waits = Waits(chance)
        self._peers: dict[str, Wanted] = {}
        self._settled_at = now()
        self._refused: set[tuple[str, str]] = set()

    async def watch(self, on_change: OnChange) -> None:
        """See `Source`. The order is that of their addresses."""
        while True:
            try:
                async with self._connect() as store:
                    while True:
                        self._take(await store.read())
                        on_change(self._in_order())
                        await store.changed(LOOK)
            except StoreError as error:
                level = logging.DEBUG if self._waits.failures else logging.WARNING
                log.log(level, "upstream %s keeps %d registered peers: %s", self._name, len(self._peers), error)
                on_change(self._in_order())
            await self._sleep(self._waits.after_failure())

    def _in_order(self) -> list[Wanted]:
        return sorted(self._peers.values())

    def _take(self, texts: Mapping[str, str]) -> None:
        if self._waits.failures:
            self._waits.after_answer(0)
            self._settled_at = self._now() + SETTLE
            log.info("upstream %s reads its registrations again", self._name)
        found = self._parse_all(texts)
        self._peers = found if self._now() >= self._settled_at else {**self._peers, **found}

    def _parse_all(self, texts: Mapping[str, str]) -> dict[str, Wanted]:
        found = {}
        refused = set()
        for member, text in texts.items():
            try:
                found[member] = self._parse(text)
            except ValueError as error:
                refused.add((member, text))
                if (member, text) not in self._refused:
                    log.warning("upstream %s: the registration %s is passed over: %s", self._name, member, error)
        self._refused = refused
        return found


class Registration:
    """Keeps `member` registered with `text`, `ttl` seconds at a time."""

    def __init__(self, connect: Connect, member: str, text: str, ttl: float, *, sleep: Sleep = asyncio.sleep) -> None:
        self._connect = connect
        self._member = member
        self._text = text
        self._ttl = ttl
        self._sleep = sleep

    async def keep(self) -> None:
        """Renew it in time, until cancelled."""
        failed = False
        while True:
            try:
                async with self._connect() as store:
                    announce = True
                    while True:
                        await store.put(self._member, self._text, self._ttl, announce=announce)
                        if announce:
                            log.info("registered: %s", self._text)
                        announce = failed = False
                        await self._sleep(self._ttl / BEATS)
            except StoreError as error:
                log.log(logging.DEBUG if failed else logging.WARNING, "cannot register: %s; trying on", error)
                failed = True
            await self._sleep(RETRY)

    async def end(self) -> None:
        """Take it back."""
        try:
            async with self._connect() as store:
                await store.remove(self._member)
        except StoreError as error:
            log.warning("the registration ends only after its time to live: %s", error)
