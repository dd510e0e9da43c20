"""Messages to all servers that share a Redis or Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enfilade.net.redis.client import connected, failures

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub


class RedisChannel:
    """The channel `name` of the Redis at `url` (redis://, rediss:// or unix://). It connects with the first message.
    See `limits.sharing.Channel`: a message that comes while nobody listens is lost."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Redis | None = None
        self._news: PubSub | None = None

    async def tell(self, message: bytes) -> None:
        with failures(OSError):
            await self._connected().publish(self._name, message)

    async def hear(self) -> bytes:
        try:
            with failures(OSError):
                return await self._next()
        except OSError:
            await self._let_go()
            raise

    async def close(self) -> None:
        await self._let_go()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _next(self) -> bytes:
        if self._news is None:
            self._news = self._connected().pubsub(ignore_subscribe_messages=True)
            await self._news.subscribe(self._name)
        news, message = self._news, None
        while message is None:
            message = await news.get_message(timeout=None)
        return bytes(message["data"])

    async def _let_go(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            await news.aclose()  # type: ignore[no-untyped-call]

    def _connected(self) -> Redis:
        if self._client is None:
            self._client = connected(self._url, timeout=None)  # the next message may take long to come
        return self._client
