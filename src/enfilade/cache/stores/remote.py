"""Answers in a server that others share: Redis, Valkey or Memcached. Which one it is, its `Client` knows.

A server that is away costs nothing: after a failure it is left alone for a while, which doubles until it answers again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Protocol, TypeVar
from urllib.parse import quote

from enfilade.cache.record import decode, encode
from enfilade.cache.stored import Stored
from enfilade.cache.stores.tally import Tally
from enfilade.cache.stores.troubles import Troubles, reason_of
from enfilade.exchange.response import FileSlice

T = TypeVar("T")

TIMEOUT = 0.25
"""Seconds for an answer: who asks here has the origin to ask instead."""
PATIENCE = 20
"""So many times longer may it take to store one, for which nobody waits."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds for which a server that failed is left alone."""
LONGEST_LIFE = 30 * 86_400.0
"""Seconds for which an answer is kept at most. What Memcached is told beyond that is a date for it."""
VALIDATABLE = 3600.0
"""Seconds for which an answer is kept that may not be used any more as it is, but asked about (RFC 9111 section 4.3)."""


class Client(Protocol):
    """A server's commands. All raise OSError (which a time-out is, too) where it does not do what it is asked."""

    async def get(self, name: bytes) -> bytes | None:
        """The value of `name`."""

    async def set(self, name: bytes, value: bytes, seconds: int) -> None:
        """Keep it for so long."""

    async def delete(self, name: bytes) -> None:
        """Forget it."""

    async def close(self) -> None:
        """It is not used any more."""


class Remote:
    """The store behind `client`. `prefix` keeps the names apart from others' in the same server, `largest` is in bytes,
    `timeout` in seconds. `where` names the server in the log, `tally` counts its failures."""

    def __init__(
        self,
        client: Client,
        where: str,
        prefix: str,
        largest: int,
        timeout: float = TIMEOUT,
        tally: Tally | None = None,
    ) -> None:
        self.largest = largest
        self.patience = Patience()
        self._client = client
        self._prefix = quote(prefix, safe="").encode() + b":"
        self._timeout = timeout
        self._troubles = Troubles(where, tally)

    def get(self, key: bytes) -> Awaitable[Stored | None] | None:
        """See `Store`. None at once while the server is left alone."""
        return self._get(key) if self.patience.may_ask() else None

    def put(self, answer: Stored) -> Awaitable[None] | None:
        """See `Store`."""
        body = answer.content.read(0, answer.content.size)
        if isinstance(body, FileSlice):
            body.close()
        if not isinstance(body, bytes) or len(body) > self.largest:
            return self.remove(answer.key)
        return self._put(answer, body) if self.patience.may_ask() else None

    def remove(self, key: bytes) -> Awaitable[None] | None:
        """See `Store`."""
        return self._remove(key) if self.patience.may_ask() else None

    async def close(self) -> None:
        await self._client.close()

    async def _get(self, key: bytes) -> Stored | None:
        value = await self._try(self._client.get(self._name_of(key)), self._timeout)
        if value is None:
            return None
        answer = decode(value)
        if answer is None:
            self._troubles.tell("an answer is torn, and counts as not there")
        return answer if answer is not None and answer.key == key else None

    async def _put(self, answer: Stored, body: bytes) -> None:
        seconds = lifetime(answer, time.time())
        if seconds <= 0:
            await self._remove(answer.key)
        else:
            storing = self._client.set(self._name_of(answer.key), encode(answer, body), seconds)
            await self._try(storing, PATIENCE * self._timeout)

    async def _remove(self, key: bytes) -> None:
        await self._try(self._client.delete(self._name_of(key)), self._timeout)

    def _name_of(self, key: bytes) -> bytes:
        return self._prefix + blake2b(key, digest_size=20).hexdigest().encode()

    async def _try(self, asked: Awaitable[T], timeout: float) -> T | None:
        try:
            async with asyncio.timeout(timeout):
                answer = await asked
        except OSError as error:
            self._troubles.tell(reason_of(error))
            self.patience.failed()
            return None
        self.patience.worked()
        return answer


class Patience:
    """How long a server that failed is left alone. Then one may ask, and the others wait for what comes of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = 0.0
        self._until = 0.0
        self._trying = False

    def may_ask(self) -> bool:
        if not self._pause:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._pause  # if nothing comes of it
        self._trying = True
        return True

    def failed(self) -> None:
        if not self._pause or self._trying:  # what else fails was asked before this was known
            self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            self._until = self._clock() + self._pause
            self._trying = False

    def worked(self) -> None:
        self._pause = 0.0
        self._trying = False


def lifetime(answer: Stored, now: float) -> int:
    """Whole seconds from `now` on for which it is of any use."""
    terms = answer.terms
    end = max(terms.fresh_until, terms.stale_while, terms.stale_error)
    if b"etag" in answer.fields or b"last-modified" in answer.fields:
        end = max(end, now) + VALIDATABLE
    return math.ceil(min(end - now, LONGEST_LIFE))
