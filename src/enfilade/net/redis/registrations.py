"""Registrations in Redis or Valkey, where edges on many machines find them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from enfilade.net.redis.client import connected, failures
from enfilade.net.registry import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

MEMBERS = 1024
"""Registrations of one upstream that are read at most: the first in the order of their keys."""
_SCAN = 1000


class RedisStore:
    """The `Store` of the upstream called `name` in the Redis at `url` (redis://, rediss:// or unix://).

    A member's key is `PREFIX:NAME:MEMBER`, and lives as long as its registration is good. A message on the channel
    `PREFIX:NAME` says that there is a change; without one, readers see it at their next look. All keys are gone through to find
    those of the upstream: where the Redis has many others, registrations want a database of their own.
    """

    def __init__(self, client: Redis, prefix: str, name: str) -> None:
        self._client = client
        # Encoded, a name has neither the colon that parts keys nor a character that patterns of keys know.
        self._channel = f"{prefix}:{quote(name, safe='')}"
        self._news: PubSub | None = None

    async def read(self) -> dict[str, str]:
        """See `Store`."""
        start = f"{self._channel}:"
        with failures(StoreError):
            found = {key async for key in self._client.scan_iter(f"{start}*", count=_SCAN)}
            keys = sorted(found)[:MEMBERS]
            values = await self._client.mget(keys) if keys else []
        return {
            str(key).removeprefix(start): str(value)
            for key, value in zip(keys, values, strict=True)
            if value is not None  # it ended between the two commands
        }

    async def changed(self, seconds: float) -> None:
        """See `Store`. The first call hears its own subscription, and returns at once."""
        with failures(StoreError):
            if self._news is None:
                self._news = self._client.pubsub()
                await self._news.subscribe(self._channel)
            message = await self._news.get_message(timeout=seconds)
            while message is not None:  # many may come at once: one look is enough for all
                message = await self._news.get_message(timeout=0)

    async def put(self, member: str, text: str, ttl: float, *, announce: bool) -> None:
        """See `Store`."""
        with failures(StoreError):
            await self._client.set(f"{self._channel}:{member}", text, px=int(ttl * 1000))
            if announce:
                await self._client.publish(self._channel, "joined")

    async def remove(self, member: str) -> None:
        """See `Store`."""
        with failures(StoreError):
            await self._client.delete(f"{self._channel}:{member}")
            await self._client.publish(self._channel, "left")

    async def close(self) -> None:
        if self._news is not None:
            await self._news.aclose()  # type: ignore[no-untyped-call]
        await self._client.aclose()


@asynccontextmanager
async def redis_store(url: str, prefix: str, name: str) -> AsyncIterator[RedisStore]:
    """Connections of its own; they are made with the first question."""
    store = RedisStore(connected(url, text=True), prefix, name)
    try:
        yield store
    finally:
        await store.close()
