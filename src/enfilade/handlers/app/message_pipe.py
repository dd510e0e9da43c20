"""A WebSocket as whole messages: what stands between whoever means them and the bytes of a tunnel.

Towards a browser the engine is `enfilade.wire.websocket.frames.Frames`, between our own processes
`enfilade.wire.websocket.plain.PlainFrames`; either is handed in by whoever assembles the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.http.reasons import Reason, reason

QUEUE = 32
"""Messages that wait to be taken, and no more than it takes to have HIGH_WATER characters or bytes in all; what comes then stays
in the connection's buffers."""
PING_INTERVAL = 20.0
"""Seconds between pings (websockets and uvicorn: the same); a peer silent from one to the next is gone."""
CLOSE_TIMEOUT = 10.0
"""Seconds that the peer may take to answer our close."""
SERVICE_RESTART = 1012
"""What a client is told that should connect again (IANA's registry of close codes; uvicorn: the same)."""

OPEN, CLOSING, CLOSED = range(3)

_GONE = reason("client_gone")


class Frames(Protocol):
    """The engine of an open WebSocket. `over`: nothing more will come, `code` and `reason` say how the peer closed; `ended`: we
    have nothing more to say, either; `failure`: why we closed it, where that was the peer's fault."""

    over: bool
    code: int
    reason: str
    failure: Reason | None

    @property
    def ended(self) -> bool: ...
    def feed(self, data: bytes) -> Sequence[str | bytes]: ...
    def text(self, text: str) -> None: ...
    def binary(self, data: bytes) -> None: ...
    def ping(self) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def fail(self, code: int, reason: str) -> None: ...
    def pending(self) -> bytes: ...


class MessagePipe:
    """One end of a WebSocket (`exchange.response.Pipe`).

        OPEN --close, or leave--> CLOSING --the peer's close--> CLOSED
          |--- the peer closes, breaks the protocol, or is lost ---^

    `on_change` is called when there is something to take, and when `state` has become another.
    `ping_interval`: seconds; 0 for a peer that needs none.
    """

    __slots__ = ("_frames", "_heard", "_inbound", "_inbox", "_opened", "_outbound", "_ping_interval", "_size", "_timer",
                 "_waits", "on_change", "state")  # fmt: skip

    def __init__(self, frames: Frames, ping_interval: float) -> None:
        self.state = OPEN
        self.on_change: Callable[[], None] = _nobody
        self._frames = frames
        self._inbox: deque[str | bytes] = deque()
        self._size = 0
        self._inbound: Stream | None = None
        self._outbound: Stream | None = None
        self._opened: asyncio.Future[None] | None = None
        self._ping_interval = ping_interval
        self._timer: asyncio.TimerHandle | None = None
        self._heard = True
        self._waits = False

    # -- messages

    def take(self) -> str | bytes | None:
        """The next message; None if there is none now."""
        if not self._inbox and self._inbound is not None:
            self._read()
        if not self._inbox:
            return None
        message = self._inbox.popleft()
        self._size -= len(message)
        return message

    def send(self, message: str | bytes) -> Awaitable[None] | None:
        """Send a message; only while OPEN. Raises ValueError for one that the engine does not send."""
        if isinstance(message, str):
            self._frames.text(message)
        else:
            self._frames.binary(message)
        return self._flush() if self._outbound is not None else self._open_wait()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; only while OPEN. Raises ValueError where they cannot be sent."""
        self._frames.close(code, reason)
        self.state = CLOSING
        self._frames.code = code
        self._flush()
        if self._frames.over:
            self._end()
        else:
            self._time(CLOSE_TIMEOUT, self.lost)
            self.on_change()

    @property
    def code(self) -> int:
        """How it was closed: 1005 without a code, 1006 not at all."""
        return self._frames.code

    @property
    def reason(self) -> str:
        return self._frames.reason

    @property
    def failure(self) -> Reason | None:
        return self._frames.failure

    # -- towards the connection

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        self._inbound, self._outbound = inbound, outbound
        self._flush()
        self._tell_opened()
        if self.state == CLOSED:  # our close was given up before there was anyone to answer it
            outbound.end()
            inbound.cancel(_GONE)
            return
        if self.state == OPEN and self._ping_interval:
            self._time(self._ping_interval, self._beat)
        inbound.on_data = self._arrived
        self._arrived()

    def leave(self) -> None:
        if self.state == OPEN:
            self.close(SERVICE_RESTART, "")

    def lost(self) -> None:
        """The connection broke, or the peer does not answer."""
        if self.state == CLOSED:
            return
        if self._outbound is not None:
            self._outbound.end()
        self._tell_opened()
        self._end()

    def _arrived(self) -> None:
        self._heard = True
        self._read()
        if self._inbox:
            self.on_change()

    def _read(self) -> None:
        """Take what the connection has, as long as the queue has room and our own answers to it (pongs) are taken, too."""
        inbound, frames = self._inbound, self._frames
        assert inbound is not None
        try:
            while not (self._full or self._waits or self.state == CLOSED):
                data = inbound.take()
                if data is None:
                    break
                messages = frames.feed(data)
                if self.state == OPEN:
                    self._inbox.extend(messages)
                    self._size += sum(map(len, messages))
                wait = self._flush()
                if wait is not None:
                    self._waits = True
                    asyncio.ensure_future(wait).add_done_callback(self._answers_taken)
                if frames.over:
                    self._end()
        except BodyAborted:
            self.lost()

    def _answers_taken(self, _: object) -> None:
        self._waits = False
        self._arrived()

    @property
    def _full(self) -> bool:
        return len(self._inbox) >= QUEUE or self._size >= HIGH_WATER

    def _flush(self) -> Awaitable[None] | None:
        outbound = self._outbound
        if outbound is None:
            return None
        data = self._frames.pending()
        wait = None
        try:
            if len(data) <= HIGH_WATER:
                wait = outbound.write(data) if data else None
            else:  # whoever sends it cuts off what there is room for, again and again
                for at in range(0, len(data), HIGH_WATER):
                    wait = outbound.write(data[at : at + HIGH_WATER])
        except BodyAborted:
            self.lost()
            return None
        if self._frames.ended:
            outbound.end()
        return wait

    def _open_wait(self) -> Awaitable[None]:
        """What was sent before the tunnel is open waits for it, so that no queue grows."""
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._opened)

    def _tell_opened(self) -> None:
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)

    # -- the end, and time

    def _end(self) -> None:
        self.state = CLOSED
        if self._timer is not None:
            self._timer.cancel()
        if self._inbound is not None:
            self._inbound.on_data = None
            self._inbound.cancel(_GONE)
        tell, self.on_change = self.on_change, _nobody  # no cycle with the listener
        tell()

    def _beat(self) -> None:
        if self._heard or self._full:  # what we do not read, we cannot hear
            self._heard = False
            self._frames.ping()
            self._flush()
            if self.state == OPEN:
                self._time(self._ping_interval, self._beat)
        else:
            self._frames.fail(1011, "no answer to a ping")
            self._flush()
            self.lost()

    def _time(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, what)


def can_be_sent(code: object, reason: object) -> bool:
    """Whether a close may carry them: RFC 6455 section 7.4, and the registry of close codes behind it; section 5.5."""
    return (
        isinstance(code, int)
        and (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999)
        and isinstance(reason, str)
        and len(reason.encode(errors="replace")) <= 123
    )


def _nobody() -> None:
    """Nobody listens yet, or any more."""
