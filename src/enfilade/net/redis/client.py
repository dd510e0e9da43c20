"""The client of a Redis or Valkey, and what it fails to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT = 5.0
"""Seconds for an answer, and to connect."""
CONNECTIONS = 16
"""Of one client, at most."""


def connected(url: str, *, timeout: float | None = TIMEOUT, text: bool = False) -> Redis:
    """The Redis at `url` (redis://, rediss:// or unix://), which is connected to with the first question. Each question has
    `timeout` seconds; None: whoever asks keeps the time. `text`: answers are texts, not bytes."""
    from redis.asyncio import BlockingConnectionPool, Redis  # noqa: PLC0415
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_timeout=timeout,
        socket_connect_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 0),  # whoever asks tries again in their own time
        protocol=2,  # all versions of redis-py and of servers know it, and answer alike
        decode_responses=text,
        encoding_errors="replace" if text else "strict",
    )
    return Redis.from_pool(pool)


@contextmanager
def failures(error_of: Callable[[str], Exception]) -> Iterator[None]:
    """What Redis fails to do raises what `error_of` makes of the reason."""
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as error:
        raise error_of(str(error) or type(error).__name__) from None
    finally:
        # redis-py loses a cancellation that comes while it connects.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
