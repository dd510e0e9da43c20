"""One worker: its handle in the supervisor, and its life in the forked child."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from enfilade.process.board import Column
from enfilade.process.channel import Channel
from enfilade.process.control import DRAINING, FAILED, MAX_REASON, READY, STEP, Control, Order, State, Wish
from enfilade.process.links import Links
from enfilade.process.plan import Crew, Plan, Sockets, StartError
from enfilade.process.privileges import Identity, drop_privileges
from enfilade.process.signals import TAKEN
from enfilade.process.status import StatusRows

log = logging.getLogger("enfilade.process")


class Worker:
    """What the supervisor knows of a live child. Times are monotonic seconds.

    `leaving`: somebody else told it to drain. `dismissed`: we did. `kill_at`: then it must have become ready, or be gone.
    `failure`: why it could not start. `step`: what it starts, and `speak_at`: when to say that it still does. `wishes`: what it
    asked for and nobody has looked at. `links`: where it hears of applications (process/links.py).
    """

    __slots__ = (
        "channel", "column", "crew", "dismissed", "failure", "generation", "kill_at", "leaving", "links", "pid", "ready",
        "slot", "speak_at", "started", "step", "wishes",
    )  # fmt: skip

    def __init__(
        self, pid: int, channel: socket.socket, links: Channel, column: Column, crew: Crew, slot: int, generation: int,
        started: float,
    ) -> None:  # fmt: skip
        self.pid = pid
        self.channel = channel
        self.links = links
        self.column = column
        self.crew = crew
        self.slot = slot
        self.generation = generation
        self.started = started
        self.ready = False
        self.leaving = False
        self.dismissed = False
        self.kill_at: float | None = None
        self.failure = ""
        self.step = ""
        self.speak_at: float | None = None
        self.wishes: list[Wish] = []

    def __str__(self) -> str:
        return self.crew.member(self.pid, self.slot)

    def order(self, order: Order) -> None:
        """Say it over the channel; SIGTERM if there is no ear yet. A worker that cannot hear will be killed."""
        try:
            if self.ready:
                self.channel.send(order.value)
            elif order is not Order.REOPEN_LOGS:
                os.kill(self.pid, signal.SIGTERM)
        except OSError:
            pass

    def tell(self, message: dict[str, Any], fd: int | None = None) -> None:
        """Tell it about an application."""
        try:
            self.links.send(message, fd)
        except BlockingIOError:
            log.error("%s does not listen, and misses %s", self, message)
        except OSError:  # it is gone: its end will be noticed
            pass

    def hear(self) -> bool:
        """Take in what it said; False at the end of the stream."""
        try:
            said = self.channel.recv(MAX_REASON)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        news, _, reason = said.partition(FAILED)
        self.ready |= READY in news
        self.leaving |= DRAINING in news
        self.wishes += [wish for wish in Wish if wish.value in news]
        for code in news:
            if code >= STEP:
                self.step = self.crew.steps[code - STEP]
        self.failure = self.failure or reason.decode(errors="replace")
        return bool(said)


def fork_worker(
    plan: Plan, crew: Crew, sockets: Sockets, column: Column, rows: StatusRows, *, slot: int, generation: int,
    restarts: int, now: float, close: Callable[[], None],
) -> Worker:  # fmt: skip
    """Fork. `close` is called in the child, to close what belongs to the supervisor and to the other workers."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    our_links, their_links = socket.socketpair()
    # No signal may meet the child while it still has the supervisor's handlers and wake-up descriptor.
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            our_links.close()
            _live(plan, crew, sockets, column, rows, slot, generation, restarts, theirs, their_links, close)
    except OSError:
        ours.close()
        our_links.close()
        raise
    finally:
        theirs.close()
        their_links.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TAKEN)
    return Worker(pid, ours, Channel(our_links), column, crew, slot, generation, now)


def _live(
    plan: Plan, crew: Crew, sockets: Sockets, column: Column, rows: StatusRows, slot: int, generation: int,
    restarts: int, channel: socket.socket, links: socket.socket, close: Callable[[], None],
) -> None:  # fmt: skip
    """The whole life of the child; never returns. What the supervisor registered with atexit is not the child's to do."""
    code = 1
    try:
        close()
        atexit._clear()
        atexit.register(logging.shutdown)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TAKEN)
        rows.worker_born(column, crew.name, slot, generation, restarts)
        control = Control(
            channel, Links(Channel(links)), slot, generation, plan.drain_timeout,
            lambda state: rows.worker_state(column, state),
        )  # fmt: skip
        code = _run(plan.identity, crew, sockets, column, control, channel)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _run(
    identity: Identity | None, crew: Crew, sockets: Sockets, column: Column, control: Control, channel: socket.socket
) -> int:
    try:
        if identity is not None:
            drop_privileges(identity)
        crew.run(sockets, column, control)
    except StartError as error:
        return _fail(channel, str(error))
    except SystemExit as error:
        if control.state is State.STARTING:
            return _fail(channel, f"it called sys.exit({error.code!r})")
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        log.exception("%s ends by an exception", crew.member(os.getpid(), control.slot))
        if control.state is State.STARTING:
            _fail(channel, f"{type(error).__name__}: {error}")
        return 1
    return 0


def _fail(channel: socket.socket, reason: str) -> int:
    try:
        channel.setblocking(False)
        channel.send(FAILED + reason.encode(errors="replace")[: MAX_REASON - 1])
    except OSError:
        pass
    return 1
