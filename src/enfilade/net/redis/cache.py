"""Redis or Valkey as a server for the store `Remote`, and as the `Journal` of purges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from zlib import crc32

from enfilade.cache.feed import Entry
from enfilade.cache.purges import ALL, Position, Purge
from enfilade.cache.stores.remote import TIMEOUT, Remote
from enfilade.cache.stores.tally import Tally
from enfilade.net.redis.client import connected, failures

if TYPE_CHECKING:
    from redis.asyncio import Redis

LARGEST = 8 * 1024 * 1024
"""Bytes of the longest body: while one is on its way, its connection serves nobody else."""
PREFIX = "enfilade"
LENGTH = 10_000
"""Purges that are kept for servers that were away; Redis keeps up to a hundred more."""
AT_ONCE = 100
"""Purges that are read at once."""
FAR = 1 << 62
"""A generation or a time in nanoseconds (2116) beyond all that there are."""


def redis_cache(url: str, prefix: str = PREFIX, timeout: float = TIMEOUT, tally: Tally | None = None) -> Remote:
    """The store in the Redis at `url` (redis://, rediss:// or unix://). It connects with the first question."""
    return Remote(RedisClient(connected(url, timeout=None)), "Redis", prefix, LARGEST, timeout, tally)


def redis_journal(url: str, prefix: str = PREFIX) -> RedisJournal:
    """The purges of all servers that share the Redis at `url`."""
    key = f"{quote(prefix, safe='')}:purges"
    return RedisJournal(connected(url, timeout=None), key, crc32(f"{url} {key}".encode()))


class RedisClient:
    """See `Client`."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def get(self, name: bytes) -> bytes | None:
        with failures(OSError):
            return cast(bytes | None, await self._client.get(name))

    async def set(self, name: bytes, value: bytes, seconds: int) -> None:
        with failures(OSError):
            await self._client.set(name, value, ex=seconds)

    async def delete(self, name: bytes) -> None:
        with failures(OSError):
            await self._client.delete(name)

    async def close(self) -> None:
        await self._client.aclose()


class RedisJournal:
    """See `Journal`: a stream, at `key`."""

    def __init__(self, client: Redis, key: str, stream: int) -> None:
        self.stream = stream
        self._client = client
        self._key = key

    async def append(self, purges: Sequence[Purge]) -> None:
        with failures(OSError):
            async with self._client.pipeline(transaction=False) as pipeline:
                for purge in purges:
                    fields = {"generation": purge.generation, "name": purge.name, "soft": int(purge.soft)}
                    pipeline.xadd(self._key, cast(Any, fields), maxlen=LENGTH, approximate=True)
                await pipeline.execute()

    async def read(self, after: Position, seconds: float) -> list[Entry]:
        block = int(seconds * 1000) or None
        with failures(OSError):
            found = await self._client.xread({self._key: _id(after)}, AT_ONCE, block)
        return [self._entry(*entry) for _, entries in cast(Any, found or ()) for entry in entries]

    async def holds(self, position: Position) -> bool:
        with failures(OSError):
            return bool(await self._client.xrange(self._key, _id(position), _id(position)))

    async def last(self) -> Position:
        with failures(OSError):
            found = cast(Any, await self._client.xrevrange(self._key, count=1))
        return self._entry(*found[0])[0] if found else Position(self.stream, 0, 0)

    async def close(self) -> None:
        await self._client.aclose()

    def _entry(self, name: bytes, fields: dict[bytes, bytes]) -> Entry:
        time, _, number = name.partition(b"-")
        if int(time) * 1_000_000 > FAR or int(number) > FAR:
            raise OSError(f"{self._key} has an entry of a time that is far away")
        return Position(self.stream, int(time), int(number)), _purge(fields)


def _id(position: Position) -> str:
    return f"{position.time}-{position.number}"


def _purge(fields: dict[bytes, bytes]) -> Purge:
    """What is not understood, which may be another version's, counts as all that it could mean."""
    try:
        purge = Purge(int(fields[b"generation"]), fields[b"name"], fields[b"soft"] == b"1")
    except (KeyError, ValueError):
        return Purge(0, ALL, False)
    return purge if 0 <= purge.generation <= FAR else Purge(0, ALL, False)
