"""Challenges of dns-01 (RFC 8555 section 8.4): a TXT record, made by a command or by an update of the zone."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

from enfilade.acme.client import AcmeError

log = logging.getLogger("enfilade.acme")

COMMAND_TIMEOUT = 120.0
"""Seconds that a command may take."""
_LAST_WORDS = 300


class Zone(Protocol):
    """Makes records of the type TXT. Each method raises AcmeError."""

    async def add(self, name: str, value: str) -> None:
        """One more: others of that name stay."""

    async def remove(self, name: str, value: str) -> None: ...


class Dns01:
    """The `Solver` of dns-01. `settle`: seconds until all servers of a zone have what `zone` makes."""

    kind = "dns-01"

    def __init__(self, zone: Zone, settle: float) -> None:
        self.settle = settle
        self._zone = zone
        self._made: dict[tuple[str, str], str] = {}

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See `Solver`."""
        value = urlsafe_b64encode(sha256(authorization.encode()).digest()).rstrip(b"=").decode()
        self._made[name, token] = value
        await self._zone.add(_record(name), value)

    async def withdraw(self, name: str, token: str) -> None:
        """See `Solver`."""
        try:
            await self._zone.remove(_record(name), self._made.pop((name, token)))
        except AcmeError as error:
            log.warning("the record of a challenge stays: %s", error)


def _record(name: str) -> str:
    return f"_acme-challenge.{name}"


class Command:
    """The `Zone` that a command changes: it is called with `add` or `remove`, the record's name and its value."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    async def add(self, name: str, value: str) -> None:
        """See `Zone`."""
        await asyncio.to_thread(self._run, "add", name, value)

    async def remove(self, name: str, value: str) -> None:
        """See `Zone`."""
        await asyncio.to_thread(self._run, "remove", name, value)

    def _run(self, *arguments: str) -> None:
        program = self._command[0]
        try:
            done = subprocess.run(
                [*self._command, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=COMMAND_TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AcmeError(f"{program} did not end within {COMMAND_TIMEOUT:g} seconds") from None
        except OSError as error:
            raise AcmeError(f"{program} cannot be run: {error.strerror}") from None
        if done.returncode:
            said = " ".join(done.stdout.decode(errors="replace").split())[-_LAST_WORDS:]
            raise AcmeError(f"{program} failed with exit code {done.returncode}: {said or 'it said nothing'}")
