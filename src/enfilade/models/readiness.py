"""For models that wait for all clients at once: one thread asks the system who can be read from or written to, does just that
much for each of them, and asks again. Nobody may be waited for in between, so handlers must be quick, and sessions cannot be
served. How the system is asked is the model (select.py, poll.py, epoll.py): a `Poller`.
"""

from __future__ import annotations

import select
import socket
from functools import partial
from typing import Protocol

from enfilade.http.reasons import Reason
from enfilade.models.batches import answer_batch, batches_of
from enfilade.models.blocking import AT_LAST, AT_ONCE, Waker
from enfilade.models.encrypted import Encrypted
from enfilade.models.server import (
    CLIENT_GONE,
    FAREWELL,
    IDLE_TIMEOUT,
    NO_SOCKET,
    READ,
    SHUTTING_DOWN,
    TICK,
    Address,
    Connection,
    Door,
    Server,
)

HIGH_WATER = 512 * 1024
"""Bytes of answers that a client has not taken, beyond which nothing more is read from it."""

READABLE, WRITABLE = select.POLLIN, select.POLLOUT
"""What a descriptor is ready for, as poll(2) has it. What else it may say (POLLHUP, POLLERR), is for reading and writing to find
out."""


class Poller(Protocol):
    """A way to wait for many descriptors. `most`: the first descriptor that is too high for it; 0: none is."""

    most: int

    def watch(self, fd: int, events: int) -> None:
        """From now on, wait until `fd` can be read from (READABLE), written to (WRITABLE), both, or none (0)."""

    def forget(self, fd: int) -> None:
        """Do not wait for `fd` any more; it is still open."""

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """Those that are ready, and what for, after `timeout` seconds at most."""

    def close(self) -> None:
        """Nobody waits any more."""


class Loop:
    """`clients`: by descriptor, all that are open."""

    def __init__(self, server: Server, poller: Poller) -> None:
        self.server = server
        self.poller = poller
        self.clients: dict[int, Client] = {}
        self._doors = {door.fileno(): door for door in server.doors}
        self._batches = {fd: batches_of(door.sock) for fd, door in self._doors.items() if door.udp}
        self._conversation = server.conversation()  # of one datagram after the other

    def run(self) -> None:
        """Serve until the server is drained, and everybody who was there has gone."""
        server = self.server
        with Waker() as waker:
            for fd in (waker.fileno(), *self._doors):
                self.poller.watch(fd, READABLE)
            while not server.draining:
                self._turn(TICK, waker)
            self._leave_doors()
            while self.clients and not server.aborted:
                self._turn(min(TICK, server.due_in), waker)
        for client in list(self.clients.values()):
            client.close(SHUTTING_DOWN)
        self.poller.close()

    def _turn(self, seconds: float, waker: Waker) -> None:
        clients = self.clients
        for fd, events in self.poller.wait(seconds):
            client = clients.get(fd)
            if client is not None:
                client.ready(events)
            elif fd in self._batches:
                answer_batch(self.server, self._batches[fd], self._conversation)
            elif fd in self._doors:
                self._accept(self._doors[fd])
            else:
                waker.hear()
        self.server.turn()

    def _accept(self, door: Door, at_most: int = AT_ONCE) -> None:
        for _ in range(at_most):
            client = self.server.take(door, partial(Client, self))
            if client is None:
                return
            client.begin()

    def _leave_doors(self) -> None:
        """Who has waited is not turned away; the next generation may have the same sockets."""
        for fd, door in self._doors.items():
            if not door.udp:
                self._accept(door, at_most=AT_LAST)
            self.poller.forget(fd)
            door.sock.close()
        self._doors.clear()


class Client(Connection):
    """A connection of a loop. `_unsent`: what the client has not taken yet. `_ended`: it sends nothing more, so when all is
    sent, this is the end. `_until`: we send nothing more, and this is how long we wait for the client's end."""

    __slots__ = ("_conversation", "_ended", "_fd", "_loop", "_talk", "_unsent", "_until", "_watched")

    def __init__(self, loop: Loop, server: Server, door: Door, sock: socket.socket, address: Address) -> None:
        super().__init__(server, door, sock, address)
        sock.setblocking(False)
        self._loop = loop
        self._fd = sock.fileno()
        self._conversation = server.conversation()
        self._talk = self._conversation if door.tls is None else Encrypted(door.tls, self._conversation)
        self._unsent = bytearray()
        self._ended = False
        self._until: float | None = None
        self._watched = 0

    def begin(self) -> None:
        """It was accepted, and may speak."""
        self._loop.clients[self._fd] = self
        if 0 < self._loop.poller.most <= self._fd:
            self.abort()
            self.close(NO_SOCKET)
        else:
            self._watch(READABLE)

    def ready(self, events: int) -> None:
        """The system says that the socket is ready for `events`."""
        if self._unsent and events & ~READABLE:
            self._flush()
        if self._watched & READABLE and events & ~WRITABLE:
            self._read()

    def _read(self) -> None:
        try:
            data = self.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            self.close(CLIENT_GONE)
            return
        if self._until is None:
            self._ended = not data
            self._say(self._talk.received(data) if data else self._talk.ended())
            if self._unsent or self._conversation.over or self._conversation.waiting:
                self._go_on()
        elif not data:
            self.close(self._conversation.why)

    def _say(self, answer: bytes) -> None:
        """Send it, and keep what of it the client does not take yet."""
        if answer:
            sent = 0 if self._unsent else self._send(answer)
            if sent < len(answer):
                self._unsent += answer[sent:]

    def _flush(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        self._go_on()

    def _send(self, data: bytes | bytearray) -> int:
        """How many bytes of `data` are on their way."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.close(CLIENT_GONE)
        return 0

    def _go_on(self) -> None:
        """Say what is still to be said, and wait for what is to come next; or end."""
        conversation = self._conversation
        while conversation.waiting and not self._unsent:
            self._say(self._talk.received(None))
        if not self._watched:  # it was closed in between
            return
        if self._unsent:
            has_room = len(self._unsent) < HIGH_WATER and not conversation.waiting and not conversation.over
            self._watch(WRITABLE | READABLE if has_room else WRITABLE)
        elif self._ended:
            self.close(conversation.why)
        else:
            if conversation.over and self._until is None:
                self._linger()
            self._watch(READABLE)

    def _linger(self) -> None:
        """Say that this is the end, and take what the client still has to say: it would be reset, and its last answer be lost."""
        self._until = self.server.clock() + FAREWELL
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone, as reading will tell
            pass

    def _watch(self, events: int) -> None:
        if events != self._watched:
            self._watched = events
            self._loop.poller.watch(self._fd, events)

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`."""
        conversation = self._conversation
        self.received, self.requests = conversation.heard, conversation.requests
        self.sent = max(0, conversation.said - len(self._unsent))  # to which TLS has added something
        return super().moved()

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""
        if self._until is not None and now >= self._until:
            self.close(self._conversation.why)
        elif self.is_idle(now):
            self.close(IDLE_TIMEOUT)

    def close(self, why: Reason | None) -> None:
        """The end of it."""
        del self._loop.clients[self._fd]
        if self._watched:
            self._watched = 0
            self._loop.poller.forget(self._fd)
        self.sock.close()
        self.server.ended(self, why, self._conversation.error)
