"""One connection: a socket, the engine that its bytes go through, and the clock. What the engine's events mean is a subclass's.

Whole answers wait for the end of the turn in which their request came and are written together; a body that flows stops
flowing when the transport is full, and a peer that does not read is not read from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar, cast

from enfilade.closing import LINGER_BYTES, reset_when_closed
from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason, reason
from enfilade.net.context import LINGER, ConnectionContext
from enfilade.net.refusal import refuse
from enfilade.wire.codec import Codec
from enfilade.wire.events import Event

JOIN_LIMIT = 16 * 1024
"""Pieces up to this size are joined before they are written: one copy costs less than one more element of a writev."""


class Connection(asyncio.Protocol):
    """Has `data_received` and `eof_received` from its subclass, and what stands under "what a subclass says".

    `open`: what is in flight, by stream. `paused`: the transport is full. `received`, `written`: bytes; `reported`: how many
    of both are on the board; `heard_at`: when it was last seen that some had come.
    """

    __slots__ = (
        "_delivered",
        "_delivered_at",
        "_eof",
        "_flush_scheduled",
        "_leaving",
        "_reading",
        "codec",
        "ends",
        "heard_at",
        "open",
        "paused",
        "received",
        "reported",
        "service",
        "transport",
        "written",
    )

    codec: Codec
    open: Mapping[int, object]
    ends: Ends
    service: ConnectionContext
    transport: asyncio.Transport

    def __init__(self, service: ConnectionContext) -> None:
        self.service = service
        self.open = {}
        self.paused = False
        self.written = 0
        self.received = 0
        self.reported = (0, 0)
        self._reading = True
        self._flush_scheduled = False
        self._eof = False
        self._leaving = -1
        self._delivered = 0

    # -- what a subclass says

    gone: ClassVar[Reason] = reason("client_gone")
    """Why everything ends when the transport is lost."""
    slow_reader: ClassVar[Reason] = reason("read_timeout")
    """Why a peer is dropped that does not take what it is sent."""

    def make_codec(self, now: float) -> Codec:
        """The engine for this connection, when `ends` is known."""
        raise NotImplementedError

    def dispatch(self, events: list[Event]) -> None:
        """Do what the engine's events ask for."""
        raise NotImplementedError

    def pump(self) -> None:
        """There is room again: let blocked bodies flow until `paused`."""
        raise NotImplementedError

    def end_all(self, why: Reason) -> bool:
        """The connection is gone or going: nothing stays in flight. Whether something was, and `why` was counted for it."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on with what the engine held back."""

    def dismiss(self) -> None:
        """End what has no end of its own."""

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.service.full:
            refuse(self.transport, self.service, self.service.refusal)
            return
        self.ends = ends_of(self.transport, self.service.unix_path)
        now = self._delivered_at = self.heard_at = self.service.clock()
        self.codec = self.make_codec(now)
        self.service.opened(self, self.ends)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_all(self.gone)
        self._report(self.service.clock())
        self.service.closed(self, self.ends)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.pump()
        if not self.paused:
            self.resume()
        self.flush()

    # -- reading and writing

    def flush(self) -> None:
        """Write what the engine has for the peer; read on, stop reading, or close, as it says."""
        codec = self.codec
        out = codec.pending()
        if out:
            transport = self.transport
            if len(out) == 1:
                data = out[0]
                self.written += len(data)
                transport.write(data)
            elif len(out[-1]) <= JOIN_LIMIT:
                data = b"".join(out)
                self.written += len(data)
                transport.write(data)
            else:
                self.written += sum(map(len, out))
                transport.writelines(out)
            if self.open and transport.is_closing():
                # What is written now goes nowhere, so nothing would ever stop a body that flows: not even `connection_lost`,
                # which waits for the end of this turn.
                self.paused = True
        # A peer that does not read its answers is not read from either: it could ask without end.
        wanted = codec.wants_read and not self.paused
        if wanted is not self._reading:
            self._set_reading(wanted)
        if codec.closing:
            self._leave()

    def _leave(self) -> None:
        """Everything is said: close, at once or when the client had time to read it (see `Codec.linger`)."""
        if self._eof or not self.codec.linger:
            self.transport.close()
        elif self._leaving < 0:
            self._leaving = self.received + LINGER_BYTES
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.service.loop.call_later(LINGER, self.transport.close)
        elif self.received > self._leaving:
            self.transport.close()

    def flush_soon(self) -> None:
        """Flush at the end of this turn of the loop, once for everybody who asks."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self.service.loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_scheduled = False
        if not self.transport.is_closing():
            self.flush()

    def _set_reading(self, wanted: bool) -> None:
        if self.transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    # -- time

    def sweep(self, now: float) -> None:
        """Called about once a second: the engine's deadlines, and a client that reads too slowly."""
        deadline = self.codec.deadline()
        if deadline is not None and deadline <= now:
            self.dispatch(self.codec.tick(now))
            self.resume()
            self.flush()
        self._report(now)
        backlog = self.transport.get_write_buffer_size()
        if backlog == 0:
            self._delivered_at = now
            self._delivered = self.written
        else:
            self._check_reader(now, backlog)

    def _check_reader(self, now: float, backlog: int) -> None:
        waited = now - self._delivered_at
        limits = self.service.limits
        if waited >= limits.write_timeout:
            delivered = self.written - backlog
            if delivered - self._delivered < max(1, limits.min_rate * waited):
                # The kernel too lets go of what it would keep for this client for minutes.
                close_by_reset(self.transport)
                self.abort(self.slow_reader)
            self._delivered, self._delivered_at = delivered, now

    def _report(self, now: float) -> None:
        """Bring the bytes that were counted here to the board."""
        received, written = self.reported
        if self.received != received:
            self.heard_at = now
        if self.received != received or self.written != written:
            meter = self.service.meter
            meter.received(self.received - received)
            meter.sent(self.written - written)
            self.reported = (self.received, self.written)

    # -- the end

    def abort(self, why: Reason) -> None:
        """Drop the connection, whatever is in flight."""
        self.end(why)
        self.transport.abort()

    def end(self, why: Reason) -> None:
        """Nothing stays in flight, and `why` is counted: for what was, or else once."""
        if not self.end_all(why):
            self.service.meter.rejected(why)

    def close(self) -> None:
        """Close when what was written has been sent."""
        self.transport.close()

    def drain(self) -> None:
        """Take no new work after what is in flight; an idle connection is told with its next answer."""
        self.codec.drain()
        self.flush()

    @property
    def idle(self) -> bool:
        """Nothing is in flight and nothing is left to write."""
        return not self.open and self.transport.get_write_buffer_size() == 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ends.client} {len(self.open)} open>"


def close_by_reset(transport: asyncio.Transport) -> None:
    """From now on, the end of `transport` is a reset, and the kernel keeps nothing for the peer."""
    reset_when_closed(transport.get_extra_info("socket"))


def client_of(transport: asyncio.Transport, unix_path: str | None) -> tuple[str, int | None]:
    """Who is at the other end of `transport`; `unix_path` is where we listen if that is a Unix socket."""
    introduced = transport.get_extra_info("introduced")  # by a header of the PROXY protocol
    if introduced is not None:
        client: tuple[str, int | None] = introduced[0]
        return client
    return ("", None) if unix_path is not None else _address(transport.get_extra_info("peername"))


def ends_of(transport: asyncio.Transport, unix_path: str | None) -> Ends:
    """Who is at the two ends of `transport`; see `client_of`."""
    tls = transport.get_extra_info("ssl_object")
    client = client_of(transport, unix_path)
    server: tuple[str, int | None]
    introduced = transport.get_extra_info("introduced")
    if introduced is not None:
        server = introduced[1]
    elif unix_path is not None:
        server = unix_path, None
    else:
        server = _address(transport.get_extra_info("sockname"))
    if tls is None:
        return Ends(client, server)
    return Ends(
        client,
        server,
        "https",
        getattr(tls, "sni", None),
        tls.selected_alpn_protocol(),
        tls.version(),
        getattr(tls.context, "stands_for", tls.context),
        tls.getpeercert(binary_form=True),
    )


def _address(name: object) -> tuple[str, int | None]:
    """What the socket says of one of its ends: an IP address and a port, or the path of a Unix socket."""
    return (name[0], name[1]) if isinstance(name, tuple) else (str(name or ""), None)
