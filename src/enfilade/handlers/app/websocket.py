"""ASGI over WebSocket: a session that is a Cycle towards its application, and a Pipe towards the connection.

    WAITING --accept--> OPEN --close, or the application returns--> CLOSING --the client's close--> CLOSED
       |                  |--- the client closes, breaks the protocol, or is lost ------------------^
       |--close (403), or a denial response, which is an Answer like any other

The wire's part is handed in by whoever assembles the server: see `Handshake` and `Frames`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response, Tunnel
from enfilade.handlers.app.answer import COMPLETE, GONE, WAITING, Answer, ClientDisconnected, Message, log
from enfilade.handlers.app.asgi import (
    ASGI_VERSION,
    DISCONNECT_GRACE,
    AsgiHandler,
    Cycle,
    Scope,
    full_path,
    named_client,
)
from enfilade.handlers.app.heads import BadAnswer, asgi_head, checked
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request

OPEN, CLOSING, CLOSED = 10, 11, 12

QUEUE = 32
"""Messages that wait for the application to receive them; what comes then stays in the connection's buffers."""
PING_INTERVAL = 20.0
"""Seconds between pings (websockets and uvicorn: the same); a peer silent from one to the next is gone."""
CLOSE_TIMEOUT = 10.0
"""Seconds that the client may take to answer our close."""
SERVICE_RESTART = 1012
"""What a client is told that should connect again (IANA's registry of close codes; uvicorn: the same)."""

_REFUSED = reason("websocket_refused")
_GONE = reason("client_gone")
_VERSION_13 = Fields([(b"sec-websocket-version", b"13")])
# The client reads these as facts about the tunnel, so the application has no say in them.
_WIRE_FIELDS = (b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"sec-websocket-key",
                b"content-length")  # fmt: skip


class Frames(Protocol):
    """The engine of an open WebSocket: `enfilade.wire.websocket.frames.Frames`."""

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


class Handshake(Protocol):
    """A handshake that can be accepted: `enfilade.wire.websocket.handshake.Handshake`."""

    @property
    def fields(self) -> Fields: ...
    @property
    def subprotocols(self) -> Sequence[str]: ...
    @property
    def frames(self) -> Callable[[], Frames]: ...


class WebSockets:
    """Answers the requests for a WebSocket with sessions of the application. `negotiate` looks at the handshake
    (`enfilade.wire.websocket.handshake.Negotiator`): a Reason refuses it."""

    __slots__ = ("negotiate", "ping_interval")

    def __init__(
        self, negotiate: Callable[[Request], Handshake | Reason], ping_interval: float = PING_INTERVAL
    ) -> None:
        self.negotiate = negotiate
        self.ping_interval = ping_interval

    def __call__(self, asgi: AsgiHandler, x: Exchange) -> Response | Awaitable[Response]:
        handshake = self.negotiate(x.request)
        if isinstance(handshake, Reason):
            fields = _VERSION_13 if handshake.status == 426 else NO_FIELDS
            return Response(handshake.status, fields, b"", handshake)
        session = Session(x, handshake, self.ping_interval)
        return asgi.run(session, websocket_scope(x, asgi.state, handshake.subprotocols))


class Session(Cycle):
    """One WebSocket as its application sees it, and as the connection does (`exchange.response.Pipe`)."""

    __slots__ = ("_accepted", "_frames", "_handshake", "_heard", "_inbound", "_inbox", "_opened", "_outbound",
                 "_ping_interval", "_timer", "_told")  # fmt: skip

    def __init__(self, x: Exchange, handshake: Handshake, ping_interval: float) -> None:
        Cycle.__init__(self, x)
        self._handshake = handshake
        self._frames = handshake.frames()
        self._inbox: deque[str | bytes] = deque()
        self._inbound: Stream | None = None
        self._outbound: Stream | None = None
        self._opened: asyncio.Future[None] | None = None
        self._ping_interval = ping_interval
        self._timer: asyncio.TimerHandle | None = None
        self._heard = True
        self._accepted = False
        self._told = False

    # -- towards the application

    def next_message(self) -> Message | None:
        if not self._body_read:
            self._body_read = True
            return {"type": "websocket.connect"}
        if not self._inbox and self._inbound is not None:
            self._read()
        if self._inbox:
            message = self._inbox.popleft()
            return {"type": "websocket.receive", "text" if type(message) is str else "bytes": message}
        if self.state in (CLOSED, CLOSING, COMPLETE, GONE):
            self._told = True
            return {"type": "websocket.disconnect", "code": self._frames.code, "reason": self._frames.reason}
        return None

    def accept(self, message: Message) -> None:
        if self.state != WAITING:
            raise self.unexpected(message)
        try:
            fields = self._accept_fields(message)
        except BadAnswer as error:
            raise self.broken(error) from None
        self._accepted = True
        self.state = OPEN
        self._deliver(Response(200 if self.x.request.version == "2" else 101, fields, Tunnel(self)))

    def send_message(self, message: Message) -> Awaitable[None] | None:
        if self.state != OPEN:
            raise self.unexpected(message)
        text, data = message.get("text"), message.get("bytes")
        if isinstance(text, str):
            self._frames.text(text)
        elif isinstance(data, (bytes, bytearray, memoryview)):
            self._frames.binary(bytes(data))
        else:
            raise self.broken(BadAnswer("'websocket.send' needs 'text' (str) or 'bytes'"))
        return self._flush() if self._outbound is not None else self._open_wait()

    def close(self, message: Message) -> Awaitable[None] | None:
        if self.state == WAITING:
            self.state = COMPLETE
            self._deliver(Response(403, NO_FIELDS, b"", _REFUSED))
            return None
        if self.state != OPEN:
            raise self.unexpected(message)
        try:
            self._close(message.get("code") or 1000, message.get("reason") or "")
        except ValueError as error:
            raise self.broken(BadAnswer(str(error))) from None
        return None

    steps = {
        "websocket.accept": accept,
        "websocket.send": send_message,
        "websocket.close": close,
        # a denial response: an ordinary Answer in place of the acceptance
        "websocket.http.response.start": Answer.start,
        "websocket.http.response.body": Answer.body,
    }

    def unexpected(self, message: Message) -> Exception:
        if self.state == CLOSED:
            return ClientDisconnected("the WebSocket is closed")
        if self.state in (OPEN, CLOSING):
            return self.broken(
                BadAnswer(f"{message['type']!r} came after the {'close' if self.state > OPEN else 'accept'}")
            )
        return Answer.unexpected(self, message)

    def broken(self, error: BadAnswer) -> BadAnswer:
        error = Answer.broken(self, error)
        if self.state == OPEN:
            self._close(1011, "")
        return error

    def ended(self, raised: BaseException | None) -> None:
        if not self._accepted:
            if raised is None and self.state == GONE:
                return
            Answer.ended(self, raised)
        elif self.state == OPEN:
            if raised is not None:
                self._log("raised in the WebSocket of", raised)
            self._close(1000 if raised is None else 1011, "")
        elif raised is not None:  # what frameworks raise where nobody catches the disconnect
            log.debug("application raised after the WebSocket was closed", exc_info=raised)

    # -- towards the connection

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        self._inbound, self._outbound = inbound, outbound
        self._flush()
        if self._opened is not None:
            self._opened.set_result(None)
        if self.state == CLOSED:  # the application's close was given up before there was anyone to answer it
            outbound.end()
            inbound.cancel(_GONE)
            return
        if self.state == OPEN:
            self._timer = asyncio.get_running_loop().call_later(self._ping_interval, self._beat)
        inbound.on_data = self._arrived
        self._arrived()

    def leave(self) -> None:
        if self.state == OPEN:
            self._close(SERVICE_RESTART, "")

    def aborted(self, why: Reason) -> None:
        if self._accepted:
            self._lost()
        else:
            Cycle.aborted(self, why)

    def _arrived(self) -> None:
        self._heard = True
        if len(self._inbox) < QUEUE:
            self._read()
        if self._inbox or self.state == CLOSED:
            self.notify()

    def _read(self) -> None:
        """Take what the connection has, as long as the queue has room and our own answers to it (pongs) are taken, too."""
        inbound, outbound, frames = self._inbound, self._outbound, self._frames
        assert inbound is not None and outbound is not None
        try:
            while len(self._inbox) < QUEUE and outbound.size < outbound.limit and self.state in (OPEN, CLOSING):
                data = inbound.take()
                if data is None:
                    break
                messages = frames.feed(data)
                if self.state == OPEN:
                    self._inbox.extend(messages)
                wait = self._flush()
                if wait is not None:
                    asyncio.ensure_future(wait).add_done_callback(lambda _: self._arrived())
                if frames.over:
                    self._over()
        except BodyAborted:
            self._lost()

    def _flush(self) -> Awaitable[None] | None:
        outbound = self._outbound
        if outbound is None:
            return None
        data = self._frames.pending()
        try:
            wait = outbound.write(data) if data else None
        except BodyAborted:
            self._lost()
            return None
        if self._frames.ended:
            outbound.end()
        return wait

    def _open_wait(self) -> Awaitable[None]:
        """What was sent before the tunnel is open waits for it, so that no queue grows."""
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        return asyncio.shield(self._opened)

    # -- the end

    def _close(self, code: int, why: str) -> None:
        self._frames.close(code, why)
        self.state = CLOSING
        self._frames.code = code
        self._flush()
        self._time(CLOSE_TIMEOUT, self._lost)
        self.notify()

    def _over(self) -> None:
        """The client closed, or was told that it broke the protocol."""
        if self._frames.failure is not None:
            log.info("WebSocket %s: %s", self.x.request.target, self._frames.failure.name)
        self._end()

    def _lost(self) -> None:
        """The connection broke, or the client does not answer."""
        if self.state == CLOSED:
            return
        if self._outbound is not None:
            self._outbound.end()
        if self._opened is not None and not self._opened.done():
            self._opened.set_result(None)
        self._end()

    def _end(self) -> None:
        """An application that does not listen is cancelled after some grace; one that was told ends in its own way."""
        self.state = CLOSED
        if self._inbound is not None:
            self._inbound.on_data = None
            self._inbound.cancel(_GONE)
        self._time(DISCONNECT_GRACE, self._cancel_untold)
        self.notify()

    def _cancel_untold(self) -> None:
        if not self._told and self.task is not None:
            self.task.cancel()

    def _beat(self) -> None:
        if self._heard or len(self._inbox) >= QUEUE:  # what we do not read, we cannot hear
            self._heard = False
            self._frames.ping()
            self._flush()
            self._time(self._ping_interval, self._beat)
        else:
            self._frames.fail(1011, "no answer to a ping")
            self._flush()
            self._lost()

    def _time(self, seconds: float, what: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, what)

    def _accept_fields(self, message: Message) -> Fields:
        fields = (
            asgi_head(message.get("headers", ())).fields.without(*_WIRE_FIELDS).adding(*self._handshake.fields.pairs)
        )
        subprotocol = message.get("subprotocol")
        if subprotocol is None:
            return fields
        if subprotocol not in self._handshake.subprotocols:  # RFC 6455 section 4.2.2: one that the client offers
            raise BadAnswer(f"the client does not offer the subprotocol {subprotocol!r}")
        return fields.adding(*checked([(b"sec-websocket-protocol", subprotocol.encode())]).fields.pairs)


def websocket_scope(x: Exchange, state: dict[str, Any] | None, subprotocols: Sequence[str]) -> Scope:
    """The connection scope of one WebSocket."""
    request, ends = x.request, x.ends
    path, raw_path = full_path(request, x.match.mount)
    scope: Scope = {
        "type": "websocket",
        "asgi": ASGI_VERSION,
        "http_version": request.version,
        "scheme": "wss" if request.scheme == "https" else "ws",
        "path": path,
        "raw_path": raw_path,
        "query_string": request.query,
        "root_path": x.match.mount,
        "headers": list(request.fields.pairs),
        "client": ends.client
        if ends.client[1] is not None and ends.client[0] is ends.client_ip
        else named_client(ends),
        "server": ends.server,
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope
