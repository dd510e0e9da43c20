"""Whom listeners let in: looked up when a connection is accepted, before TLS and before a byte of it is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Protocol, cast

from enfilade.http.addresses import Addresses
from enfilade.http.reasons import Reason, reason
from enfilade.net.connection import client_of, close_by_reset
from enfilade.net.context import ConnectionContext, Served
from enfilade.net.watched import WatchedFiles

log = logging.getLogger("enfilade.firewall")

BANNED = reason("banned")
FIREWALL_DENIED = reason("firewall_denied")


class Admitted:
    """Who is let in: `address in admitted`. `read` makes it of `files`, and again when one of them has changed; where it then
    raises ValueError, what was read before stays.

    Made before the fork: workers have what was read in common, until there is something new."""

    def __init__(self, read: Callable[[], Addresses], files: Sequence[str]) -> None:
        self._files = WatchedFiles(files)
        self._read = read
        self._addresses = read()
        self._reading: Thread | None = None

    def __contains__(self, address: str) -> bool:
        return address in self._addresses

    def look(self, now: float) -> None:
        """At the files, once a second. They are read in a thread: 100,000 networks take about a second."""
        if self._reading is not None and not self._reading.is_alive():
            self._reading = None
        if self._reading is None and self._files.changed():
            self._reading = Thread(target=self._read_again, daemon=True)
            self._reading.start()

    def _read_again(self) -> None:
        try:
            self._addresses = self._read()
        except ValueError as error:
            log.error("the firewall stays as it was: %s", error)


Leave = Callable[[], None]
"""What a connection that is counted calls once when it is over."""


class Arrivals(Protocol):
    """Counts connections (limits/arrivals.py)."""

    def come(self, client: str) -> Reason | Leave | None:
        """A connection from the address `client` begins: why it may not; or what to call when it is over, if anything."""


class Guard:
    """Whom a worker lets in: those whom `admitted` has, None: everybody; but none of the `banned`; and as many of them as
    `arrivals` lets come."""

    def __init__(
        self, admitted: Addresses | None, arrivals: Arrivals | None = None, banned: Addresses | None = None
    ) -> None:
        self._admitted = admitted
        self._arrivals = arrivals
        self._banned = banned

    def refuses(self, client: str) -> Reason | None:
        """Why nobody comes in from the address `client`; None: they do."""
        if self._admitted is not None and client not in self._admitted:
            return FIREWALL_DENIED
        return BANNED if self._banned is not None and client in self._banned else None

    def enter(self, client: str) -> Reason | Leave | None:
        """As `Arrivals.come`, for those who are let in."""
        why = self.refuses(client)
        return why if why is not None or self._arrivals is None else self._arrivals.come(client)


class Gate(asyncio.Protocol):
    """In front of one connection: steps aside for what `make` makes, or resets it. A refusal is told to nobody but the counters:
    whoever is denied gets no byte to work with."""

    __slots__ = ("_context", "_guard", "_make")

    def __init__(self, context: ConnectionContext, guard: Guard, make: Callable[[], Served]) -> None:
        self._context = context
        self._guard = guard
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        found = self._guard.enter(client_of(transport, self._context.unix_path)[0])
        if isinstance(found, Reason):
            self._context.meter.rejected(found)
            close_by_reset(transport)
            transport.abort()
            return
        served = self._make()
        protocol = cast(asyncio.Protocol, served) if found is None else Counted(served, found)
        transport.set_protocol(protocol)
        served.connection_made(transport)
        if found is not None and transport.get_protocol() is not protocol:
            found()  # it was one too many for the whole server, and has lost its transport

    def drain(self) -> None:
        """Whoever was refused has nothing to finish."""


_HANDED_ON = ("data_received", "drain", "eof_received", "pause_writing", "resume_writing")


class Counted(asyncio.Protocol):
    """What `served` is to its transport, whose methods it has; `leave` is called when the connection is over."""

    __slots__ = ("_leave", "_served", *_HANDED_ON)

    def __init__(self, served: Served, leave: Leave) -> None:
        self._served = served
        self._leave = leave
        for name in _HANDED_ON:
            setattr(self, name, getattr(served, name))

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._served.connection_lost(exc)
