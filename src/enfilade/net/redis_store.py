"""Registrations in Redis or Valkey, where edges on many machines find them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from enfilade.net.registry import StoreError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

TIMEOUT = 5.0
"""Seconds for an answer."""
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
    """A connection of its own; it is made with the first question. Needs redis-py, which is an extra."""
    store = RedisStore(connected(url), prefix, name)
    try:
        yield store
    finally:
        await store.close()


def connected(url: str) -> Redis:
    """The Redis at `url`, each question to which has TIMEOUT seconds."""
    from redis.asyncio import Redis  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    # Whoever uses it tries again in their own time.
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="replace",
    )


@contextmanager
def failures(kind: type[Exception]) -> Iterator[None]:
    """What Redis fails to do raises `kind`."""
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as error:
        raise kind(str(error) or type(error).__name__) from None
    finally:
        # redis-py loses a cancellation that comes while it connects.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
