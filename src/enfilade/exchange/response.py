"""What a handler answers: a value. Once returned it is not changed; a filter that wants another one makes another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Union

from enfilade.exchange.bodies import Stream
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason

_CLIENT_GONE = reason("client_gone")


class FileSlice:
    """`length` bytes from `offset` of the open file `fd`. Whoever sends it closes `fd` by calling `close` exactly once."""

    __slots__ = ("close", "fd", "length", "offset")

    def __init__(self, fd: int, offset: int, length: int, close: Callable[[], None]) -> None:
        self.fd = fd
        self.offset = offset
        self.length = length
        self.close = close


class Pipe(Protocol):
    """What speaks inside a tunnel (a WebSocket session, later a CONNECT): both ends are Streams of bytes."""

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        """The upgrade was accepted: read `inbound`, write `outbound`; ending `outbound` ends our half."""

    def leave(self) -> None:
        """The server ends: say goodbye, and end `outbound` soon."""


class Tunnel:
    """The answer that accepts an upgrade. Valid only where `request.protocol` is set; `fields` go with the 101 or 200."""

    __slots__ = ("pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe


Body = Union[bytes, FileSlice, Stream, Tunnel]


def let_go(body: Body) -> None:
    """It will not be sent: release what it holds."""
    if isinstance(body, FileSlice):
        body.close()
    elif isinstance(body, Stream):
        body.cancel(_CLIENT_GONE)


class Response:
    """`status`, `fields` (Content-Length only where the handler must say it; Date and framing are the engine's) and `body`,
    a closed union: the connection picks the verb. `reason`: why it is an error, for log and metrics; None if it is none.
    A handler may return the same Response many times if its body is bytes: what the engine encoded is remembered.
    `remade` belongs to filters/remade.py, which remembers there what a filter made of it.
    """

    __slots__ = ("body", "fields", "reason", "remade", "status")

    def __init__(self, status: int, fields: Fields = NO_FIELDS, body: Body = b"", reason: Reason | None = None) -> None:
        self.status = status
        self.fields = fields
        self.body = body
        self.reason = reason
        self.remade: Any = None

    def with_fields(self, fields: Fields) -> Response:
        """The same answer with other fields."""
        return Response(self.status, fields, self.body, self.reason)

    def __repr__(self) -> str:
        return f"<Response {self.status} {type(self.body).__name__}>"
