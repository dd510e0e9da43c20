"""The worker's line to its supervisor: a socket pair, one byte a message each way.

The supervisor says drain, stop now, reopen logs; the end of the stream means that it is gone, which is a drain too.
The worker says what it starts, that it is ready, and that it drains if somebody else told it to; for its admin listener it
asks for a reload or a stop (it may run as another user, who can send the supervisor no signal). Before it is ready it may also
say why it cannot be.

Signals in a worker: SIGTERM drains, SIGQUIT stops now, SIGUSR1 reopens the logs. SIGINT and SIGHUP are ignored: a terminal sends
them to the whole group, and the supervisor says what follows from them.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from enum import Enum

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
    """Given to `Plan.run`. Callbacks run on the worker's event loop, at most once each, `on_reopen_logs` as often as asked.
    `stopping`: idle connections need not be spared. `links`: where applications in processes of their own are."""

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
        self.state = State.STARTING
        self.stopping = False
        self._drain_timeout = drain_timeout
        self._channel = channel
        self._set_state = set_state
        self._callbacks: dict[Order, Callback] = {}
        self._given: set[Order] = set()
        self._enter(State.STARTING)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to the supervisor and to signals on `loop`, which must run in the main thread."""
        self._channel.setblocking(False)
        loop.add_reader(self._channel.fileno(), self._receive, loop)
        loop.add_signal_handler(signal.SIGTERM, self._drain_by_signal)
        loop.add_signal_handler(signal.SIGQUIT, self._obey, Order.STOP_NOW)
        loop.add_signal_handler(signal.SIGUSR1, self._obey, Order.REOPEN_LOGS)

    def on_drain(self, callback: Callback) -> None:
        """Stop accepting, finish what is in flight, return from `run`."""
        self._register(Order.DRAIN, callback)

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
            callback()

    def _receive(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            orders = self._channel.recv(64)
        except BlockingIOError:
            return
        except ConnectionError:
            orders = b""
        if not orders:  # the supervisor is gone; nobody will ever write here again
            loop.remove_reader(self._channel.fileno())
            self._obey(Order.STOP)
            loop.call_later(self._drain_timeout, self._obey, Order.STOP_NOW)  # nor kill us for taking too long
        for order in orders:
            self._obey(Order(bytes((order,))))

    def _drain_by_signal(self) -> None:
        if self.state is not State.DRAINING:
            self._send(DRAINING)  # so that the supervisor starts another worker for this slot now
        self._obey(Order.DRAIN)

    def _obey(self, order: Order) -> None:
        if order is Order.STOP:
            self.stopping = True
            order = Order.DRAIN
        if order is not Order.REOPEN_LOGS:
            if order in self._given:
                return
            self._given.add(order)
            self._enter(State.DRAINING)
        callback = self._callbacks.get(order)
        if callback is not None:
            callback()

    def _enter(self, state: State) -> None:
        self.state = state
        self._set_state(state)

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except OSError:  # the supervisor is gone: the end of the stream says so
            pass
