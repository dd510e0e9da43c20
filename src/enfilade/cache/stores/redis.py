"""Redis or Valkey as a server for the store `Remote`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from enfilade.cache.stores.remote import TIMEOUT, Remote

if TYPE_CHECKING:
    from redis.asyncio import Redis

LARGEST = 8 * 1024 * 1024
"""Bytes of the longest body: while one is on its way, its connection serves nobody else."""
CONNECTIONS = 16
"""Of one worker, at most."""


def redis(url: str, prefix: str = "enfilade", timeout: float = TIMEOUT) -> Remote:
    """The store in the Redis at `url` (redis://, rediss:// or unix://). It connects with the first question. Needs redis-py,
    which is an extra."""
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_timeout=None,  # `Remote` keeps the time
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )
    return Remote(RedisClient(Redis.from_pool(pool)), "Redis", prefix, LARGEST, timeout)


class RedisClient:
    """See `Client`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def get(self, name: bytes) -> bytes | None:
        with _failures():
            return cast(bytes | None, await self._client.get(name))

    async def set(self, name: bytes, value: bytes, seconds: int) -> None:
        with _failures():
            await self._client.set(name, value, ex=seconds)

    async def delete(self, name: bytes) -> None:
        with _failures():
            await self._client.delete(name)

    async def close(self) -> None:
        await self._client.aclose()


@contextmanager
def _failures() -> Iterator[None]:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except RedisError as error:
        raise OSError(str(error) or type(error).__name__) from None
    finally:
        # redis-py loses a cancellation that comes while it connects.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
