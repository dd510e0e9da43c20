"""The storage in a Redis or Valkey, for servers that have no file system in common."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from enfilade.acme.storage import Kind, StorageError

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "enfilade:acme"
TIMEOUT = 5.0
"""Seconds for an answer."""
_LOCK = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisStorage:
    """The `Storage` in the Redis at `url` (redis://, rediss:// or unix://). It connects with the first question. Needs redis-py,
    which is an extra.

    Each kind is a hash of values and one of stamps, which change together.
    """

    def __init__(self, url: str) -> None:
        from redis.asyncio import Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        # Whoever uses it tries again in their own time.
        self._client: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
        )

    async def version(self) -> object:
        """See `Storage`."""
        with _failures():
            return await self._client.get(_VERSION)

    async def list(self, kind: Kind) -> Mapping[str, object]:
        """See `Storage`."""
        with _failures():
            found: Any = await self._client.hgetall(_stamps(kind))
            return {name.decode(): stamp for name, stamp in found.items()}

    async def get(self, kind: Kind, name: str) -> bytes | None:
        """See `Storage`."""
        with _failures():
            found: Any = await self._client.hget(_values(kind), name)
            return None if found is None else bytes(found)

    async def put(self, kind: Kind, name: str, value: bytes) -> None:
        """See `Storage`."""
        with _failures():
            async with self._client.pipeline(transaction=True) as together:
                together.hset(_values(kind), name, value)
                together.hset(_stamps(kind), name, os.urandom(16))
                together.set(_VERSION, os.urandom(16))
                await together.execute()

    async def delete(self, kind: Kind, name: str) -> None:
        """See `Storage`."""
        with _failures():
            async with self._client.pipeline(transaction=True) as together:
                together.hdel(_values(kind), name)
                together.hdel(_stamps(kind), name)
                together.set(_VERSION, os.urandom(16))
                await together.execute()

    async def lock(self, name: str, owner: str, seconds: float) -> bool:
        """See `Storage`."""
        with _failures():
            return bool(await self._client.eval(_LOCK, 1, _lock(name), owner, str(int(seconds * 1000))))

    async def unlock(self, name: str, owner: str) -> None:
        """See `Storage`."""
        with _failures():
            await self._client.eval(_UNLOCK, 1, _lock(name), owner)

    async def close(self) -> None:
        """See `Storage`."""
        await self._client.aclose()


_VERSION = f"{PREFIX}:version"


def _values(kind: Kind) -> str:
    return f"{PREFIX}:{kind}"


def _stamps(kind: Kind) -> str:
    return f"{PREFIX}:{kind}:stamps"


def _lock(name: str) -> str:
    return f"{PREFIX}:locks:{name}"


@contextmanager
def _failures() -> Iterator[None]:
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as error:
        raise StorageError(f"Redis: {str(error) or type(error).__name__}") from None
    finally:
        # redis-py loses a cancellation that comes while it connects.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
