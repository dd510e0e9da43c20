"""What is kept over restarts, and shared by all workers, and by edges that use the same storage."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Literal, Protocol

Kind = Literal["accounts", "certificates", "states", "wanted", "http-01", "tls-alpn-01"]
KINDS: tuple[Kind, ...] = ("accounts", "certificates", "states", "wanted", "http-01", "tls-alpn-01")

LOCK = 30.0
"""Seconds that a lock is held for, unless it is held anew: so long is waited for whoever died with it."""


class StorageError(Exception):
    """It cannot be read or written; the text says why."""


class Storage(Protocol):
    """Values by kind and name. Each method raises StorageError."""

    async def version(self) -> object:
        """Another one whenever something was put or deleted."""

    async def list(self, kind: Kind) -> Mapping[str, object]:
        """The names that there are, each with a stamp: another one whenever its value was put."""

    async def get(self, kind: Kind, name: str) -> bytes | None: ...

    async def put(self, kind: Kind, name: str, value: bytes) -> None:
        """All of it or nothing: nobody reads a part of `value`."""

    async def delete(self, kind: Kind, name: str) -> None:
        """Also where it is not there."""

    async def lock(self, name: str, owner: str, seconds: float) -> bool:
        """Take the lock called `name`, or hold it for longer; False: somebody else has it."""

    async def unlock(self, name: str, owner: str) -> None:
        """Also where `owner` has it no more."""

    async def close(self) -> None: ...


@asynccontextmanager
async def locked(storage: Storage, name: str) -> AsyncIterator[bool]:
    """Hold the lock called `name`, for as long as it takes; False: somebody else has it."""
    owner = os.urandom(16).hex()
    try:
        ours = await storage.lock(name, owner, LOCK)
        keeper = asyncio.create_task(_keep(storage, name, owner)) if ours else None
        try:
            yield ours
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.wait([keeper])
    finally:
        with suppress(StorageError):  # it ends by itself
            await storage.unlock(name, owner)


async def _keep(storage: Storage, name: str, owner: str) -> None:
    while True:
        await asyncio.sleep(LOCK / 3)
        with suppress(StorageError):
            await storage.lock(name, owner, LOCK)
