"""What an engine tells: small objects, in a list, in the order in which they happened on the wire.

`stream` is the HTTP/2 stream identifier; HTTP/1.1, which has one exchange at a time, always says 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request


class RequestReceived:
    """Server role: the head of a request is here. `ended`: that is all of it, with `body` and `trailers`, which came in the same
    read and count as consumed; otherwise the rest follows."""

    __slots__ = ("body", "ended", "request", "stream", "trailers")

    def __init__(
        self, stream: int, request: Request, ended: bool, body: bytes = b"", trailers: Fields = NO_FIELDS
    ) -> None:
        self.stream = stream
        self.request = request
        self.ended = ended
        self.body = body
        self.trailers = trailers

    def __repr__(self) -> str:
        body = f", {self.body!r}" if self.body else ""
        return f"RequestReceived({self.stream}, {self.request!r}, ended={self.ended}{body})"


class ResponseReceived:
    """Client role: the head of a response is here; of an interim one (1xx) if `status` < 200 (101 never comes as interim).
    `ended`: that is all of it, as with RequestReceived; otherwise the rest follows."""

    __slots__ = ("body", "ended", "fields", "status", "stream", "trailers")

    def __init__(
        self, stream: int, status: int, fields: Fields, ended: bool, body: bytes = b"", trailers: Fields = NO_FIELDS
    ) -> None:
        self.stream = stream
        self.status = status
        self.fields = fields
        self.ended = ended
        self.body = body
        self.trailers = trailers

    def __repr__(self) -> str:
        body = f", {self.body!r}" if self.body else ""
        return f"ResponseReceived({self.stream}, {self.status}, {self.fields!r}, ended={self.ended}{body})"


class DataReceived:
    """A piece of the body, or of what flows through the tunnel after an upgrade. Never empty.

    `cost` is what it took from the flow-control window (HTTP/2 padding included): give it to `consumed()`.
    """

    __slots__ = ("cost", "data", "stream")

    def __init__(self, stream: int, data: bytes, cost: int = -1) -> None:
        self.stream = stream
        self.data = data
        self.cost = len(data) if cost < 0 else cost

    def __repr__(self) -> str:
        return f"DataReceived({self.stream}, {self.data!r})"


class MessageEnded:
    """The message (or the peer's half of a tunnel) is complete. `trailers` are validated and hold no framing fields."""

    __slots__ = ("stream", "trailers")

    def __init__(self, stream: int, trailers: Fields = NO_FIELDS) -> None:
        self.stream = stream
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"MessageEnded({self.stream}, {self.trailers!r})"


class Rejected:
    """Server role: this request can be answered only with `reason.status`, and no application may see it.

    The engine waits for that answer (`respond`) and then ends the connection (HTTP/1) or the stream (HTTP/2) by itself.
    `request` is what is known of it, for the log; None if not even the request line could be read.
    If the head was already handed out (`RequestReceived`), the exchange fails with `reason`.
    """

    __slots__ = ("reason", "request", "stream")

    def __init__(self, stream: int, reason: Reason, request: Request | None = None) -> None:
        self.stream = stream
        self.reason = reason
        self.request = request

    def __repr__(self) -> str:
        return f"Rejected({self.stream}, {self.reason!r})"


class StreamClosed:
    """The stream ended early: reset by the peer, or by the engine because of what the peer sent. Nothing can be sent on it."""

    __slots__ = ("reason", "stream")

    def __init__(self, stream: int, reason: Reason) -> None:
        self.stream = stream
        self.reason = reason

    def __repr__(self) -> str:
        return f"StreamClosed({self.stream}, {self.reason!r})"


class ConnectionClosed:
    """The last event of a connection; every stream still open is closed by it. `reason` None: an orderly end."""

    __slots__ = ("reason",)

    def __init__(self, reason: Reason | None = None) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"ConnectionClosed({self.reason!r})"


class WindowOpened:
    """More may be sent on `stream` (0: on any): ask `window()` again."""

    __slots__ = ("stream",)

    def __init__(self, stream: int) -> None:
        self.stream = stream

    def __repr__(self) -> str:
        return f"WindowOpened({self.stream})"


class Drained:
    """Client role: the peer takes no new streams (HTTP/2 GOAWAY); those up to `last_stream` are still answered."""

    __slots__ = ("last_stream",)

    def __init__(self, last_stream: int) -> None:
        self.last_stream = last_stream

    def __repr__(self) -> str:
        return f"Drained({self.last_stream})"


Event = Union[  # made at run time, where Python 3.9 knows no `|` of types
    RequestReceived,
    ResponseReceived,
    DataReceived,
    MessageEnded,
    Rejected,
    StreamClosed,
    ConnectionClosed,
    WindowOpened,
    Drained,
]


def join_whole(events: list[Event], consumed: Callable[[int, int], None]) -> list[Event]:
    """`events` with each message that is complete in them as one event. `consumed` is told what that took."""
    begun: dict[int, tuple[RequestReceived | ResponseReceived, list[DataReceived]]] = {}
    whole: set[int] = set()
    for event in events:
        if isinstance(event, ResponseReceived):
            if event.status >= 200 and not event.ended:
                begun[event.stream] = event, []
        elif isinstance(event, RequestReceived):
            if event.request.protocol is None and not event.ended:
                begun[event.stream] = event, []
        elif isinstance(event, DataReceived):
            if event.stream in begun:
                begun[event.stream][1].append(event)
        elif isinstance(event, MessageEnded) and event.stream in begun:
            head, pieces = begun[event.stream]
            head.ended, head.body, head.trailers = True, b"".join([piece.data for piece in pieces]), event.trailers
            consumed(event.stream, sum([piece.cost for piece in pieces]))
            whole.add(event.stream)
    if not whole:
        return events
    return [e for e in events if not (isinstance(e, (DataReceived, MessageEnded)) and e.stream in whole)]
