"""What one worker has in memory of the storage: whoever shakes hands or answers a request waits for no disk and no network."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from enfilade.acme.state import Held, State, Wanted, decode
from enfilade.acme.storage import Kind, Storage, StorageError

T = TypeVar("T")
log = logging.getLogger("enfilade.acme")

LOOK = 1.0
"""Seconds between two looks at the storage."""


class View:
    """`certificates`, `states` and what is `wanted` by name; `answers` to challenges of http-01 by token; `validations`, what
    challenges of tls-alpn-01 are answered with, by the name that is asked for, as `read_validation` makes it. `on_certificate`
    is told each one that is new. It is as the last look found it: where that cannot be had, what was known stays."""

    def __init__(
        self,
        storage: Storage,
        on_certificate: Callable[[str, Held], None],
        read_validation: Callable[[bytes], ssl.SSLContext],
    ) -> None:
        self.certificates: dict[str, Held] = {}
        self.states: dict[str, State] = {}
        self.wanted: dict[str, Wanted] = {}
        self.answers: dict[str, bytes] = {}
        self.validations: dict[str, ssl.SSLContext] = {}
        self._storage = storage
        self._read_validation = read_validation
        self._on_certificate = on_certificate
        self._version: object = None
        self._stamps: dict[Kind, Mapping[str, object]] = {}
        self._away = False
        self._alone = asyncio.Lock()

    async def look(self) -> None:
        """One after the other: what an earlier one reads late must not take the place of what a later one has read."""
        async with self._alone:
            await self._look()

    async def _look(self) -> None:
        try:
            version = await self._storage.version()
            if self._version is None or version != self._version:
                await self._read()
                self._version = version
        except StorageError as error:
            if not self._away:
                log.error("certificates stay as they are: %s", error)
            self._away = True
        else:
            self._away = False

    async def _read(self) -> None:
        await self._update("states", self.states, msgspec.json.Decoder(State).decode)
        await self._update("wanted", self.wanted, msgspec.json.Decoder(Wanted).decode)
        await self._update("http-01", self.answers, bytes)
        await self._update("tls-alpn-01", self.validations, self._read_validation)
        await self._update("certificates", self.certificates, decode, self._on_certificate)

    async def _update(
        self,
        kind: Kind,
        known: dict[str, T],
        parse: Callable[[bytes], T],
        tell: Callable[[str, T], None] = lambda name, found: None,
    ) -> None:
        """Read what has another stamp than before."""
        before, now = self._stamps.get(kind, {}), await self._storage.list(kind)
        for name in known.keys() - now.keys():
            del known[name]
        for name, stamp in now.items():
            if before.get(name) == stamp:
                continue
            value = await self._storage.get(kind, name)
            if value is None:
                continue
            try:
                known[name] = found = parse(value)
                tell(name, found)
            except (ValueError, OSError) as error:  # OpenSSL's are among the latter
                log.error("%s of %s in the storage cannot be used: %s", kind, name, error)
        self._stamps[kind] = now
