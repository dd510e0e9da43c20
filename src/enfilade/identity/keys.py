"""Keys that stay fresh: of a file that is watched, or fetched from whoever issues tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Protocol

from enfilade.exchange.fetch import Fetch, Fetched, FetchError
from enfilade.http.cache_control import delta_seconds, parse_cache_control
from enfilade.identity.token import SigningKey

log = logging.getLogger("enfilade.identity")

LEAST, USUAL, MOST = 300.0, 3600.0, 86400.0
"""Seconds for which keys that were fetched are not fetched again: what their Cache-Control says is held between, or taken
for, these."""
RETRY = 30.0
"""Seconds from a fetch that failed to the next one in the background."""
SOONEST = 5.0
"""The same where there are no keys at all, and somebody waits for them."""
UNKNOWN = 60.0
"""Seconds from one fetch to another because of a key that is not there: strangers can name any."""
KEPT = 86400.0
"""Seconds beyond their time that keys are used while no others can be had."""

Read = Callable[[bytes], Sequence[SigningKey]]
"""Raises ValueError."""


class Keys(Protocol):
    """`now`: those there are. `generation`: another one whenever they have changed."""

    now: Sequence[SigningKey]
    generation: int

    def more(self) -> Awaitable[None] | None:
        """Wait for it, and look again: there may be others then. None: there is nothing to wait for."""

    def tick(self, now: float) -> None:
        """About once a second; `now`: monotonic."""


class Changes(Protocol):
    """`WatchedFiles`, of the room `net`."""

    def changed(self) -> bool: ...


class FixedKeys:
    """Always the same."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self.now = keys
        self.generation = 0

    def more(self) -> None:
        """See `Keys.more`."""

    def tick(self, now: float) -> None:
        """See `Keys.tick`."""


class KeyFile:
    """The keys in the file at `path`, which `read` makes of it; raises OSError and ValueError. What was read before stays where
    something else has come that cannot be."""

    def __init__(self, path: str, read: Read, changes: Changes) -> None:
        self._path = path
        self._read = read
        self._changes = changes
        self.now = self._load()
        self.generation = 0

    def more(self) -> None:
        """See `Keys.more`."""

    def tick(self, now: float) -> None:
        """See `Keys.tick`."""
        if self._changes.changed():
            try:
                self.now = self._load()
                self.generation += 1
            except (OSError, ValueError) as error:
                log.error("%s stays as it was: %s", self._path, error)

    def _load(self) -> Sequence[SigningKey]:
        with open(self._path, "rb") as file:
            return self._read(file.read())


class FetchedKeys:
    """The keys at `url`, fetched when somebody needs them first, and from then on kept fresh."""

    def __init__(self, url: str, fetch: Fetch, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._read = read
        self._clock = clock
        self.now: Sequence[SigningKey] = ()
        self.generation = 0
        self._body = b""
        self._asked_at = -inf
        self._refresh_at = self._drop_at = inf
        self._flight: asyncio.Task[None] | None = None

    def more(self) -> Awaitable[None] | None:
        """See `Keys.more`."""
        if self._flight is None:
            if self._clock() - self._asked_at < (UNKNOWN if self.now else SOONEST):
                return None
            self._flight = self._start()
        return asyncio.shield(self._flight)  # others wait for it as well

    def tick(self, now: float) -> None:
        """See `Keys.tick`."""
        if self._flight is None and now >= self._refresh_at:
            self._flight = self._start()
        if now >= self._drop_at:
            self._drop_at = inf
            self._take((), b"")
            log.error("%s: no keys could be fetched for too long, so there are none", self._url)

    def _start(self) -> asyncio.Task[None]:
        self._asked_at = self._clock()
        return asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        try:
            answer = await self._fetch("GET", self._url, [(b"accept", b"application/jwk-set+json, application/json")])
            if answer.status != 200:
                raise FetchError(f"{self._url}: its answer is {answer.status}")
            keys = self._read(answer.body)
        except (FetchError, ValueError) as error:
            self._refresh_at = self._clock() + RETRY
            said = error if isinstance(error, FetchError) else f"{self._url}: {error}"
            log.error("%s; %s", said, "the keys that are there are used on" if self.now else "there are no keys")
        else:
            self._refresh_at = self._clock() + _lifetime(answer)
            self._drop_at = self._refresh_at + KEPT
            if answer.body != self._body:
                self._take(keys, answer.body)
        finally:
            self._flight = None

    def _take(self, keys: Sequence[SigningKey], body: bytes) -> None:
        self.now, self._body = keys, body
        self.generation += 1


def _lifetime(answer: Fetched) -> float:
    """Seconds (RFC 9111 section 4.2.1)."""
    said = parse_cache_control(answer.fields.get(b"cache-control"))
    if b"max-age" not in said:
        return USUAL
    return min(max(delta_seconds(said[b"max-age"]), LEAST), MOST)
