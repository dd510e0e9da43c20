"""The worker's line to its supervisor: a socket pair, one byte a message each way.

The supervisor says drain, stop now, reopen logs; the end of the stream means that it is gone, which is a drain too, and whoever
is not done in time ends by the same signal as if the supervisor were there to send it.
The worker says what it starts, that it is ready, and that it drains if somebody else told it to; for its admin listener it
asks for a reload or a stop (it may run as another user, who can send the supervisor no signal). Before it is ready it may also
say why it cannot be.

Signals in a worker: SIGTERM drains, SIGQUIT stops now, SIGUSR1 reopens the logs. SIGINT and SIGHUP are ignored: a terminal sends
them to the whole group, and the supervisor says what follows from them.

A worker listens on its event loop; one that has none, and waits in system calls, is interrupted by signals alone: the kernel
sends it SIGIO when the supervisor has said something. So it does where there is a loop, which may be held up: then the end of the
supervisor is all that is looked for.
"""

from __future__ import annotations

import _thread
import asyncio
import fcntl
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from enfilade.process.lifecycle import GRACE
from enfilade.process.links import Links

Callback = Callable[[], None]
MAX_REASON = 8192
"""Bytes of a failed worker's explanation: more than a socket pair's buffer would block the dying worker."""


class Order(Enum):
    """What the supervisor says. DRAIN: others take over. STOP: a drain that closes idle connections at once, as nobody takes
    over, or nobody may see old code any more."""

    DRAIN = b"d"
    STOP = b"e"
    STOP_NOW = b"s"
    REOPEN_LOGS = b"l"


class Wish(Enum):
    """What the worker asks its supervisor for."""

    RELOAD = b"h"
    STOP = b"t"


ORDERS = {signal.SIGTERM: Order.DRAIN, signal.SIGQUIT: Order.STOP_NOW, signal.SIGUSR1: Order.REOPEN_LOGS}
"""The same by signals, from anybody."""

READY = b"r"
STEP, STEPS = 0x80, 128  # + the index of what it starts now
DRAINING = b"d"
FAILED = b"f"  # followed by the reason, up to the end of the stream


class State(Enum):
    """What a worker does, as the board shows it."""

    NONE = 0
    STARTING = 1
    SERVING = 2
    DRAINING = 3


class Control:
    """Given to `Crew.run`, which calls `attach` or `attach_signals`. Callbacks run in the main thread, at most once each,
    `on_reopen_logs` as often as asked. `stopping`: idle connections need not be spared. `links`: where applications in
    processes of their own are."""

    def __init__(
        self,
        channel: socket.socket,
        links: Links,
        slot: int,
        generation: int,
        drain_timeout: float,
        set_state: Callable[[State], None],
    ) -> None:
        self.links = links
        self.slot = slot
        self.generation = generation
        self.state = State.NONE
        self.stopping = False
        self._drain_timeout = drain_timeout
        self._channel = channel
        self._set_state = set_state
        self._callbacks: dict[Order, Callback] = {}
        self._given: set[Order] = set()
        self._before: dict[signal.Signals, Any] = {}
        self._enter(State.STARTING)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to the supervisor and to signals on `loop`, which must run in the main thread; callbacks run on it."""

        def receive() -> None:
            if not self._receive():
                loop.remove_reader(self._channel.fileno())
                loop.call_later(self._drain_timeout, self._obey, Order.STOP_NOW)

        self._have_told(self._look_for_end)
        self._look_for_end()
        loop.add_reader(self._channel.fileno(), receive)
        for number in ORDERS:
            loop.add_signal_handler(number, self._signalled, number)

    def attach_signals(self) -> None:
        """The same without a loop, for a worker whose main thread waits in system calls. To be called in it.

        Callbacks run as Python's signal handlers: in the main thread, between any two of its instructions, also while it waits;
        what it waited for is waited for again then (PEP 475). One may interrupt another, a line that is being logged, or what
        holds a lock. So they do little, and raise nothing: they note what is wanted, and wake who waits.
        """

        def receive() -> None:
            if not self._receive():
                _later(self._drain_timeout, signal.pthread_kill, threading.get_ident(), signal.SIGQUIT)
                self._look_for_end()

        for number in ORDERS:
            self._before[number] = signal.signal(number, lambda number, _: self._signalled(number))
        self._have_told(receive)
        receive()  # what was said before nobody is told of

    def leave_in_child(self) -> None:
        """In a process that a worker has forked, first of all: it has no supervisor, and signals do what they did before
        `attach_signals`."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._channel.close()
        self.links.close()

    def on_drain(self, callback: Callback) -> None:
        """Stop accepting, finish what is in flight, return from `run`."""
        self._register(Order.DRAIN, callback)

    def on_stop(self, callback: Callback) -> None:
        """`stopping` has begun, with a drain or in the middle of it."""
        self._register(Order.STOP, callback)

    def on_stop_now(self, callback: Callback) -> None:
        """Return from `run` at once."""
        self._register(Order.STOP_NOW, callback)

    def on_reopen_logs(self, callback: Callback) -> None:
        """The log files were moved away: open new ones."""
        self._register(Order.REOPEN_LOGS, callback)

    def starts(self, step: int) -> None:
        """This worker begins with the plan's `steps[step]`."""
        self._send(bytes((STEP + min(step, STEPS - 1),)))

    def ready(self) -> None:
        """This worker accepts connections."""
        if self.state is State.STARTING:
            self._enter(State.SERVING)
        self._send(READY)

    def ask(self, wish: Wish) -> None:
        """Ask the supervisor; what comes of it shows on the board."""
        self._send(wish.value)

    def _register(self, order: Order, callback: Callback) -> None:
        self._callbacks[order] = callback
        if order in self._given:
            self._call(order)

    def _receive(self) -> bool:
        """Do what the supervisor says. False: it is gone, and nobody will write here again."""
        while True:
            try:
                orders = self._channel.recv(64)
            except BlockingIOError:
                return True
            except ConnectionError:
                orders = b""
            if not orders:
                self._obey(Order.STOP)
                return False
            for order in orders:
                self._obey(Order(bytes((order,))))

    def _have_told(self, call: Callback) -> None:
        """From now on, `call` is called, as a signal handler is, when the supervisor has said something, or is gone."""
        fd = self._channel.fileno()
        self._channel.setblocking(False)
        self._before[signal.SIGIO] = signal.signal(signal.SIGIO, lambda *_: call())
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)

    def _look_for_end(self) -> None:
        """Code of the application's may wait for ever, also on a loop, for what no order of ours ends. The supervisor would kill
        us; if it is gone, we do it."""
        line = select.poll()
        line.register(self._channel, 0)
        if line.poll(0):  # hung up
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            _later(self._drain_timeout + GRACE, os.kill, os.getpid(), signal.SIGKILL)

    def _signalled(self, number: int) -> None:
        order = ORDERS[signal.Signals(number)]
        if order is Order.DRAIN and self.state is not State.DRAINING:
            self._send(DRAINING)  # so that the supervisor starts another worker for this slot now
        self._obey(order)

    def _obey(self, order: Order) -> None:
        if order is Order.STOP:
            self.stopping = True
            self._obey(Order.DRAIN)
        if order is not Order.REOPEN_LOGS:
            if order in self._given:
                return
            self._given.add(order)
            self._enter(State.DRAINING)
        self._call(order)

    def _call(self, order: Order) -> None:
        # Taken out, so that a signal that interrupts this very place does not call it again.
        callback = self._callbacks.get(order) if order is Order.REOPEN_LOGS else self._callbacks.pop(order, None)
        if callback is not None:
            callback()

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._set_state(state)

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except OSError:  # the supervisor is gone: the end of the stream says so
            pass


def _later(seconds: float, call: Callable[[int, int], None], *arguments: int) -> None:
    """In a thread of its own, whatever the main thread does meanwhile. A `threading.Timer` would take a lock that whoever was
    interrupted by the signal, of which this is called, may hold."""

    def wait() -> None:
        time.sleep(seconds)
        call(*arguments)

    _thread.start_new_thread(wait, ())
