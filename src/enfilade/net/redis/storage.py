"""The storage of certificates in a Redis or Valkey, for servers that have no file system in common."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from enfilade.acme.storage import Kind, StorageError
from enfilade.net.redis.client import connected, failures

PREFIX = "enfilade:acme"
_LOCK = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisStorage:
    """The `Storage` in the Redis at `url` (redis://, rediss:// or unix://).

    Each kind is a hash of values and one of stamps, which change together.
    """

    def __init__(self, url: str) -> None:
        self._client = connected(url)

    async def version(self) -> object:
        """See `Storage`."""
        with failures(_away):
            return await self._client.get(_VERSION)

    async def list(self, kind: Kind) -> Mapping[str, object]:
        """See `Storage`."""
        with failures(_away):
            found: Any = await self._client.hgetall(_stamps(kind))
            return {name.decode(): stamp for name, stamp in found.items()}

    async def get(self, kind: Kind, name: str) -> bytes | None:
        """See `Storage`."""
        with failures(_away):
            found: Any = await self._client.hget(_values(kind), name)
            return None if found is None else bytes(found)

    async def put(self, kind: Kind, name: str, value: bytes) -> None:
        """See `Storage`."""
        with failures(_away):
            async with self._client.pipeline(transaction=True) as together:
                together.hset(_values(kind), name, value)
                together.hset(_stamps(kind), name, os.urandom(16))
                together.set(_VERSION, os.urandom(16))
                await together.execute()

    async def delete(self, kind: Kind, name: str) -> None:
        """See `Storage`."""
        with failures(_away):
            async with self._client.pipeline(transaction=True) as together:
                together.hdel(_values(kind), name)
                together.hdel(_stamps(kind), name)
                together.set(_VERSION, os.urandom(16))
                await together.execute()

    async def lock(self, name: str, owner: str, seconds: float) -> bool:
        """See `Storage`."""
        with failures(_away):
            return bool(await self._client.eval(_LOCK, 1, _lock(name), owner, str(int(seconds * 1000))))

    async def unlock(self, name: str, owner: str) -> None:
        """See `Storage`."""
        with failures(_away):
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


def _away(why: str) -> StorageError:
    return StorageError(f"Redis: {why}")
