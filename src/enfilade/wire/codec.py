"""What every engine can do: bytes and `now` in; events, bytes and a deadline out. No engine does I/O or asks for the time.

`now` is a monotonic clock in seconds. Hostile input never raises: it becomes an event. What *we* must not do raises LocalError.
"""

from __future__ import annotations

from typing import Protocol

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.wire.events import Event


class LocalError(Exception):
    """We asked the engine for something that the protocol does not allow in this state: a bug of the caller."""


class HeadTooLarge(LocalError):
    """A head is larger than may be sent. Nothing of it was: whoever has it cannot know before."""


class DateStamp:
    """The Date field (RFC 9110 section 6.6.1), encoded once a second for all connections of a worker.

    `value` is the IMF-fixdate; `http1` the whole line with its CRLF. Whoever owns the clock calls `set`.
    """

    __slots__ = ("http1", "value")

    def __init__(self, value: bytes = b"Thu, 01 Jan 1970 00:00:00 GMT") -> None:
        self.set(value)

    def set(self, value: bytes) -> None:
        self.value = value
        self.http1 = b"date: " + value + b"\r\n"


class Codec(Protocol):
    """One per connection, the role fixed at birth. HTTP/1.1's only stream is 1."""

    wants_read: bool
    """False: pause the socket; `consumed`, or the end of the exchange, may set it again."""
    closing: bool
    """True: when `pending()` has been written, close the connection."""
    linger: bool
    """With `closing`: the peer may still be sending. To close over unread bytes makes its system throw away what we sent
    (RFC 9112 section 9.6), so end our half, and read and drop a little more before closing."""

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Take what the socket gave (`b""`: the peer's end of stream) and say what happened."""

    def pending(self) -> list[bytes]:
        """What is to be written now, drained: once each turn of the loop."""

    def deadline(self) -> float | None:
        """When `tick` must be called at the latest."""

    def tick(self, now: float) -> list[Event]:
        """Time has passed: report the time-outs that are due."""

    def drain(self) -> None:
        """Take no new requests: HTTP/1 says `Connection: close` in the next answer, HTTP/2 sends GOAWAY."""

    # -- what may be sent; each raises LocalError where the state does not allow it

    def window(self, stream: int) -> int:
        """How many bytes of body may be sent on `stream` now (HTTP/2 flow control; HTTP/1: always plenty)."""

    def consumed(self, stream: int, size: int) -> None:
        """`size` bytes of the body received (`DataReceived.cost`) were taken by their reader: the peer may send as many more.
        With size 0: the reader wants the body. The first call sends 100 (Continue) to a client that waits for it."""

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        """Send a piece of the body (at most `window()` bytes); `end`: it was the last."""

    def end(self, stream: int, trailers: Fields = NO_FIELDS) -> None:
        """The message is complete. Raises LocalError if Content-Length promised more."""

    def reset(self, stream: int, reason: Reason) -> None:
        """Cut the message so that the peer can tell: RST_STREAM, or an HTTP/1 connection closed in mid-message."""


class ServerCodec(Codec, Protocol):
    behind: bool
    """Something came behind the request that is answered now (a pipelined one, or what a tunnel begins with): call `resume`."""

    def resume(self, now: float) -> list[Event]:
        """Go on with what was held back. HTTP/2 never holds anything back."""

    def forget(self) -> None:
        """The connection has been silent for a while: give back what is remembered to be fast."""

    def respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        """A whole response at once: the fast path. Content-Length and Date are added where they are missing;
        `body` is left out where the request was HEAD or the status has none. HTTP/2 keeps what does not fit the window
        and sends it as the window opens."""

    def start(self, stream: int, status: int, fields: Fields) -> None:
        """The head of a response; `data` and `end` follow. HTTP/1.1 frames it by Content-Length, or chunked without one."""

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """An interim response, 100 to 199 but not 101."""

    def accept(self, stream: int, fields: Fields) -> None:
        """Accept the upgrade that the request asked for: 101, or 200 to an extended CONNECT. From here on
        `data`, `end` and DataReceived carry the tunnel's bytes."""


class ClientCodec(Codec, Protocol):
    @property
    def available(self) -> int:
        """How many more requests may be made now. 0 as long as the peer has not said how many it takes."""

    def request(self, request: Request, *, end: bool) -> int:
        """The head of a request; returns its stream. `end`: no body follows; otherwise `data` and `end` do. With `protocol`
        set it asks for that upgrade, and what follows is the tunnel's. `host` and `version` are not looked at."""
