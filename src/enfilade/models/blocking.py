"""For models that give each client somebody who waits for it: whoever serves a connection reads and writes until it is over.

    for arrival in arrivals(server):
        arrival.serve()

is a whole server already, if a slow one. An arrival is a connection or, over UDP, a datagram. Time-outs are the kernel's
(SO_RCVTIMEO, SO_SNDTIMEO): Python's own would cost a second system call for each read. The main
thread does not wait longer than a second without a break: a signal that comes right before a system call is heeded only after it.
"""

from __future__ import annotations

import io
import selectors
import signal
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from math import ceil, inf, modf
from typing import Any, ClassVar, Protocol, TypeVar

from enfilade.closing import LINGER_BYTES
from enfilade.http.reasons import Reason
from enfilade.models.conversation import HANDLER_FAILED, Conversation
from enfilade.models.encrypted import Tls
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
    reset,
)

AT_ONCE = 64
"""Clients taken at one door before the others have their turn."""
AT_LAST = 4096
"""Those that are taken before a door is closed: they had come before."""
MOMENT = 0.001
"""Seconds from now to what is due now."""


def arrivals(server: Server, *others: Caller, make: Make = None, listens: bool = True) -> Iterator[Arrival]:
    """Each client that comes, until the server is to end; then it waits for those who are there. In the main thread. `others`,
    `make`, `listens`: see `Reception`."""
    with Reception(server, *others, make=make, listens=listens) as reception:
        while not server.draining:
            yield from reception.wait(TICK)
            server.turn()
        yield from reception.leave()
        reception.see_off()


class Caller(Protocol):
    """Whoever may want something while clients are waited for."""

    def fileno(self) -> int:
        """Readable when it does."""

    def hear(self) -> None:
        """What it is."""


class Reception:
    """Where clients are waited for: at all doors of a server at once, in the main thread. `others`: are heard meanwhile. `make`:
    what connections are made as; None: as `Talker`. `listens`: False: somebody else takes the clients. A process that is forked
    of ours lets go of it."""

    def __init__(self, server: Server, *others: Caller, make: Make = None, listens: bool = True) -> None:
        self._server = server
        self._make = make or Talker
        self._listens = listens
        self._waker = Waker()
        self._selector = selectors.DefaultSelector()
        for other in (self._waker, *others):
            self._selector.register(other, selectors.EVENT_READ, other)
        for door in server.doors if listens else ():
            self._selector.register(door, selectors.EVENT_READ, door)
        server.on_drain = partial(_hurry_later, server)
        signal.signal(signal.SIGALRM, lambda *_: server.hurry())
        server.on_fork.append(self.close)

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.on_fork.remove(self.close)
        self.close()

    def close(self) -> None:
        """Nobody waits here any more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._waker.close()
        self._selector.close()

    def fileno(self) -> int:
        """For those who wait for the whole of it."""
        return self._selector.fileno()

    def wait(self, seconds: float) -> Iterator[Arrival]:
        """Those who come, as soon as somebody does; nobody, after so many seconds or when somebody else is heard."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Door):
                yield from self._take(key.data, AT_ONCE)
            else:
                key.data.hear()

    def _take(self, door: Door, at_most: int) -> Iterator[Arrival]:
        server = self._server
        for _ in range(at_most):
            arrival = take_datagram(server, door) if door.udp else server.take(door, self._make)
            if arrival is None or server.aborted:
                return
            yield arrival

    def leave(self) -> Iterator[Arrival]:
        """Close the doors, but those where answers are still to be sent. Who has waited is not turned away; the next generation
        may have the same sockets."""
        for door in self._server.doors:
            if self._listens:
                if not door.udp:
                    yield from self._take(door, AT_LAST)
                self._selector.unregister(door)
            if not door.udp:
                door.sock.close()

    def see_off(self) -> None:
        """Wait for those who are still there. Who is aborted ends at once, and says so."""
        server, until = self._server, inf
        while server.open and server.clock() < until:
            for _ in self.wait(TICK / 10 if until == inf else TICK / 100):
                pass
            server.turn()
            if server.aborted:
                until = min(until, server.clock() + FAREWELL)
        for door in server.doors:
            door.sock.close()
        server.collect()


def _hurry_later(server: Server) -> None:
    """Whoever the main thread waits for may take longer than there is time: interrupt it."""
    if (due_in := server.due_in) < inf:
        signal.setitimer(signal.ITIMER_REAL, max(due_in, MOMENT), FAREWELL / 5)


class Waker:
    """Signals wake whoever waits for this, for a signal alone does not end select(2) and its like (PEP 475)."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)

    def __enter__(self) -> Waker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Signals wake nobody any more."""
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()

    def fileno(self) -> int:
        """For those who wait for it."""
        return self._read.fileno()

    def hear(self) -> None:
        """Who waited has woken."""
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            pass


W = TypeVar("W")
G = TypeVar("G")


class Talker(Connection):
    """A connection that is served by whoever calls `serve`. `_waits`: one for each of the waits that its client may keep us
    waiting in a row. `_lost`: how its client was lost; other errors are the handler's. `_plain`: what was decrypted, and not read
    yet."""

    __slots__ = ("_lost", "_plain", "_tls", "_waits")

    longest_wait: ClassVar[float] = inf
    """Seconds without a break."""

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        super().__init__(server, door, sock, client)
        self._waits: Iterable[object] = repeat(None)
        self._lost: OSError | None = None
        self._tls: Tls | None = None
        self._plain = bytearray()

    def serve(self) -> None:
        """All of it, to its end."""
        why: Reason | None = None
        failure: BaseException | None = None
        try:
            self._bound()
            self._secure()
            why, failure = self._session() if self.server.handler.framing is None else self._requests()
            self._leave()
        except TimeoutError:
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
        reset(self.sock)
        self.server.ended(self, NO_SOCKET)

    def _bound(self) -> None:
        """Have the kernel bound each wait."""
        idle, wait = self.server.limits.idle, self.longest_wait
        if idle:
            self._waits = range(ceil(idle / wait) or 1)
            wait = idle / len(self._waits)
        if wait < inf:
            fraction, seconds = modf(wait)
            timeval = struct.pack("@ll", int(seconds), int(fraction * 1e6))
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)

    def _patiently(self, call: Callable[[W], G], what: W) -> G:
        """What a system call gives, as soon as the client lets it."""
        for _ in self._waits:
            try:
                return call(what)
            except BlockingIOError:
                self.has_waited()
        raise TimeoutError("the client says nothing, or takes nothing")

    def _send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._patiently(self.sock.send, rest) :]

    def has_waited(self) -> None:
        """A wait is over in which the client said and took nothing."""

    def _secure(self) -> None:
        """Speak TLS where that is spoken here."""
        context = self.door.tls
        if context is not None:
            self._tls = tls = Tls(context)
            while not tls.shaken and not tls.over:
                self._decrypt(tls)

    def _decrypt(self, tls: Tls) -> None:
        """What comes next. An SSLSocket would do as much; but its time-out counts for all that is sent at once, and others could
        not end it."""
        records = self._patiently(self.sock.recv, READ)
        if records:
            self._plain += tls.decrypt(records)
        else:
            tls.ended()
        if said := tls.encrypt():
            self._send(said)

    def _requests(self) -> tuple[Reason | None, BaseException | None]:
        conversation = self.server.conversation()
        while not conversation.over and (data := self.recv()):
            self._say(conversation, data)
            while conversation.waiting:
                self._say(conversation, None)
        return conversation.why, conversation.error

    def _say(self, conversation: Conversation, data: bytes | None) -> None:
        answer = conversation.received(data)
        self.requests = conversation.requests
        if answer:
            self.sendall(answer)

    def recv(self, size: int = READ) -> bytes:
        """What has come, as soon as something has; b"": the client has ended."""
        try:
            data = self._patiently(self.sock.recv, size) if self._tls is None else self._decrypted(self._tls, size)
        except OSError as error:
            self._lost = error
            raise
        self.received += len(data)
        return data

    def _decrypted(self, tls: Tls, size: int) -> bytes:
        while not self._plain and not tls.over:
            self._decrypt(tls)
        if not self._plain and tls.why is not None:
            raise ssl.SSLError("this is no TLS")
        data = bytes(self._plain[:size])
        del self._plain[:size]
        return data

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._send(data if self._tls is None else self._tls.encrypt(data))
        except OSError as error:
            self._lost = error
            raise
        self.sent += len(data)

    def shutdown(self, how: int) -> None:
        """As that of sockets."""
        if self._tls is not None and how != socket.SHUT_RD:
            self._send(self._tls.close())
        self.sock.shutdown(how)

    def _session(self) -> tuple[Reason | None, BaseException | None]:
        try:
            self.server.handler.function(Talk(self))
        except (Exception, SystemExit) as error:
            if error is self._lost:
                raise
            return HANDLER_FAILED, error
        return None, None

    def _leave(self) -> None:
        """Say that this is the end, and take what the client still has to say. What it does about that is no concern of ours."""
        sock, clock = self.sock, self.server.clock
        left, until = LINGER_BYTES, clock() + FAREWELL
        with suppress(OSError):
            sock.settimeout(FAREWELL)
            self.shutdown(socket.SHUT_WR)
            while left > 0 and (seconds := until - clock()) > 0:
                sock.settimeout(seconds)
                if not (dropped := len(sock.recv(READ))):
                    break
                left -= dropped


class MainTalker(Talker):
    """One that is served in the main thread, where signals are heeded, and the server has its turn before each wait and after."""

    __slots__ = ()

    longest_wait = TICK

    def recv(self, size: int = READ) -> bytes:
        """See `Talker.recv`."""
        self.server.turn()
        return super().recv(size)

    def has_waited(self) -> None:
        """See `Talker.has_waited`."""
        self.server.turn()


class Datagram:
    """One datagram, and its answer."""

    __slots__ = ("_address", "_data", "_door", "_server", "client")

    def __init__(self, server: Server, door: Door, data: bytes, address: Any) -> None:
        self._server = server
        self._door = door
        self._data = data
        self._address = address
        self.client = client_of(address)

    def serve(self) -> None:
        """Answer it."""
        try:
            server = self._server
            if server.admits(self._address):
                conversation = server.conversation()
                self._send(conversation, server.answer(conversation, self._data))
        finally:
            self._server.open.discard(self)

    async def serve_awaited(self) -> None:
        """`serve`, for handlers that are to be awaited."""
        server = self._server
        try:
            if server.admits(self._address):
                conversation = server.conversation()
                self._send(conversation, server.answered(conversation, await conversation.answers(self._data)))
        finally:
            server.open.discard(self)

    def _send(self, conversation: Conversation, answer: bytes | None) -> None:
        """Datagrams may be lost: one for which there is no room, or no way, is."""
        self._server.count(conversation)
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
Make = Callable[[Server, Door, socket.socket, Address], Talker] | None


class Talk:
    """What a session has of its connection: the methods of a blocking socket that make sense for it, with what they move counted.
    `client`: address and port. A client that says nothing, or takes nothing, for `idle_timeout` raises TimeoutError."""

    def __init__(self, connection: Talker) -> None:
        self._connection = connection
        self.client: Address = connection.client

    def recv(self, size: int = READ) -> bytes:
        """What has come, `size` bytes at most, as soon as something has; b"": the client has ended."""
        return self._connection.recv(size)

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._connection.sendall(data)

    def shutdown(self, how: int = socket.SHUT_WR) -> None:
        """As that of sockets; by default say that nothing more will be sent."""
        self._connection.shutdown(how)

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
