"""What one process serves: a handler, at some doors, within some limits, to the clients that are there.

A model takes clients with `take`, and gives each of them somebody to talk to; the connections tell the server when they end.
What the process is told (drain, dismiss, abort) reaches the connections here.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import NamedTuple, Protocol, TypeVar

from enfilade.closing import reset_when_closed
from enfilade.http.addresses import Addresses
from enfilade.http.reasons import Reason, reason
from enfilade.models.conversation import Conversation
from enfilade.models.handler import Handler

log = logging.getLogger("enfilade.stream")

BANNED = reason("banned")
CLIENT_GONE = reason("client_gone")
CONNECTION_LIMIT = reason("connection_limit")
IDLE_TIMEOUT = reason("idle_timeout")
NO_MESSAGE = reason("no_message")
NO_SOCKET = reason("no_socket")
WRITE_FAILED = reason("write_failed")
SHUTTING_DOWN = reason("shutting_down")
TLS_ERROR = reason("tls_error")

READ = 64 * 1024
"""Bytes that are read at once at most: no datagram is longer."""
FAREWELL = 0.5
"""Seconds from telling connections to come to an end, to ending them."""
TICK = 1.0
"""Seconds between two looks at what is due."""
SPEAK_AGAIN = 60.0
"""Seconds for which a shortage of ours is not told again: strangers could fill the log with it."""
_GONE_ALREADY = (errno.ECONNABORTED, errno.EPROTO, errno.EPERM)
"""accept(2): the client had left, or the system's firewall forbids it; others may still be there."""

Address = tuple[str, int | None]
"""Who a client is: address and port; of a Unix socket "" and None."""
Leave = Callable[[], None]


class Limits(NamedTuple):
    """0 is no limit. `connections`: at once, in this process. `idle`: seconds without a byte either way. `message`: bytes of one
    (there is always a limit). `threads`: those of `thread_pool`, and the processes of `process_pool`."""

    connections: int = 0
    idle: float = 0.0
    message: int = 64 * 1024
    threads: int = 8


class Ended(NamedTuple):
    """A conversation that is over. `began`: monotonic. `moved`: what was received and sent, in bytes, and the requests answered,
    as far as the ledger has not been told yet. `why`: None: both sides ended in peace."""

    client: Address
    began: float
    received: int
    sent: int
    moved: tuple[int, int, int]
    why: Reason | None


class Doorkeeper(Protocol):
    """Who may come in (net.firewall.Guard)."""

    def refuses(self, client: str) -> Reason | None:
        """Why nobody comes in from the address `client`; None: they do."""

    def enter(self, client: str) -> Reason | Leave | None:
        """The same for a connection, and else what to call when it is over, if anything."""


class Ledger(Protocol):
    """Who counts and logs. Everything is called in the main thread of the process that was started for the stream."""

    def opened(self) -> None:
        """A connection more."""

    def moved(self, received: int, sent: int, requests: int) -> None:
        """So many bytes and requests more."""

    def ended(self, ended: Ended) -> None:
        """A connection less."""

    def refused(self, why: Reason) -> None:
        """A connection, or a datagram, was not served."""

    def look(self, now: float) -> None:
        """About once a second."""


class Door(NamedTuple):
    """A listening socket, non-blocking. `contexts`: gives what handshakes begin with now; None: there is no TLS."""

    sock: socket.socket
    contexts: Callable[[], ssl.SSLContext] | None = None

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a handshake begins with that begins now; None: there is no TLS."""
        return None if self.contexts is None else self.contexts()

    @property
    def udp(self) -> bool:
        """Whether datagrams come in here, rather than connections."""
        return self.sock.type == socket.SOCK_DGRAM

    def fileno(self) -> int:
        """For those who wait for it."""
        return self.sock.fileno()


class Present(Protocol):
    """Whoever is being served: a connection, or a datagram that is not answered yet."""

    def moved(self) -> tuple[int, int, int]:
        """Bytes received and sent, and requests answered, since it was last asked."""

    def dismiss(self) -> None:
        """Finish what has been begun."""

    def abort(self) -> None:
        """End now."""

    def sweep(self, now: float) -> None:
        """About once a second, in the main thread."""


class Connection:
    """One client, from its acceptance to its end: what is counted of it, and how it is brought to an end. Models derive
    theirs."""

    __slots__ = (
        "_heard",
        "_seen",
        "_told",
        "began",
        "client",
        "door",
        "leave",
        "received",
        "requests",
        "sent",
        "server",
        "sock",
    )

    def __init__(self, server: Server, door: Door, sock: socket.socket, client: Address) -> None:
        self.server = server
        self.door = door
        self.sock = sock
        self.client = client
        self.began = self._heard = server.clock()
        self.received = self.sent = self.requests = self._seen = 0
        self._told = (0, 0, 0)
        self.leave: Leave | None = None

    def fileno(self) -> int:
        """For those who wait for it."""
        return self.sock.fileno()

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`."""
        now, before = (self.received, self.sent, self.requests), self._told
        self._told = now
        return now[0] - before[0], now[1] - before[1], now[2] - before[2]

    def dismiss(self) -> None:
        """See `Present.dismiss`: to whoever reads, the client has nothing more to say than what has come."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_RD)  # that of an SSLSocket would go on without encryption
        except OSError:  # it is gone already
            pass

    def abort(self) -> None:
        """See `Present.abort`: the client gets a reset, and whoever waits for it is woken."""
        try:
            reset_when_closed(self.sock)
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""

    def is_idle(self, now: float) -> bool:
        """Whether it has been for too long; asked about once a second by models that have no time-outs of their own."""
        if (moved := self.received + self.sent) != self._seen:
            self._seen, self._heard = moved, now
        return 0 < self.server.limits.idle <= now - self._heard


C = TypeVar("C", bound=Connection)


class Server:
    """`open`: who is being served. `draining`: nobody is taken any more. `aborted`: nobody is waited for, either. `on_drain` is
    called when one of both begins. `on_look`: what is done about once a second. `on_fork`: what a process
    does that was forked of this one, to let go of what is not its own."""

    def __init__(
        self,
        handler: Handler,
        doors: list[Door],
        limits: Limits,
        ledger: Ledger,
        *,
        doorkeeper: Doorkeeper | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`doorkeeper`: None: everybody may come in."""
        self.handler = handler
        self.doors = doors
        self.limits = limits
        self.ledger = ledger
        self.clock = clock
        self.open: set[Present] = set()
        self.draining = False
        self.aborted = False
        self.on_drain: Callable[[], None] = _nothing
        self.on_look: list[Callable[[], None]] = []
        self.on_fork: list[Callable[[], None]] = []
        self.doorkeeper = doorkeeper
        self._news: deque[Callable[[], None]] = deque()
        self._main = threading.get_ident()
        self._look_at = clock() + TICK
        self._complain_at = clock()
        self._end_at: float | None = None
        self._abort_at: float | None = None
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    # -- clients

    def take(self, door: Door, make: Callable[[Server, Door, socket.socket, Address], C]) -> C | None:
        """The next client that waits at `door`, if it may come in, as `make` makes it; None: none waits."""
        while True:
            try:
                sock, address = door.sock.accept()
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in _GONE_ALREADY:
                    self._short_of(door, error)
                    return None
                continue
            connection = self._begin(door, sock, client_of(address), make)
            if connection is not None:
                return connection

    def _begin(
        self, door: Door, sock: socket.socket, client: Address,
        make: Callable[[Server, Door, socket.socket, Address], C],
    ) -> C | None:  # fmt: skip
        """The connection that was accepted as `sock`; None, and it was reset, where it may not come in."""
        found: Reason | Leave | None = CONNECTION_LIMIT if self.full else None
        if found is None and self.doorkeeper is not None:
            found = self.doorkeeper.enter(client[0])
        if isinstance(found, Reason):
            self.ledger.refused(found)
            reset(sock)
            return None
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = make(self, door, sock, client)
        self.began(connection, found)
        return connection

    def began(self, connection: Connection, leave: Leave | None) -> None:
        """It has come in."""
        connection.leave = leave
        self.open.add(connection)
        self.ledger.opened()
        if self._abort_at is not None:
            connection.dismiss()

    @property
    def full(self) -> bool:
        """No further connection may be taken."""
        return 0 < self.limits.connections <= len(self.open)

    def _short_of(self, door: Door, error: OSError) -> None:
        """No descriptor is left: the spare one takes the client, so that it hears that nobody is there for it, and we do not
        turn round and round while it waits."""
        if self.clock() >= self._complain_at:
            self._complain_at = self.clock() + SPEAK_AGAIN
            log.warning("cannot accept connections: %s", error.strerror)
        self.ledger.refused(NO_SOCKET)
        os.close(self._spare)
        try:
            reset(door.sock.accept()[0])
        except OSError:
            time.sleep(0.01)  # it is not our own limit; let others have a chance
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def ended(self, connection: Connection, why: Reason | None, error: BaseException | None = None) -> None:
        """It is over; told exactly once, by whoever ends it, in any thread. `error`: what the handler raised."""
        if error is not None:
            log.error("%s raised, and the connection of %s ends", self.handler.name, connection.client, exc_info=error)
        self.open.discard(connection)
        c, moved = connection, connection.moved()
        ended = Ended(c.client, c.began, c.received, c.sent, moved, why)
        self._tell(self.ledger.ended, ended)
        if c.leave is not None:
            self._tell(c.leave)

    def _tell(self, news: Callable[..., None], *what: object) -> None:
        """Counters belong to the main thread: others leave word."""
        if threading.get_ident() == self._main:
            news(*what)
        else:
            self._news.append(partial(news, *what))

    def collect(self) -> None:
        """Tell the ledger what other threads have left word of. In the main thread."""
        while self._news:
            self._news.popleft()()

    # -- datagrams

    def conversation(self) -> Conversation:
        """One with the handler."""
        return Conversation(self.handler, self.limits.message)

    def answer(self, conversation: Conversation, datagram: bytes) -> bytes | None:
        """What to answer to a datagram, all that is said in `conversation`, which was another's before; None: nothing."""
        before = conversation.requests
        conversation.begin()
        return self.answered(conversation, conversation.received(datagram), before)

    def answered(self, conversation: Conversation, answer: bytes, before: int = 0) -> bytes | None:
        """`answer` to a datagram, if there is one; if not, why is counted. `before`: requests before it."""
        if conversation.why is not None or conversation.requests == before:
            if conversation.error is not None:
                log.error("%s raised, and a datagram is not answered", self.handler.name, exc_info=conversation.error)
            why = conversation.why or (None if conversation.over else NO_MESSAGE)
            if why is not None:
                self.refuse(why)
        return answer or None

    def count(self, conversation: Conversation) -> None:
        """What datagrams have moved in it since the last time."""
        self._tell(self.ledger.moved, conversation.heard, conversation.said, conversation.requests)
        conversation.heard = conversation.said = conversation.requests = 0

    def admits(self, address: object) -> bool:
        """Whether a datagram may come in from `address`, as recvfrom(2) gives it."""
        why = None if self.doorkeeper is None else self.doorkeeper.refuses(client_of(address)[0])
        if why is not None:
            self.refuse(why)
        return why is None

    def refuse(self, why: Reason) -> None:
        """A datagram came or was answered in vain."""
        self._tell(self.ledger.refused, why)

    # -- processes forked of this one

    def become_child(self, ledger: Ledger, doorkeeper: Doorkeeper | None) -> None:
        """This process was forked of the server's. What it does is told to `ledger`; `doorkeeper` is asked instead of its own."""
        for hook in self.on_fork:
            hook()
        self.on_fork.clear()
        self.on_drain = _nothing
        self.open.clear()
        self.ledger = ledger
        self.doorkeeper = doorkeeper

    # -- the end

    def drain(self, timeout: float) -> None:
        """Take nobody any more; whoever is there has `timeout` seconds. A signal handler may call this, and all of these."""
        self.draining = True
        self._look_at = now = self.clock()
        self._end_at = now + timeout
        self.on_drain()

    def dismiss(self) -> None:
        """Take nobody any more, and let everybody finish what they have begun."""
        self.draining = True
        self._end_at = None
        if self._abort_at is None:
            self._abort_at = inf  # who comes meanwhile is told, too
            for connection in list(self.open):
                connection.dismiss()
            self._abort_at = self.clock() + FAREWELL
        self.on_drain()

    def abort(self) -> None:
        """End all at once."""
        self.draining = self.aborted = True
        for connection in list(self.open):
            connection.abort()
        self.on_drain()

    def expel(self, banned: Addresses) -> None:
        """End the connections of those who may not come in any more."""
        for connection in list(self.open):
            if isinstance(connection, Connection) and connection.client[0] in banned:
                self.refuse(BANNED)
                connection.abort()

    @property
    def due_in(self) -> float:
        """Seconds until there is something to `hurry` for; infinite where nothing is known of."""
        at = self._abort_at if self._abort_at is not None else self._end_at
        return inf if at is None else max(at - self.clock(), 0.0)

    def hurry(self) -> None:
        """Do what is due of the end."""
        now = self.clock()
        if self._abort_at is not None and now >= self._abort_at:
            self.abort()
        elif self._end_at is not None and now >= self._end_at:
            self.dismiss()

    def turn(self) -> None:
        """As often as the main thread has time for it: what others left word of, what is due of the end, and a look where one is
        due. Each look goes through all who are there."""
        if self._news:
            self.collect()
        if self.draining:
            self.hurry()
        if self.aborted or self.clock() >= self._look_at:
            self.look()

    def look(self) -> None:
        """About once a second, in the main thread."""
        now = self.clock()
        self._look_at = now + TICK
        for connection in list(self.open):
            self.ledger.moved(*connection.moved())
            connection.sweep(now)
        for hook in self.on_look:
            hook()
        self.ledger.look(now)


def client_of(address: object) -> Address:
    """The client of an address as accept(2) gives it."""
    return (str(address[0]).partition("%")[0], int(address[1])) if isinstance(address, tuple) else ("", None)


def reset(sock: socket.socket) -> None:
    """End a connection so that the client knows that nobody was there."""
    with sock:
        reset_when_closed(sock)


def _nothing() -> None:
    """Whoever waits is woken by what called us."""
