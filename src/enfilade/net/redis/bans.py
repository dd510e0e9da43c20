"""Bans in Redis or Valkey: a hash with a text for each address, and beside it a number that grows with each change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from enfilade.limits.shared_bans import StoreError
from enfilade.net.redis.client import connected, failures

if TYPE_CHECKING:
    from redis.asyncio import Redis

KEY = "enfilade:bans"
VERSION = "enfilade:bans:version"


class RedisBans:
    """See `limits.shared_bans.Store`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def version(self) -> int:
        with failures(StoreError):
            return int(await self._client.get(VERSION) or 0)

    async def read(self) -> Mapping[str, str]:
        with failures(StoreError):
            return cast(Mapping[str, str], await self._client.hgetall(KEY))

    async def write(self, changed: Mapping[str, str], seconds: int) -> None:
        with failures(StoreError):
            lasts = max(seconds, int(await self._client.ttl(KEY)))
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hset(KEY, mapping=cast(Any, changed))
                pipeline.expire(KEY, lasts)
                pipeline.incr(VERSION)
                await pipeline.execute()

    async def remove(self, addresses: Sequence[str]) -> None:
        with failures(StoreError):
            await self._client.hdel(KEY, *addresses)


@asynccontextmanager
async def redis_bans(url: str) -> AsyncIterator[RedisBans]:
    """In the Redis at `url` (redis://, rediss:// or unix://)."""
    client = connected(url, text=True)
    try:
        yield RedisBans(client)
    finally:
        await client.aclose()
