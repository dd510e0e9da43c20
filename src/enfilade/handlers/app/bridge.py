"""At the edge, in front of an application in a process of its own: its WebSockets. The client's side is here (handshake, frames,
pings), the application's side there (`websocket.py` with plain frames); between them go whole messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import Pipe, Response, Tunnel
from enfilade.handlers.app.answer import log
from enfilade.handlers.app.message_pipe import CLOSED, OPEN, PING_INTERVAL, Frames, MessagePipe
from enfilade.handlers.app.websocket import WIRE_FIELDS, Handshake, accepting, refusing
from enfilade.http.reasons import Reason
from enfilade.http.request import Request


class WebSocketBridge:
    """Answers like `forward`, which has the application's process answer; where that accepts a WebSocket, its Tunnel to the
    process becomes one to the client.

    `negotiate` looks at the handshake (`enfilade.wire.websocket.handshake.Negotiator`): what it refuses never reaches `forward`.
    `plain` makes the engine towards the process (`enfilade.wire.websocket.plain.PlainFrames`), with the same limit of messages
    as there.
    """

    __slots__ = ("_forward", "_negotiate", "_ping_interval", "_plain")

    def __init__(
        self,
        forward: Handler,
        negotiate: Callable[[Request], Handshake | Reason],
        plain: Callable[[], Frames],
        ping_interval: float = PING_INTERVAL,
    ) -> None:
        self._forward = forward
        self._negotiate = negotiate
        self._plain = plain
        self._ping_interval = ping_interval

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        if x.request.protocol != "websocket":
            return self._forward(x)
        handshake = self._negotiate(x.request)
        if isinstance(handshake, Reason):
            return refusing(handshake)
        answer = self._forward(x)
        return self._bridge(x, handshake, answer) if isinstance(answer, Response) else self._wait(x, handshake, answer)

    async def _wait(self, x: Exchange, handshake: Handshake, answer: Awaitable[Response]) -> Response:
        return self._bridge(x, handshake, await answer)

    def _bridge(self, x: Exchange, handshake: Handshake, answer: Response) -> Response:
        return bridge(x, handshake, answer, self._plain(), self._ping_interval)


def bridge(
    x: Exchange, handshake: Handshake, answer: Response, plain: Frames, ping_interval: float = PING_INTERVAL
) -> Response:
    """What the client is answered where the application's process answers `answer`: the same, unless that accepts the WebSocket.
    See WebSocketBridge for `plain`."""
    if not isinstance(answer.body, Tunnel):
        return answer
    pipe = Bridge(x, MessagePipe(handshake.frames(), ping_interval), MessagePipe(plain, 0), answer.body.pipe)
    # The process is not trusted with what the client reads as facts about the tunnel.
    fields = answer.fields.without(*WIRE_FIELDS).adding(*handshake.fields.pairs)
    subprotocol = answer.fields.get(b"sec-websocket-protocol")
    if subprotocol is not None and subprotocol.decode("latin-1") in handshake.subprotocols:
        fields = fields.adding((b"sec-websocket-protocol", subprotocol))
    return accepting(x, fields, pipe)


class Bridge:
    """Passes messages on between `client` and the application, both ways, each as fast as the other end takes them.

    The client's connection opens it (`exchange.response.Pipe`); `link` is the Pipe of the Tunnel to the application's process,
    which it opens in turn.
    """

    __slots__ = ("_application", "_client", "_link", "_x")

    def __init__(self, x: Exchange, client: MessagePipe, application: MessagePipe, link: Pipe) -> None:
        self._x = x
        self._client = client
        self._application = application
        self._link = link

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        _Way(self._x, self._client, self._application)
        _Way(self._x, self._application, self._client)
        to_link, from_link = Stream(), Stream()
        self._application.opened(from_link, to_link)
        self._link.opened(to_link, from_link)
        self._client.opened(inbound, outbound)

    def leave(self) -> None:
        self._client.leave()


class _Way:
    """One of the two ways: what `source` has goes to `sink`, its close last."""

    __slots__ = ("_sink", "_source", "_waits", "_x")

    def __init__(self, x: Exchange, source: MessagePipe, sink: MessagePipe) -> None:
        self._x = x
        self._source = source
        self._sink = sink
        self._waits = False
        source.on_change = self._changed

    def _changed(self) -> None:
        source = self._source
        if source.state == CLOSED and source.failure is not None:
            log.info("WebSocket %s: %s", self._x.request.target, source.failure.name)
        self._pump()

    def _pump(self) -> None:
        source, sink = self._source, self._sink
        while not self._waits and sink.state == OPEN and (message := source.take()) is not None:
            try:
                wait = sink.send(message)
            except ValueError:  # longer than the process takes, or our engines disagree about what a text is
                sink.close(1011, "")
                return
            if wait is not None:
                self._waits = True
                asyncio.ensure_future(wait).add_done_callback(self._go_on)
        if not self._waits and source.state != OPEN and sink.state == OPEN:
            try:
                sink.close(source.code, source.reason)
            except ValueError:  # the process is gone: no client can be told so in its words
                sink.close(1011, "")

    def _go_on(self, taken: asyncio.Future[None]) -> None:
        self._waits = False
        self._pump()
