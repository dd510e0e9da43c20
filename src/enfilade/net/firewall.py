"""Whom listeners let in: looked up when a connection is accepted, before TLS and before a byte of it is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import cast

from enfilade.http.addresses import Networks
from enfilade.http.reasons import reason
from enfilade.net.connection import client_of, close_by_reset
from enfilade.net.context import ConnectionContext, Served
from enfilade.net.watched import WatchedFiles

log = logging.getLogger("enfilade.firewall")

FIREWALL_DENIED = reason("firewall_denied")


class Admitted:
    """Who is let in: `address in admitted`. `read` makes it of `files`, and again when one of them has changed; where it then
    raises ValueError, what was read before stays.

    Made before the fork: workers have what was read in common, until there is something new."""

    def __init__(self, read: Callable[[], Networks], files: Sequence[str]) -> None:
        self._files = WatchedFiles(files)
        self._read = read
        self._networks = read()
        self._reading: asyncio.Future[Networks] | None = None

    def __contains__(self, address: str) -> bool:
        return address in self._networks

    def look(self, now: float) -> None:
        """At the files, once a second. They are read in a thread: 100,000 networks take about a second."""
        if self._reading is None and self._files.changed():
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._read)
            self._reading.add_done_callback(self._take)

    def _take(self, done: asyncio.Future[Networks]) -> None:
        self._reading = None
        try:
            self._networks = done.result()
        except ValueError as error:
            log.error("the firewall stays as it was: %s", error)


class Gate(asyncio.Protocol):
    """In front of one connection: steps aside for what `make` makes, or resets it. A refusal is told to nobody but the counters:
    whoever is denied gets no byte to work with."""

    __slots__ = ("_admitted", "_context", "_make")

    def __init__(self, context: ConnectionContext, admitted: Admitted, make: Callable[[], Served]) -> None:
        self._context = context
        self._admitted = admitted
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if client_of(transport, self._context.unix_path)[0] in self._admitted:
            served = self._make()
            transport.set_protocol(cast(asyncio.Protocol, served))
            served.connection_made(transport)
        else:
            self._context.meter.rejected(FIREWALL_DENIED)
            close_by_reset(transport)
            transport.abort()

    def drain(self) -> None:
        """Whoever was refused has nothing to finish."""
