"""Processes forked of the server's own, which serve clients for it: how they begin, what they say, and how they end.

Only the process that was started for the stream counts and logs, and knows who is there. Between it and each child is a *line*,
a pair of connected sockets, on which the child says, in JSON, what it would tell a ledger. Whoever finds the end of the line
knows that there is nobody at the other end.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from enfilade.http.reasons import REASONS, Reason
from enfilade.models.blocking import Arrival, Talker
from enfilade.models.conversation import HANDLER_FAILED
from enfilade.models.server import (
    READ,
    SHUTTING_DOWN,
    Address,
    Connection,
    Door,
    Ended,
    Leave,
    Present,
    Server,
)

log = logging.getLogger("enfilade.stream")

_REASONS = list(REASONS.values())


class Children:
    """All of a server's; in the parent. `tend`: called when one has gone, and about once a second."""

    def __init__(self, server: Server, tend: Callable[[], None] = lambda: None) -> None:
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._all: set[Child] = set()
        self._signals: set[Any] = set()
        self._tend = tend
        server.on_look.append(self._look)
        server.on_fork.append(self._leave)

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nobody is left over."""
        for child in self._all:
            child.abort()
        for child in list(self._all):
            self._bury(child)
        self._leave()
        self._server.on_fork.remove(self._leave)

    def __len__(self) -> int:
        return len(self._all)

    # -- their beginning

    def start(self, work: Arrival | Callable[[Parent], None]) -> Child | None:
        """A child that serves an arrival, or does other work; None: the system lets us have no more of them, and the arrival is
        refused."""
        arrival = None if callable(work) else work
        child = self.expect(arrival)
        if child is None:
            return None
        try:
            pid = os.fork()
        except OSError as error:
            self.miscarried(child, error)
            return None
        if pid == 0:
            status = 1
            try:
                parent = self.begin(child)
                work(parent) if callable(work) else work.serve()
                parent.farewell()
                status = 0
            except BaseException:
                log.exception("a process that serves %s ends", self._server.handler.name)
            finally:
                os._exit(status)
        self.born(child, pid)
        return child

    def expect(self, arrival: Arrival | None) -> Child | None:
        """One that will be forked now; None: see `start`. Until it is born no signal is handled: the child would handle it for
        its parent."""
        try:
            child = Child(self._server, arrival)
        except OSError as error:
            _refuse(arrival, error)
            return None
        _flush()  # or the child would write it, too
        self._signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        return child

    def miscarried(self, child: Child, error: OSError) -> None:
        """It was not forked."""
        child.line.close()
        child.other_end.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._signals)
        _refuse(child.arrival, error)

    def born(self, child: Child, pid: int) -> None:
        """It was forked; in the parent."""
        child.born(pid)
        self._all.add(child)
        self._selector.register(child.line, selectors.EVENT_READ, child)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._signals)

    def begin(self, child: Child) -> Parent:
        """It was forked; in the child, which lets go of what is not its own. To have an arrival is to serve nobody else."""
        server = self._server
        child.line.close()
        parent = Parent(child.other_end, server)
        server.become_child(parent, None if server.doorkeeper is None else parent)
        if child.arrival is not None:
            server.open.add(child.arrival)
            server.on_look.clear()
            if isinstance(child.arrival, Talker):
                child.arrival.leave = None  # that is for the parent to say
            for door in server.doors:
                if not door.udp:  # those that are have yet to send the answer
                    door.sock.close()
        signal.signal(signal.SIGTERM, lambda *_: server.dismiss())
        signal.signal(signal.SIGUSR2, lambda *_: server.drain(inf))
        signal.pthread_sigmask(signal.SIG_SETMASK, self._signals)
        return parent

    def _leave(self) -> None:
        """A child has nothing to do with the others."""
        self._selector.close()
        for child in self._all:
            child.line.close()
        self._server.on_look.remove(self._look)

    # -- what they say, and their end

    def fileno(self) -> int:
        """See `blocking.Caller`."""
        return self._selector.fileno()

    def hear(self) -> None:
        """See `blocking.Caller`."""
        for key, _ in self._selector.select(0):
            if key.data.hear():
                self._bury(key.data)
                self._tend()

    def _look(self) -> None:
        """A process that a handler has started may still hold the line of one that has gone."""
        for child in list(self._all):
            if child.has_gone():
                self._bury(child)
        self._tend()

    def _bury(self, child: Child) -> None:
        self._all.remove(child)
        self._selector.unregister(child.line)
        child.end()


class Child:
    """One of them, as its parent sees it. `serving`: whom, at first `arrival`. What is sent to `other_end` comes out of `line`.
    It is present itself (see `Present`) while it serves nobody whom we know."""

    def __init__(self, server: Server, arrival: Arrival | None) -> None:
        """Raises OSError."""
        self.line, self.other_end = socket.socketpair()
        self.arrival = arrival
        self.serving: Present | None = arrival
        self._server = server
        self._pid = 0
        self._status: int | None = None
        self._held = b""
        self._leave: Leave | None = None
        self._told = self._killed = False

    def born(self, pid: int) -> None:
        """It is there, and the client whom it serves is no longer ours."""
        self._pid = pid
        self.other_end.close()
        self.line.setblocking(False)
        arrival = self.arrival
        if isinstance(arrival, Talker):
            arrival.sock.close()
            self._server.open.discard(arrival)
            self.serving = Elsewhere(self, self._server, arrival.door, arrival.client, arrival.began, arrival.leave)
            self._server.open.add(self.serving)

    # -- what it is told

    def moved(self) -> tuple[int, int, int]:
        """See `Present.moved`: counted with whom it serves."""
        return 0, 0, 0

    def dismiss(self) -> None:
        """See `Present.dismiss`."""
        self._send(signal.SIGTERM)

    def abort(self) -> None:
        """See `Present.abort`."""
        self._killed = True
        self._send(signal.SIGKILL)

    def sweep(self, now: float) -> None:
        """See `Present.sweep`."""
        if self._server.draining and not self._told:
            self._told = True
            self._send(signal.SIGUSR2)

    def _send(self, number: signal.Signals) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    # -- what it says

    def hear(self) -> bool:
        """All that was said; whether nothing more will be."""
        while True:
            try:
                data = self.line.recv(READ)
            except BlockingIOError:
                return False
            except ConnectionError:
                return True
            if not data:
                return True
            *lines, self._held = (self._held + data).split(b"\n")
            for line in lines:
                self._understand(*json.loads(line))

    def _understand(self, word: str, *said: Any) -> None:
        server = self._server
        match word:
            case "enter":
                self._answer(said[0])
            case "opened":
                door, address, began = said
                self.serving = connection = Elsewhere(self, server, server.doors[door], (address[0], address[1]), began)
                server.began(connection, self._leave)
                self._leave = None
            case "moved":
                self._count(*said)
            case "ended":
                *moved, why = said
                self._count(*moved)
                self._ended(None if why is None else _REASONS[why])
            case "refused":
                server.refuse(_REASONS[said[0]])

    def _answer(self, client: str) -> None:
        """Whether one may come in whom it has accepted."""
        assert self._server.doorkeeper is not None, "or it would not ask"
        found = self._server.doorkeeper.enter(client)
        if isinstance(found, Reason):
            self.line.send((found.index + 1).to_bytes(2, "big"))
        else:
            self._leave = found
            self.line.send(bytes(2))

    def _count(self, received: int, sent: int, requests: int) -> None:
        serving = self.serving
        if isinstance(serving, Connection):
            serving.received += received
            serving.sent += sent
            serving.requests += requests
        else:
            self._server.ledger.moved(received, sent, requests)

    def _ended(self, why: Reason | None) -> None:
        """It serves nobody, but is there until it has ended, too, or serves somebody else."""
        serving, self.serving = self.serving, None
        self._server.open.add(self)
        if isinstance(serving, Connection):
            self._server.ended(serving, why)

    # -- its end

    def has_gone(self) -> bool:
        """Whether the process has ended."""
        if self._status is None:
            self._wait(os.WNOHANG)
        return self._status is not None

    def _wait(self, options: int) -> None:
        try:
            pid, status = os.waitpid(self._pid, options)
        except ChildProcessError:  # in the middle of this, a signal came whose handler has asked, too
            self._status = self._status or 0
        else:
            if pid:
                self._status = os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """There is nothing of it any more. Who has let go of the line has ended, or has to."""
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            self._wait(0)
        self.hear()
        self.line.close()
        if not self._killed and self._status:
            log.error("a process that served %s has ended: %s", self._server.handler.name, _how(self._status))
        if isinstance(self.serving, Connection):
            self._ended(None if self._killed else HANDLER_FAILED)
        elif self.serving is not None:
            self._server.open.discard(self.serving)
        if self._leave is not None:
            self._leave()
        self._server.open.discard(self)


class Elsewhere(Connection):
    """A connection whose client is served by a child."""

    __slots__ = ("_child",)

    def __init__(
        self, child: Child, server: Server, door: Door, client: Address, began: float, leave: Leave | None = None
    ) -> None:
        super().__init__(server, door, child.line, client)
        self.began = began
        self.leave = leave
        self._child = child

    def dismiss(self) -> None:
        """See `Present.dismiss`."""
        self._child.dismiss()

    def abort(self) -> None:
        """See `Present.abort`."""
        self._child.abort()


class Parent:
    """What a child knows of its parent: a ledger and a doorkeeper (see server.py), whom it reaches by the line; and it hears
    (see `blocking.Caller`) when there is no parent any more."""

    def __init__(self, line: socket.socket, server: Server) -> None:
        self._line = line
        self._server = server
        self._doorkeeper = server.doorkeeper
        self._moved = (0, 0, 0)

    def fileno(self) -> int:
        """See `Caller`."""
        return self._line.fileno()

    def hear(self) -> None:
        """See `Caller`: there is nothing to hear but the end."""
        self._server.dismiss()

    def farewell(self) -> None:
        """Say what was not said yet."""
        self.look(0.0)
        _flush()

    def _say(self, word: str, *what: Any) -> None:
        try:
            self._line.sendall(json.dumps((word, *what)).encode() + b"\n")
        except OSError:  # it is gone, and nobody counts
            pass

    # -- as a doorkeeper

    def refuses(self, client: str) -> Reason | None:
        """See `Doorkeeper.refuses`."""
        return None if self._doorkeeper is None else self._doorkeeper.refuses(client)

    def enter(self, client: str) -> Reason | None:
        """See `Doorkeeper.enter`."""
        self._say("enter", client)
        said = self._line.recv(2)
        if not said:
            return SHUTTING_DOWN
        place = int.from_bytes(said, "big")
        return _REASONS[place - 1] if place else None

    # -- as a ledger

    def opened(self) -> None:
        """See `Ledger.opened`."""
        for present in self._server.open:  # one at a time
            if isinstance(present, Connection):
                self._say("opened", self._server.doors.index(present.door), present.client, present.began)

    def moved(self, received: int, sent: int, requests: int) -> None:
        """See `Ledger.moved`."""
        before = self._moved
        self._moved = (before[0] + received, before[1] + sent, before[2] + requests)

    def ended(self, ended: Ended) -> None:
        """See `Ledger.ended`."""
        self.moved(*ended.moved)
        self._say("ended", *self._moved, None if ended.why is None else ended.why.index)
        self._moved = (0, 0, 0)

    def refused(self, why: Reason) -> None:
        """See `Ledger.refused`."""
        self._say("refused", why.index)

    def look(self, now: float) -> None:
        """See `Ledger.look`."""
        if any(self._moved):
            self._say("moved", *self._moved)
            self._moved = (0, 0, 0)


def _refuse(arrival: Arrival | None, error: OSError) -> None:
    log.warning("cannot fork: %s", error.strerror)
    if arrival is not None:
        arrival.refuse()


def _how(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.strsignal(-status) or f"signal {-status}"


def _flush() -> None:
    """Nobody else would, where processes end without a word."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
