"""For models that give each client somebody who waits for it: whoever serves a connection reads and writes until it is over.

    for arrival in arrivals(server):
        arrival.serve()

is a whole server already, if a slow one. An arrival is a connection or, over UDP, a datagram. Time-outs are the kernel's
(SO_RCVTIMEO, SO_SNDTIMEO): Python's own would cost a second system call for each read.
"""

from __future__ import annotations

import io
import selectors
import signal
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from math import modf
from typing import Any

from enfilade.http.reasons import Reason
from enfilade.models.conversation import HANDLER_FAILED, Conversation
from enfilade.models.server import (
    CLIENT_GONE,
    CONNECTION_LIMIT,
    FAREWELL,
    IDLE_TIMEOUT,
    NO_SOCKET,
    READ,
    TICK,
    TLS_ERROR,
    WRITE_FAILED,
    Address,
    Connection,
    Door,
    Server,
    client_of,
)

AT_ONCE = 64
"""Clients taken at one door before the others have their turn."""
LINGER_BYTES = 4 * 1024 * 1024
"""Bytes that are read and dropped before a connection is closed over what its client still sends: it would be reset, and the
answer to what was asked before be lost with it."""


def arrivals(server: Server) -> Iterator[Arrival]:
    """Each client that comes, until the server is to end; then it waits for those who are there. In the main thread."""
    with Waker() as waker, selectors.DefaultSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)
        for door in server.doors:
            selector.register(door, selectors.EVENT_READ, door)
        server.on_drain = _begin_to_hurry
        signal.signal(signal.SIGALRM, lambda *_: server.hurry())
        while not server.draining:
            for key, _ in selector.select(TICK):
                if key.fileobj is waker:
                    waker.clear()
                else:
                    yield from _take(server, key.data, AT_ONCE)
            server.look()
        for door in server.doors:  # who has waited is not turned away; the next generation may have the same sockets
            if not door.udp:
                yield from _take(server, door)
            selector.unregister(door)
            door.sock.close()
        while server.open and not server.aborted:
            selector.select(TICK / 10)
            waker.clear()
            server.look()
        server.collect()


def _take(server: Server, door: Door, at_most: int = 4096) -> Iterator[Arrival]:
    for _ in range(at_most):
        arrival = take_datagram(server, door) if door.udp else server.take(door, Talker)
        if arrival is None or server.aborted:
            return
        yield arrival


def _begin_to_hurry() -> None:
    """Whoever the main thread waits for may take longer than there is time: interrupt it."""
    signal.setitimer(signal.ITIMER_REAL, FAREWELL / 5, FAREWELL / 5)


class Waker:
    """Signals wake whoever waits for this, for a signal alone does not end select(2) and its like (PEP 475)."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def __enter__(self) -> Waker:
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """For those who wait for it."""
        return self._read.fileno()

    def clear(self) -> None:
        """Who waited has woken."""
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass


class Talker(Connection):
    """A connection that is served by whoever calls `serve`."""

    __slots__ = ()

    def serve(self) -> None:
        """All of it, to its end."""
        why: Reason | None = None
        failure: BaseException | None = None
        try:
            self._secure()
            why, failure = self._session() if self.server.handler.framing is None else self._requests()
            self._leave()
        except (TimeoutError, BlockingIOError):
            why = IDLE_TIMEOUT
        except ssl.SSLError:
            why = TLS_ERROR
        except OSError:
            why = CLIENT_GONE
        finally:
            self.sock.close()
            self.server.ended(self, why, failure)

    def refuse(self) -> None:
        """Nobody is left to serve it."""
        self.abort()
        self.sock.close()
        self.server.ended(self, NO_SOCKET)

    def _secure(self) -> None:
        """Have the kernel bound the waiting, and speak TLS where that is spoken here."""
        idle = self.server.limits.idle
        tls = self.door.tls
        if tls is not None:  # Python's TLS would not hear of the kernel's time-outs
            self.sock.settimeout(idle or None)
            self.sock = tls.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock.do_handshake()
        elif idle:
            fraction, seconds = modf(idle)
            timeval = struct.pack("@ll", int(seconds), int(fraction * 1e6))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def _requests(self) -> tuple[Reason | None, BaseException | None]:
        sock = self.sock
        conversation = Conversation(self.server.handler, self.server.limits.message)
        while not conversation.over and (data := sock.recv(READ)):
            self.received += len(data)
            answer = conversation.received(data)
            self.requests = conversation.requests
            if answer:
                sock.sendall(answer)
                self.sent += len(answer)
        return conversation.why, conversation.error

    def _session(self) -> tuple[Reason | None, BaseException | None]:
        try:
            self.server.handler.function(Talk(self))
        except OSError:  # told by its kind
            raise
        except Exception as error:
            return HANDLER_FAILED, error
        return None, None

    def _leave(self) -> None:
        """Say that this is the end, and take what the client still has to say. What it does about that is no concern of ours."""
        sock, clock = self.sock, self.server.clock
        left, until = LINGER_BYTES, clock() + FAREWELL
        with suppress(OSError):
            if isinstance(sock, ssl.SSLSocket):
                sock.settimeout(0)
                with suppress(ssl.SSLError):  # the client's own close_notify is not waited for
                    sock.unwrap()
            socket.socket.shutdown(sock, socket.SHUT_WR)
            while left > 0 and (seconds := until - clock()) > 0:
                sock.settimeout(seconds)
                if not (dropped := len(socket.socket.recv(sock, READ))):
                    break
                left -= dropped


class Datagram:
    """One datagram, and its answer."""

    __slots__ = ("_address", "_data", "_door", "_server")

    def __init__(self, server: Server, door: Door, data: bytes, address: Any) -> None:
        self._server = server
        self._door = door
        self._data = data
        self._address = address

    def serve(self) -> None:
        """Answer it."""
        try:
            self._send(self._server.answer(self._data, client_of(self._address)))
        finally:
            self._server.open.discard(self)

    async def serve_awaited(self) -> None:
        """`serve`, for handlers that are to be awaited."""
        server = self._server
        server.open.add(self)
        try:
            conversation = server.admit(client_of(self._address))
            if conversation is not None:
                answer = await conversation.answers(self._data)
                self._send(server.answered(conversation, self._data, answer))
        finally:
            server.open.discard(self)

    def _send(self, answer: bytes | None) -> None:
        """Datagrams may be lost: one for which there is no room, or no way, is."""
        if answer is not None:
            try:
                self._door.sock.sendto(answer, self._address)
            except OSError:
                self._server.refuse(WRITE_FAILED)

    def refuse(self) -> None:
        """Nobody is left to answer it."""
        self._server.refuse(NO_SOCKET)
        self._server.open.discard(self)

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`: counted when it is answered."""
        return 0, 0, 0

    def dismiss(self) -> None:
        """See `Present.dismiss`: it is all there is."""

    def abort(self) -> None:
        """See `Present.abort`: nobody is connected."""

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""


def take_datagram(server: Server, door: Door) -> Datagram | None:
    """The next one that waits at `door`; None: none does."""
    try:
        data, address = door.sock.recvfrom(READ)
    except OSError:  # BlockingIOError; or word of one that we sent and that did not arrive
        return None
    if server.full:
        server.refuse(CONNECTION_LIMIT)
        return None
    datagram = Datagram(server, door, data, address)
    server.open.add(datagram)
    return datagram


Arrival = Talker | Datagram


class Talk:
    """What a session has of its connection: the methods of a blocking socket that make sense for it, with what they move counted.
    `client`: address and port. A client that says nothing, or takes nothing, for `idle_timeout` raises TimeoutError."""

    def __init__(self, connection: Talker) -> None:
        self._connection = connection
        self._sock = connection.sock
        self.client: Address = connection.client

    def recv(self, size: int = READ) -> bytes:
        """What has come, `size` bytes at most, as soon as something has; b"": the client has ended."""
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            raise TimeoutError("the client says nothing") from None
        self._connection.received += len(data)
        return data

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._sock.sendall(data)
        except BlockingIOError:
            raise TimeoutError("the client takes nothing") from None
        self._connection.sent += len(data)

    def shutdown(self, how: int = socket.SHUT_WR) -> None:
        """As that of sockets; by default say that nothing more will be sent."""
        self._sock.shutdown(how)

    def makefile(self, mode: str = "rwb") -> io.BufferedRWPair:
        """A binary file of both directions, with `readline` and the like. What is written is sent by `flush`."""
        raw = _Raw(self)
        return io.BufferedRWPair(raw, raw)


class _Raw(io.RawIOBase):
    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._talk.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        self._talk.sendall(bytes(data))
        return len(data)
