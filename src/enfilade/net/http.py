"""The shell around one HTTP engine: its events become exchanges for the handlers, and their answers go back through it.

Nothing about HTTP is decided here, and nothing about sockets: those are the business of engines and of `Connection`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.errors import failure_response
from enfilade.exchange.exchange import Exchange, Outcome
from enfilade.exchange.pending import wait
from enfilade.exchange.response import FileSlice, Response, Tunnel, let_go
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.net.connection import Connection
from enfilade.net.senders import FileSender, Sender, StreamSender
from enfilade.net.service import Service
from enfilade.observe.metrics import PROTOCOLS
from enfilade.wire.codec import LocalError, ServerCodec
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Event,
    MessageEnded,
    Rejected,
    RequestReceived,
    StreamClosed,
    WindowOpened,
)

CLIENT_GONE = reason("client_gone")
INTERNAL = reason("internal")
REQUEST_TIMEOUT = reason("request_timeout")
PREFACE = b"PRI "
FORGET_AFTER = 5.0
"""Seconds without a byte, after which a connection gives back the memory of its last request."""

_NOBODY = empty_body()
_WEBSOCKET = PROTOCOLS.index("websocket")


class Delivery:
    """An exchange that was not answered within the call: its request body still comes, or its answer still flows."""

    __slots__ = ("inbound", "sender", "sent", "tunnel", "x")

    def __init__(self, x: Exchange, inbound: Stream | None) -> None:
        self.x = x
        self.inbound = inbound
        self.sender: Sender | None = None
        self.sent = False
        self.tunnel: Tunnel | None = None


class HttpConnection(Connection):
    """One connection of a client, HTTP/1.1 or HTTP/2. `_proxies`: as `Service` says, if this client is one of them."""

    __slots__ = ("_begun", "_proxies")

    codec: ServerCodec
    open: dict[int, Delivery]
    service: Service

    # -- what comes in

    def make_codec(self, now: float) -> ServerCodec:
        self._begun = b"" if self.service.h2c else None
        proxies = self.service.proxies
        self._proxies = proxies if proxies is not None and self.ends in proxies else None
        return self.service.make_codec(self.ends.alpn == "h2", now)

    def data_received(self, data: bytes) -> None:
        now = self.service.clock()
        self.received += len(data)
        if self._begun is not None:
            data = self._choose_protocol(self._begun + data, now)
        codec = self.codec
        for event in codec.feed(data, now):
            if type(event) is RequestReceived:
                self._request(event, now)
            else:
                _HANDLE[type(event)](self, event)
        if codec.behind:
            self.resume()
        self.flush()

    def _choose_protocol(self, begun: bytes, now: float) -> bytes:
        """HTTP/2 by prior knowledge: its preface is a request that no HTTP/1 client makes (RFC 9113 section 3.4). Returns what is
        to be fed; an HTTP/1 engine that has seen a part of the same makes nothing of it yet."""
        seen = len(self._begun or b"")
        self._begun = begun if len(begun) < len(PREFACE) and PREFACE.startswith(begun) else None
        if not begun.startswith(PREFACE):
            return begun[seen:]
        self.codec = self.service.make_codec(True, now)
        return begun

    def eof_received(self) -> bool:
        """The client's end of stream. Files go on to whoever only stopped sending; nobody waits for what an application still
        works on (as nginx has it)."""
        self._eof = True
        self.dispatch(self.codec.feed(b"", self.service.clock()))
        for stream, delivery in list(self.open.items()):
            if not isinstance(delivery.sender, FileSender):
                self._cut(stream, CLIENT_GONE)
        self.flush()
        return self.ends.tls is None  # TLS cannot be half closed

    def resume(self) -> None:
        """An exchange is over: go on with what the engine held back."""
        while self.codec.behind and not self.paused:
            self.dispatch(self.codec.resume(self.service.clock()))
            self.flush_soon()

    # -- requests

    def _request(self, event: RequestReceived, now: float) -> None:
        stream = event.stream
        request, ends = event.request, self.ends
        match = request.route
        if match is None:
            if self._proxies is not None:
                request, ends = self._proxies.behind(request, ends)
            # An engine hands out the same Request again only on the same connection, so what was found stays right.
            match = request.route = request.route or self.service.find(request, ends)
        if event.ended:
            bare = not event.body and event.trailers is NO_FIELDS
            inbound = _NOBODY if bare else Stream.of(event.body, event.trailers)
        else:
            inbound = Stream(on_taken=partial(self._taken, stream))
        x = Exchange(request, inbound, ends, self, stream, now, match)
        if not event.ended:
            self.open[stream] = Delivery(x, inbound)
        try:
            answer = match.route.chain(x)
        except Exception as e:
            answer = failure_response(x, e)
        if isinstance(answer, Response):
            self._answer(x, answer)
        else:
            self._wait(x, answer)

    def _wait(self, x: Exchange, answer: Awaitable[Response]) -> None:
        if x.stream not in self.open:
            self.open[x.stream] = Delivery(x, None)
        wait(x, answer, partial(self._arrived, x))

    def _arrived(self, x: Exchange, response: Response) -> None:
        delivery = self.open.get(x.stream)
        if delivery is None or delivery.x is not x:
            let_go(response.body)  # the client went away first
            return
        self._answer(x, response)
        if self.codec.behind:
            self.resume()
        if self.open:  # others may be answered in this turn too
            self.flush_soon()
        else:
            self.flush()

    # -- answers

    def _answer(self, x: Exchange, response: Response) -> None:
        x.response = response
        body = response.body
        try:
            if type(body) is bytes:
                status = response.status
                self.codec.respond(x.stream, status, response.fields, body)
                self._finish(x, status, len(body) if x.request.method != "HEAD" else 0, response.reason)
                if x.stream in self.open:
                    self._settle(x.stream)
            else:
                self._start(x, response)
        except LocalError as e:
            self._unsendable(x, response, e)

    def _unsendable(self, x: Exchange, response: Response, e: LocalError) -> None:
        """The engine cannot send this answer, and has sent nothing of it: an error answer in its place, if that can be sent."""
        let_go(response.body)
        failed = failure_response(x, e)
        if response.reason is failed.reason:
            self._cut(x.stream, INTERNAL)
        else:
            self._answer(x, failed)

    def _start(self, x: Exchange, response: Response) -> None:
        """Send the head of an answer whose body flows, and let it flow."""
        delivery = self.open.get(x.stream)
        if delivery is None:
            delivery = self.open[x.stream] = Delivery(x, None)
        body = response.body
        if isinstance(body, Tunnel):
            self._open_tunnel(delivery, response.fields, body)
            return
        fields = response.fields
        if isinstance(body, FileSlice) and b"content-length" not in fields:
            fields = fields.adding((b"content-length", b"%d" % body.length))
        self.codec.start(x.stream, response.status, fields)
        sender: Sender
        if isinstance(body, FileSlice):
            sender = FileSender(self, x.stream, body)
        else:
            sender = StreamSender(self, x.stream, cast(Stream, body))
        delivery.sender = sender
        if x.request.method == "HEAD" or response.status in (204, 304):
            sender.leave(CLIENT_GONE)
            self.codec.end(x.stream)
            self.sent(sender)
        else:
            sender.pump()

    def _open_tunnel(self, delivery: Delivery, fields: Fields, tunnel: Tunnel) -> None:
        x = delivery.x
        self.codec.accept(x.stream, fields)
        delivery.tunnel = tunnel
        self.service.meter.opened(_WEBSOCKET)
        inbound = delivery.inbound or Stream(on_taken=partial(self._taken, x.stream))
        outbound = Stream()
        delivery.inbound = inbound
        delivery.sender = sender = StreamSender(self, x.stream, outbound)
        tunnel.pipe.opened(inbound, outbound)
        sender.pump()
        self.flush_soon()

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        try:
            self.codec.inform(stream, status, fields)
        except LocalError:
            return  # the stream is closed: nobody is there to be informed
        self.flush()

    def now(self) -> float:
        return self.service.clock()

    def sent(self, sender: Sender) -> None:
        """`sender` has handed the last byte of its body to the engine."""
        delivery = self.open.get(sender.stream)
        if delivery is None or delivery.sender is not sender:
            return
        response = delivery.x.response
        assert response is not None, delivery
        self._finish(delivery.x, response.status, sender.size, response.reason)
        delivery.sent = True
        self._leave_tunnel(delivery)
        self._settle(sender.stream)
        self.resume()

    def _leave_tunnel(self, delivery: Delivery) -> None:
        if delivery.tunnel is not None:
            self.service.meter.closed(_WEBSOCKET)

    def cut(self, sender: Sender, why: Reason) -> None:
        """The body of `sender` cannot be completed: the client must see that."""
        self._cut(sender.stream, why)

    def _cut(self, stream: int, why: Reason) -> None:
        delivery = self.open.get(stream)
        self.codec.reset(stream, why)
        if delivery is not None:
            self._abort(stream, delivery, why)
        self.flush_soon()

    def _settle(self, stream: int) -> None:
        """The answer is complete. A request body that nobody will read any more is thrown away as it comes."""
        inbound = self.open.pop(stream).inbound
        if inbound is not None and not inbound.ended and inbound.failure is None:
            inbound.cancel(CLIENT_GONE)

    def _finish(self, x: Exchange, status: int, sent: int, why: Reason | None) -> None:
        """The one place where an exchange ends: counters and `on_done` hooks, exactly once."""
        service = self.service
        route = x.match.route
        seconds = service.clock() - x.started
        if why is not None:
            service.meter.rejected(why)
        route.count(status, sent, seconds)
        x.on_abort = None  # no cycle of the exchange and its handler: counting references frees them both
        for hook in route.done:
            hook(x, Outcome(status, sent, seconds, why))

    def _abort(self, stream: int, delivery: Delivery, why: Reason) -> bool:
        """The exchange ends here without (the rest of) its answer; whether that was still wanting."""
        del self.open[stream]
        self._leave_tunnel(delivery)
        size = 0
        if delivery.sender is not None:
            size = delivery.sender.size
            delivery.sender.leave(why)
        self._stop(delivery, why)
        if not delivery.sent:
            x = delivery.x
            status = x.response.status if x.response is not None else why.status or CLIENT_GONE.status
            self._finish(x, status, size, why)
        return not delivery.sent

    def end_all(self, why: Reason) -> bool:
        counted = [self._abort(stream, delivery, why) for stream, delivery in list(self.open.items())]
        return any(counted)

    def _stop(self, delivery: Delivery, why: Reason) -> None:
        """Tell the handler that its work is not wanted any more: first in its own way, then by the end of the body."""
        if delivery.x.on_abort is not None:
            delivery.x.on_abort(why)
        self._end_inbound(delivery, why)

    def _end_inbound(self, delivery: Delivery, why: Reason) -> None:
        """No more of the request's body will come. What its reader has not taken counts as taken: the window is everybody's."""
        inbound = delivery.inbound
        if inbound is not None:
            counted, inbound.on_taken = inbound.on_taken is not None, None
            inbound.fail(why)
            if counted and inbound.size:
                self.codec.consumed(delivery.x.stream, inbound.size)

    # -- events of the engine (RequestReceived is handled where it comes)

    def dispatch(self, events: list[Event]) -> None:
        now = self.service.clock()
        for event in events:
            if type(event) is RequestReceived:
                self._request(event, now)
            else:
                _HANDLE[type(event)](self, event)

    def _data(self, event: DataReceived) -> None:
        delivery = self.open.get(event.stream)
        inbound = delivery.inbound if delivery is not None else None
        if inbound is None or inbound.failure is not None:
            self.codec.consumed(event.stream, event.cost)
            return
        padding = event.cost - len(event.data)
        if padding:
            self.codec.consumed(event.stream, padding)
        inbound.write(event.data)  # bounded by the engine: it stops reading when too much is not taken

    def _ended(self, event: MessageEnded) -> None:
        delivery = self.open.get(event.stream)
        if delivery is not None and delivery.inbound is not None:
            delivery.inbound.end(event.trailers)

    def _rejected(self, event: Rejected) -> None:
        """The engine refuses this request: answer for it, or cut the answer that has begun."""
        delivery = self.open.get(event.stream)
        if delivery is None:
            request, ends = event.request or _UNREADABLE, self.ends
            if self._proxies is not None and event.request is not None:
                request, ends = self._proxies.behind(request, ends)
            match = self.service.refused
            x = Exchange(request, _NOBODY, ends, self, event.stream, self.service.clock(), match)
            self._answer(x, self.service.error(event.reason, x))
        elif delivery.sender is None:
            self._refuse(delivery, event.reason)
        else:
            self._cut(event.stream, event.reason)

    def _refuse(self, delivery: Delivery, why: Reason) -> None:
        """Answer `why` in place of the handler, which has not begun to."""
        x = delivery.x
        del self.open[x.stream]
        self._stop(delivery, why)
        self._answer(x, self.service.error(why, x))

    def _stream_closed(self, event: StreamClosed) -> None:
        delivery = self.open.get(event.stream)
        if delivery is not None:
            self._abort(event.stream, delivery, event.reason)
        else:
            self.service.meter.rejected(event.reason)

    def _connection_closed(self, event: ConnectionClosed) -> None:
        if event.reason is None:
            self.end_all(CLIENT_GONE)
        else:
            self.end(event.reason)

    def _window_opened(self, event: WindowOpened) -> None:
        if event.stream == 0:
            self.pump()
            return
        delivery = self.open.get(event.stream)
        if delivery is not None and delivery.sender is not None:
            delivery.sender.pump()

    # -- bodies that wait

    def _taken(self, stream: int, size: int) -> None:
        self.codec.consumed(stream, size)
        self.flush_soon()

    def pump(self) -> None:
        """Let every blocked body flow, another one first each time."""
        for stream, delivery in list(self.open.items()):
            if self.paused:
                return
            if delivery.sender is not None:
                delivery.sender.pump()
                if stream in self.open:
                    self.open[stream] = self.open.pop(stream)

    # -- time

    def sweep(self, now: float) -> None:
        """Also: the ceiling for exchanges; and after a silence, the engine forgets what it remembers."""
        super().sweep(now)
        if now - self.heard_at > FORGET_AFTER:
            self.codec.forget()
        ceiling = self.service.limits.request_timeout
        if self.open and ceiling:
            self._end_overdue(now - ceiling)

    def _end_overdue(self, before: float) -> None:
        """End what has been in flight since `before`; not tunnels, which have no end to wait for."""
        for stream, delivery in list(self.open.items()):
            if delivery.x.started > before or delivery.tunnel:
                continue
            if delivery.sender is None:
                self._refuse(delivery, REQUEST_TIMEOUT)
            else:
                self._cut(stream, REQUEST_TIMEOUT)
        self.resume()
        self.flush()

    def dismiss(self) -> None:
        """End what has no end of its own: whoever speaks inside a tunnel says goodbye in its own way."""
        for delivery in list(self.open.values()):
            if delivery.tunnel is not None:
                delivery.tunnel.pipe.leave()


_UNREADABLE = Request("-", "http", "", "", "-", b"-", b"", Fields(), "1.1")

_HANDLE: dict[type, Callable[[HttpConnection, Any], None]] = {
    DataReceived: HttpConnection._data,
    MessageEnded: HttpConnection._ended,
    Rejected: HttpConnection._rejected,
    StreamClosed: HttpConnection._stream_closed,
    ConnectionClosed: HttpConnection._connection_closed,
    WindowOpened: HttpConnection._window_opened,
}
