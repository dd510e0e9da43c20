"""The PROXY protocol in front of a connection: a protocol that reads its header, and steps aside for whoever serves the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from enfilade.http.addresses import Networks
from enfilade.http.reasons import Reason, reason
from enfilade.net.connection import ends_of
from enfilade.net.context import ConnectionContext, Served
from enfilade.net.refusal import refuse
from enfilade.wire.proxy_protocol import BadHeader, End, parse

BAD_PROXY_HEADER = reason("bad_proxy_header")


class ProxyHeader(asyncio.Protocol):
    """One connection until its header is here; it is itself what the worker sees of it so long. `senders` must send a header;
    anybody else is served as if there were no such protocol. `make` makes who serves."""

    __slots__ = ("_begun", "_draining", "_due", "_make", "_senders", "_service", "_transport")

    received = 0
    """Nothing of what has come was meant for a server yet."""
    idle = True

    def __init__(self, service: ConnectionContext, senders: Networks, make: Callable[[], Served]) -> None:
        self._service = service
        self._senders = senders
        self._make = make
        self._begun = b""
        self._draining = False

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if ends_of(self._transport, self._service.unix_path).client_ip not in self._senders:
            self._step_aside(self._transport)
        elif self._service.full:
            refuse(self._transport, self._service, b"")
        else:
            self._due = self._service.clock() + self._service.limits.handshake_timeout
            self._service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._begun += data
        try:
            header = parse(self._begun)
        except BadHeader:
            self.abort(BAD_PROXY_HEADER)
            return
        if header is None:
            return
        self._service.connections.discard(self)
        transport = self._transport
        if header.source is not None and header.destination is not None:
            transport = cast(asyncio.Transport, Introduced(transport, (header.source, header.destination)))
        self._step_aside(transport)
        rest = self._begun[header.size :]
        if rest and not transport.is_closing():
            cast(asyncio.Protocol, transport.get_protocol()).data_received(rest)

    def _step_aside(self, transport: asyncio.Transport) -> None:
        served = self._make()
        self._transport.set_protocol(cast(asyncio.Protocol, served))
        served.connection_made(transport)
        if self._draining:
            cast(Served, self._transport.get_protocol()).drain()  # it may have stepped aside itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.connections.discard(self)

    # -- what the worker calls: `context.Tracked`

    def sweep(self, now: float) -> None:
        if self._service.limits.handshake_timeout > 0 and self._due <= now:
            self.abort(BAD_PROXY_HEADER)

    def drain(self) -> None:
        """What comes behind the header is still served, once."""
        self._draining = True

    def dismiss(self) -> None: ...

    def abort(self, why: Reason) -> None:
        self._service.meter.rejected(why)
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()


_PASSED_ON = (
    "abort", "can_write_eof", "close", "get_protocol", "get_write_buffer_size", "is_closing", "pause_reading",
    "resume_reading", "set_protocol", "set_write_buffer_limits", "write", "write_eof", "writelines",
)  # fmt: skip


class Introduced:
    """A transport that knows whose connection it is; in all else it is the one that it was made of, whose methods it has."""

    __slots__ = ("_ends", "_transport", *_PASSED_ON)

    def __init__(self, transport: asyncio.Transport, ends: tuple[End, End]) -> None:
        self._transport = transport
        self._ends = ends
        for name in _PASSED_ON:
            setattr(self, name, getattr(transport, name))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ends if name == "introduced" else self._transport.get_extra_info(name, default)
