"""Datagrams that are passed on: each client's address has a session, with a socket of its own to one peer, so that answers find
their way back. Nothing is queued: what a socket does not take now is lost, as the network may lose it.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from enfilade.http.ends import Ends
from enfilade.http.reasons import Reason, reason
from enfilade.net.firewall import Guard, Leave
from enfilade.stream.service import CONNECT_FAILED, StreamService, reason_of
from enfilade.upstream.addresses import Address
from enfilade.upstream.peer import Peer

log = logging.getLogger("enfilade.stream")

CONNECTION_LIMIT = reason("connection_limit")
BATCH = 64
"""Datagrams that are read of one socket in a turn of the loop; the others are served in between."""
LARGEST = 65535
SESSIONS = 4096
"""Sessions of one listener where the configuration sets no limit: each has a descriptor, and strangers can make them."""
DRAIN = 2.0
"""Seconds without a datagram that end a session while the worker drains: its client is served by another already."""


def open_socket(address: Address) -> socket.socket:
    """For datagrams to a peer and back. Raises OSError."""
    host = address.at or address.host
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


class UdpListener:
    """One socket on which clients' datagrams come in, from now on. `guard`: who may begin a session; None: everybody."""

    def __init__(self, service: StreamService, sock: socket.socket, guard: Guard | None = None) -> None:
        assert service.upstream is not None, "datagrams carry no server name"
        self.service = service
        self.sock = sock
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.upstream = service.upstream
        self.sessions: dict[Any, Session] = {}
        self._guard = guard
        self._most = service.stream_limits.connections or SESSIONS
        sock.setblocking(False)
        service.loop.add_reader(sock, self._readable)

    def stop(self) -> None:
        """Take no more from clients: what is in the socket is for the next generation. Answers still go out."""
        self.service.loop.remove_reader(self.sock)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data, client = self.sock.recvfrom(LARGEST)
            except OSError:  # BlockingIOError: that was all; others tell of datagrams that we sent
                return
            session = self.sessions.pop(client, None) or self._open(client)
            if session is not None:
                self.sessions[client] = session  # the one that was silent for longest stands first
                session.pass_on(data)

    def _open(self, client: Any) -> Session | None:
        if self.service.server_full:
            self.service.meter.rejected(CONNECTION_LIMIT)
            return None
        leave = None if self._guard is None else self._guard.enter(client[0])
        if isinstance(leave, Reason):
            self.service.meter.rejected(leave)
            return None
        if len(self.sessions) >= self._most:
            next(iter(self.sessions.values())).abort(CONNECTION_LIMIT)
        tried: list[Peer] = []
        why = self.upstream.nobody
        while (peer := self.upstream.take(client[0], tried)) is not None:
            tried.append(peer)
            try:
                return Session(self, client, peer, leave)
            except OSError as error:
                log.debug("%s: cannot send to %s: %s", self.service.name, peer.name, error)
                why = reason_of(error)
                self.upstream.failed(peer, why)
        if leave is not None:
            leave()
        self.service.meter.rejected(why)
        return None


class Session:
    """The datagrams between one client and one peer. `leave` is called at its end. Raises OSError where there is no socket to be
    had."""

    __slots__ = (
        "_client", "_draining", "_heard_at", "_leave", "_listener", "_peer", "_reported", "_seen", "_sock", "began", "ends",
        "received", "sent",
    )  # fmt: skip

    idle = True

    def __init__(self, listener: UdpListener, client: Any, peer: Peer, leave: Leave | None = None) -> None:
        service = listener.service
        self._sock = open_socket(listener.upstream.targets[peer].address)
        self._listener = listener
        self._client = client
        self.ends = Ends(client[:2], listener.address)
        self._peer = peer
        self._leave = leave
        self._draining = False
        self.received = self.sent = self._seen = 0
        self._reported = (0, 0)
        self.began = self._heard_at = service.clock()
        service.loop.add_reader(self._sock, self._readable)
        service.began(self)

    def pass_on(self, data: bytes) -> None:
        """A datagram of the client."""
        self.received += len(data)
        try:
            self._sock.send(data)
        except BlockingIOError:
            pass
        except OSError as error:  # the peer's machine says that nobody is there (ICMP)
            self._failed(error)

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data = self._sock.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                return
            if not self.sent:
                listener = self._listener
                listener.upstream.connected(self._peer, listener.service.clock() - self.began)
            self.sent += len(data)
            try:
                self._listener.sock.sendto(data, self._client)
            except OSError:  # it is lost: the client goes, or its network is full
                return

    def _failed(self, error: OSError) -> None:
        listener = self._listener
        log.debug("%s: %s does not answer: %s", listener.service.name, self._peer.name, error.strerror)
        listener.upstream.health.failed(self._peer, CONNECT_FAILED, listener.service.clock())
        self._end(CONNECT_FAILED)

    def _end(self, why: Reason | None) -> None:
        listener, service = self._listener, self._listener.service
        if listener.sessions.get(self._client) is self:
            del listener.sessions[self._client]
        service.loop.remove_reader(self._sock)
        self._sock.close()
        self._report()
        self._peer.let_go()
        if self._leave is not None:
            self._leave()
        service.over(self, self.ends, self.began, None, self._peer.name, self.received, self.sent, why)

    def _report(self) -> None:
        received, sent = self._reported
        self._reported = (self.received, self.sent)
        self._listener.service.stream_meter.moved(self.received - received, self.sent - sent)

    @property
    def service(self) -> StreamService:
        return self._listener.service

    # -- what the worker calls: `net.context.Tracked`

    def sweep(self, now: float) -> None:
        self._report()
        if self.received + self.sent != self._seen:
            self._seen, self._heard_at = self.received + self.sent, now
        idle = DRAIN if self._draining else self._listener.service.stream_limits.idle
        if 0 < idle <= now - self._heard_at:
            self._end(None)

    def drain(self) -> None:
        self._draining = True

    def dismiss(self) -> None:
        self._end(None)

    def close(self) -> None:
        self._end(None)

    def abort(self, why: Reason) -> None:
        self._end(why)
