"""ASGI over WebSocket: a session that is a Cycle towards its application, and a MessagePipe towards the connection.

    WAITING --accept--> ACCEPTED: the rest is the MessagePipe's
       |--close (403), or a denial response, which is an Answer like any other

The wire's part is handed in by whoever assembles the server: see `Handshake`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Pipe, Response, Tunnel
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
from enfilade.handlers.app.message_pipe import CLOSED, OPEN, PING_INTERVAL, Frames, MessagePipe, can_be_sent
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.forwarded import told_fields
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request

ACCEPTED = 10

_REFUSED = reason("websocket_refused")
_VERSION_13 = Fields([(b"sec-websocket-version", b"13")])
# The client reads these as facts about the tunnel, so the application has no say in them.
WIRE_FIELDS = (b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"sec-websocket-key",
               b"content-length")  # fmt: skip


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
            return refusing(handshake)
        session = Session(x, handshake, self.ping_interval)
        return asgi.run(session, websocket_scope(x, asgi.state, handshake.subprotocols))


class Session(Cycle):
    """One WebSocket as its application sees it."""

    __slots__ = ("_handshake", "_pipe", "_told")

    def __init__(self, x: Exchange, handshake: Handshake, ping_interval: float) -> None:
        Cycle.__init__(self, x)
        self._handshake = handshake
        self._pipe = MessagePipe(handshake.frames(), ping_interval)
        self._pipe.on_change = self._changed
        self._told = False

    # -- what the application receives

    def next_message(self) -> Message | None:
        if not self._body_read:
            self._body_read = True
            return {"type": "websocket.connect"}
        pipe = self._pipe
        message = pipe.take()
        if message is not None:
            return {"type": "websocket.receive", "text" if type(message) is str else "bytes": message}
        if pipe.state != OPEN or self.state in (COMPLETE, GONE):
            self._told = True
            return {"type": "websocket.disconnect", "code": pipe.code, "reason": pipe.reason}
        return None

    # -- what it sends

    def accept(self, message: Message) -> None:
        if self.state != WAITING:
            raise self.unexpected(message)
        try:
            fields = self._accept_fields(message)
        except BadAnswer as error:
            raise self.broken(error) from None
        self.state = ACCEPTED
        self._deliver(accepting(self.x, fields, self._pipe))

    def send_message(self, message: Message) -> Awaitable[None] | None:
        if self.state != ACCEPTED or self._pipe.state != OPEN:
            raise self.unexpected(message)
        text, data = message.get("text"), message.get("bytes")
        try:
            if isinstance(text, str):
                return self._pipe.send(text)
            if isinstance(data, (bytes, bytearray, memoryview)):
                return self._pipe.send(bytes(data))
        except ValueError as error:
            raise self.broken(BadAnswer(str(error))) from None
        raise self.broken(BadAnswer("'websocket.send' needs 'text' (str) or 'bytes'"))

    def close(self, message: Message) -> None:
        if self.state == WAITING:
            self.state = COMPLETE
            self._deliver(Response(403, NO_FIELDS, b"", _REFUSED))
            return
        if self.state != ACCEPTED or self._pipe.state != OPEN:
            raise self.unexpected(message)
        code, why = message.get("code") or 1000, message.get("reason") or ""
        if not can_be_sent(code, why):
            raise self.broken(BadAnswer(f"a WebSocket cannot be closed with {code!r}, {why!r}"))
        self._pipe.close(code, why)

    steps = {
        "websocket.accept": accept,
        "websocket.send": send_message,
        "websocket.close": close,
        # a denial response: an ordinary Answer in place of the acceptance
        "websocket.http.response.start": Answer.start,
        "websocket.http.response.body": Answer.body,
    }

    def unexpected(self, message: Message) -> Exception:
        if self.state != ACCEPTED:
            return Answer.unexpected(self, message)
        if self._pipe.state == CLOSED:
            return ClientDisconnected("the WebSocket is closed")
        return self.broken(
            BadAnswer(f"{message['type']!r} came after the {'accept' if self._pipe.state == OPEN else 'close'}")
        )

    def broken(self, error: BadAnswer) -> BadAnswer:
        error = Answer.broken(self, error)
        self._close(1011)
        return error

    # -- what becomes of it

    def ended(self, raised: BaseException | None) -> None:
        if self.state != ACCEPTED:
            if raised is None and self.state == GONE:
                return
            Answer.ended(self, raised)
        elif self._pipe.state == OPEN:
            if raised is not None:
                self._log("raised in the WebSocket of", raised)
            self._close(1000 if raised is None else 1011)
        elif raised is not None:  # what frameworks raise where nobody catches the disconnect
            log.debug("application raised after the WebSocket was closed", exc_info=raised)

    def aborted(self, why: Reason) -> None:
        if self.state == ACCEPTED:
            self._pipe.lost()
        else:
            Cycle.aborted(self, why)

    def _close(self, code: int) -> None:
        if self.state == ACCEPTED and self._pipe.state == OPEN:
            self._pipe.close(code, "")

    def _changed(self) -> None:
        if self._pipe.state == CLOSED:
            if self._pipe.failure is not None:
                log.info("WebSocket %s: %s", self.x.request.target, self._pipe.failure.name)
            asyncio.get_running_loop().call_later(DISCONNECT_GRACE, self._cancel_untold)
        self.notify()

    def _cancel_untold(self) -> None:
        """An application that does not listen is cancelled after some grace; one that was told ends in its own way."""
        if not self._told and self.task is not None:
            self.task.cancel()

    def _accept_fields(self, message: Message) -> Fields:
        fields = (
            asgi_head(message.get("headers", ())).fields.without(*WIRE_FIELDS).adding(*self._handshake.fields.pairs)
        )
        subprotocol = message.get("subprotocol")
        if subprotocol is None:
            return fields
        if subprotocol not in self._handshake.subprotocols:  # RFC 6455 section 4.2.2: one that the client offers
            raise BadAnswer(f"the client does not offer the subprotocol {subprotocol!r}")
        return fields.adding(*checked([(b"sec-websocket-protocol", subprotocol.encode())]).fields.pairs)


def refusing(why: Reason) -> Response:
    """The answer to a handshake that is none."""
    return Response(why.status, _VERSION_13 if why.status == 426 else NO_FIELDS, b"", why)


def accepting(x: Exchange, fields: Fields, pipe: Pipe) -> Response:
    """The answer that accepts a WebSocket (RFC 6455 section 4.2.2, over HTTP/2 RFC 8441 section 5)."""
    return Response(200 if x.request.version == "2" else 101, fields, Tunnel(pipe))


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
        "headers": list(told_fields(request.fields, ends).pairs),
        "client": ends.client
        if ends.client[1] is not None and ends.client[0] == ends.client_ip
        else named_client(ends),
        "server": ends.server,
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope
