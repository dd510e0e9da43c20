"""A connection that is passed on: two ends, each of which writes to the other what it reads.

Nothing is kept in between: an end that cannot be written to stops the other from being read. The end of one direction is passed
on too, and the other direction goes on (TCP's half-close); over TLS, which has none, it ends both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from enfilade.http.reasons import Reason, reason
from enfilade.net.connection import ends_of
from enfilade.net.dialer import connect
from enfilade.route.hosts import Hosts
from enfilade.stream.service import StreamService, reason_of
from enfilade.stream.upstream import StreamUpstream
from enfilade.upstream.peer import Peer
from enfilade.wire.client_hello import NotTls, parse

log = logging.getLogger("enfilade.stream")

CLIENT_GONE = reason("client_gone")
CONNECTION_LIMIT = reason("connection_limit")
HELLO_TIMEOUT = reason("handshake_timeout")
IDLE_TIMEOUT = reason("idle_timeout")
SHUTTING_DOWN = reason("shutting_down")
UNKNOWN_NAME = reason("unknown_server_name")
HIGH_WATER = 512 * 1024
"""Bytes that one end may be behind before the other is not read any more: two reads of the loop."""


class End(asyncio.Protocol):
    """One of the two ends. `write` is that of the other end's transport; `received`: bytes that came in; `ended`: no more will;
    `lost`: the socket is gone; `full`: it takes no more for now."""

    __slots__ = ("ended", "full", "lost", "other", "received", "transport", "write")

    other: End
    write: Callable[[bytes], None]

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.received = 0
        self.ended = self.lost = self.full = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self.write(data)

    def eof_received(self) -> bool:
        """Whether the transport stays open for what is still written."""
        if not self.ended:
            self.ended = True
            self.other.finish()
            if self.other.ended:
                self.close()
        return True

    def finish(self) -> None:
        """The other end has nothing more to say."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if self.ended or not transport.can_write_eof():
                transport.close()
            else:
                transport.write_eof()

    def close(self) -> None:
        """Close when what was written has been sent."""
        if self.transport is not None:
            self.transport.close()

    def pause_writing(self) -> None:
        self.full = True
        self.other.listen()

    def resume_writing(self) -> None:
        self.full = False
        self.other.listen()

    def listen(self) -> None:
        """Read what comes if the other end can take it."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if self.other.full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.other.close()


class FarEnd(End):
    """The connection to the peer. As long as it is made, `transport` is None, `raw` what it is made of, and its end no one's
    concern."""

    __slots__ = ("raw",)

    other: Relay

    def __init__(self, near: Relay) -> None:
        super().__init__()
        self.other = near
        self.write = near.transport.write
        self.raw: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.raw = transport

    def eof_received(self) -> bool:
        if self.transport is None:
            self.ended = True
            return False
        super().eof_received()
        return self.transport.can_write_eof()

    def drop(self) -> None:
        """Nobody wants it any more, however far it is made."""
        if self.raw is not None:
            cast(asyncio.Transport, self.raw).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.transport is not None:
            super().connection_lost(exc)
            self.other.settle()


class Relay(End):
    """One connection of a client, from its acceptance to the end of both its ends: what the worker sees of it."""

    __slots__ = (
        "_begun",
        "_dialling",
        "_heard_at",
        "_peer",
        "_reported",
        "_seen",
        "_settled",
        "_why",
        "began",
        "ends",
        "name",
        "service",
        "upstream",
    )  # fmt: skip

    transport: asyncio.Transport
    other: FarEnd

    def __init__(self, service: StreamService) -> None:
        super().__init__()
        self.service = service
        self.write = self._keep
        self.name: str | None = None
        self.upstream: StreamUpstream | None = None
        self._peer: Peer | None = None
        self._begun = b""
        self._dialling: asyncio.Task[None] | None = None
        self._why: Reason | None = None
        self._seen = 0
        self._settled = True
        self._reported = (0, 0)

    # -- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.other = FarEnd(self)
        service = self.service
        if service.full:
            service.meter.rejected(CONNECTION_LIMIT)
            self.transport.abort()
            return
        self.ends = ends_of(self.transport, service.unix_path)
        self.began = self._heard_at = service.clock()
        self._settled = False
        service.began(self)
        if service.upstream is not None:
            self._dial(service.upstream)

    def _keep(self, data: bytes) -> None:
        """What comes before there is a peer: at most what was read together with what made us look for one."""
        self._begun += data
        if self.upstream is None and self.service.by_name is not None:
            self._sniff(self.service.by_name)

    def _sniff(self, by_name: Hosts[StreamUpstream]) -> None:
        """Wait for the whole ClientHello, and go where it wants to go."""
        try:
            hello = parse(self._begun)
            if hello is None:
                return
            self.name = hello.name or None
        except NotTls:
            pass
        upstream = by_name.find(self.name or "")
        if upstream is None:
            self.abort(UNKNOWN_NAME)
        else:
            self._dial(upstream)

    def eof_received(self) -> bool:
        if self.other.transport is not None:
            return super().eof_received()
        self.ended = True
        if self.upstream is None:
            self.abort(CLIENT_GONE)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
        super().connection_lost(exc)
        self.settle()

    # -- the way to a peer

    def _dial(self, upstream: StreamUpstream) -> None:
        self.transport.pause_reading()
        self.upstream = upstream
        self._dialling = self.service.loop.create_task(self._find_peer(upstream))

    async def _find_peer(self, upstream: StreamUpstream) -> None:
        """Connect to one peer after the other until one takes us."""
        tried: list[Peer] = []
        why = upstream.nobody
        try:
            while (peer := upstream.take(self.ends.client_ip, tried)) is not None:
                tried.append(peer)
                failed = await self._try(upstream, peer)
                if failed is None:
                    return
                why = failed
        finally:
            self._dialling = None
        self.abort(why)

    async def _try(self, upstream: StreamUpstream, peer: Peer) -> Reason | None:
        """None: we are connected to `peer`."""
        service, target = self.service, upstream.targets[peer]
        announcement = b"" if upstream.announce is None else upstream.announce(self.ends)
        began = service.clock()
        try:
            async with asyncio.timeout(target.timeout or None):
                transport, _ = await connect(
                    service.loop, lambda: self.other, target.address.where, announcement=announcement, tls=target.tls,
                    server_name=target.server_name or "",
                )  # fmt: skip
        except OSError as error:
            why = reason_of(error)
            log.warning("%s: cannot connect to %s: %s", service.name, peer.name, error or why.text)
            upstream.failed(peer, why)
            self.other.drop()
            self.other = FarEnd(self)
            return why
        except BaseException:
            self.other.drop()
            upstream.failed(peer, CLIENT_GONE)
            raise
        upstream.connected(peer, service.clock() - began)
        self._peer = peer
        self._connected(transport)
        return None

    def _connected(self, transport: asyncio.Transport) -> None:
        far = self.other
        far.transport = transport
        for end in (self.transport, transport):
            end.set_write_buffer_limits(HIGH_WATER)
        self.write = transport.write
        if self._begun:
            transport.write(self._begun)
            self._begun = b""
        if self.ended:
            far.finish()
        if far.lost:
            self.close()
        elif far.ended:
            self.finish()
        self._heard_at = self.service.clock()
        self.listen()
        far.listen()

    # -- the end

    def settle(self) -> None:
        """Once both ends are gone, the connection is over."""
        far, peer = self.other, self._peer
        if self._settled or not self.lost or not (far.lost or far.transport is None):
            return
        self._settled = True
        self._report()
        if peer is not None:
            peer.let_go()
        why = self._why or (CLIENT_GONE if peer is None else None)
        name = None if peer is None else peer.name
        self.service.over(self, self.ends, self.began, self.name, name, self.received, far.received, why)

    def abort(self, why: Reason) -> None:
        """Drop both ends."""
        self._why = self._why or why
        for end in (self, self.other):
            if end.transport is not None:
                end.transport.abort()

    # -- what the worker calls: `net.context.Tracked`

    idle = False
    """Nobody knows whether more is to come."""

    def sweep(self, now: float) -> None:
        """Called about once a second."""
        self._report()
        seen = self.received + self.other.received
        if seen != self._seen:
            self._seen, self._heard_at = seen, now
        limits = self.service.stream_limits
        if self._dialling is None and self.other.transport is None:
            if 0 < limits.hello <= now - self.began:
                self.abort(HELLO_TIMEOUT)
        elif self._dialling is None and 0 < limits.idle <= now - self._heard_at:
            self.abort(IDLE_TIMEOUT)

    def _report(self) -> None:
        received, sent = self._reported
        self._reported = (self.received, self.other.received)
        self.service.stream_meter.moved(self.received - received, self.other.received - sent)

    def drain(self) -> None:
        """It lives on as long as the drain does."""

    def dismiss(self) -> None:
        self._why = self._why or SHUTTING_DOWN
        self.close()
        self.other.close()

    def __repr__(self) -> str:
        return f"<Relay {self.service.name} {self.ends.client} -> {self._peer}>"
