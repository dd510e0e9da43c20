"""What both roles of an HTTP/1 connection share: two halves with their states, bodies in and out, the tunnel, the end."""

from __future__ import annotations

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.framing import CHUNKED, UNTIL_CLOSE, Framing
from enfilade.http.reasons import Reason
from enfilade.wire.codec import LocalError
from enfilade.wire.events import ConnectionClosed, DataReceived, Event, MessageEnded
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.reader import BodyReader
from enfilade.wire.http1.states import READING, WRITING, Heard, Reading, ReadingTable, Role, Said, Writing, WritingTable
from enfilade.wire.http1.writer import trailer_lines

WINDOW = 64 * 1024
"""Bytes of body that may lie unread in the hands of the caller before the socket is paused."""

NO_EVENTS: list[Event] = []
"""What `feed` says when there is nothing to say: shared, so not to be changed."""

SILENT: Framing = -3
"""How a body is written that is not: the answer to HEAD, 204, 304."""


class Connection:
    """One connection in one role. The role's own file says how heads are read and written."""

    __slots__ = (
        "_buffer",
        "_due",
        "_left",
        "_limits",
        "_out",
        "_reader",
        "_reading",
        "_unread",
        "_writing",
        "closing",
        "linger",
        "wants_read",
    )
    _reads: ReadingTable
    _writes: WritingTable

    def __init__(self, limits: Http1Limits, reading: Reading, writing: Writing) -> None:
        self.wants_read = True
        self.closing = False
        self.linger = False
        self._limits = limits
        self._reading = reading
        self._writing = writing
        self._buffer = b""  # a head that has begun, or what came behind a message
        self._reader: BodyReader | None = None
        self._unread = 0  # body bytes handed out and not yet consumed
        self._out: list[bytes] = []
        self._left: Framing = 0  # how the body that we write ends: bytes to go, CHUNKED, UNTIL_CLOSE or SILENT
        self._due: float | None = None

    # -- states

    def _hear(self, heard: Heard) -> None:
        state = self._reads[self._reading][heard]
        assert state is not None, f"{heard!r} in {self!r}"
        self._reading = state

    def _say(self, said: Said) -> None:
        state = self._writes[self._writing][said]
        if state is None:
            raise LocalError(f"{said.name} is not possible in {self!r}")
        self._writing = state

    # -- bodies in

    def _read_body(self, data: bytes, wanted: bool) -> tuple[list[Event], Reason | None]:
        """Feed the body's reader; without its events if they are not `wanted`. What stands behind goes into the buffer."""
        reader = self._reader
        assert reader is not None, repr(self)
        piece = reader.read(data)
        events: list[Event] = []
        if wanted and piece:
            events.append(DataReceived(1, piece))
            self._took(len(piece))
        if reader.ended:
            self._reader = None
            self._hear(Heard.END)
            self._buffer = reader.rest
            if reader.rest:
                self.wants_read = False
            if wanted:
                events.append(MessageEnded(1, reader.trailers))
        return events, reader.failure

    def _took(self, size: int) -> None:
        self._unread += size
        if self._unread >= WINDOW:
            self.wants_read = False

    def consumed(self, stream: int, size: int) -> None:
        """See `Codec.consumed`."""
        self._unread = max(0, self._unread - size)
        # Held back bytes are read on only when the exchange is over.
        if self._unread < WINDOW and not (self._buffer and self._reading is Reading.DONE):
            self.wants_read = True

    def _feed_tunnel(self, data: bytes, now: float) -> list[Event]:
        self._took(len(data))
        return [DataReceived(1, data)]

    def _hold(self, data: bytes, now: float) -> list[Event]:
        """Bytes behind a complete message wait, at most one read of them."""
        self._buffer += data
        self.wants_read = False
        return NO_EVENTS

    def _ignore(self, data: bytes, now: float) -> list[Event]:
        return NO_EVENTS

    # -- bodies out

    def window(self, stream: int) -> int:
        """Always plenty: TCP does the flow control."""
        return 1 << 30

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        """A piece of the body, or of the tunnel. Raises LocalError if it is more than Content-Length promised."""
        self._say(Said.DATA)
        if data:
            self._write_body(data)
        if end:
            self.end(stream)

    def _write_body(self, data: bytes) -> None:
        left = self._left
        if left == SILENT:
            return
        if left == CHUNKED:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
            return
        if left != UNTIL_CLOSE:
            if len(data) > left:
                raise LocalError(f"the body is {len(data) - left} bytes longer than its Content-Length")
            self._left = left - len(data)
        self._out.append(data)

    def end(self, stream: int, trailers: Fields = NO_FIELDS) -> None:
        """The message, or our half of the tunnel, is complete; trailers go out only behind a chunked body."""
        if self._writing is Writing.TUNNEL:
            # TCP has no half that we could end without the peer's answer being lost: what is pending, then the end.
            self._say(Said.END)
            self.closing = True
            return
        left = self._left
        if self._writing is Writing.BODY and left > 0:
            raise LocalError(f"the body is {left} bytes shorter than its Content-Length")
        lines = trailer_lines(trailers) if len(trailers) else b""
        self._say(Said.END)
        if left == CHUNKED:
            self._out.append(b"0\r\n" + lines + b"\r\n")
        self._sent()

    def _sent(self) -> None:
        """Our message is complete."""
        raise NotImplementedError

    def _switched(self) -> None:
        """From here on the connection carries a tunnel."""
        self._say(Said.SWITCH)
        self._hear(Heard.SWITCH)
        self._left = UNTIL_CLOSE
        self._unread = 0
        self._due = None

    # -- the end

    def reset(self, stream: int, reason: Reason) -> None:
        """Close in mid-message: the peer sees that the body did not end as promised."""
        self._shut()

    def _shut(self) -> None:
        self._writing = self._writes[self._writing][Said.CLOSE] or Writing.CLOSED
        self._reading = self._reads[self._reading][Heard.CLOSE] or Reading.CLOSED
        self._reader = None
        self._buffer = b""
        self._due = None
        self.closing = True
        self.wants_read = True

    def _closed(self, reason: Reason | None, *, linger: bool = False) -> list[Event]:
        self.linger = linger
        if self._reading is Reading.CLOSED and self._writing is Writing.CLOSED:
            return NO_EVENTS
        self._shut()
        return [ConnectionClosed(reason)]

    # -- the loop's side

    def pending(self) -> list[bytes]:
        """What is to be written now."""
        out = self._out
        self._out = []
        return out

    def deadline(self) -> float | None:
        """When `tick` is due; None: there is nothing to wait for."""
        return self._due

    def __repr__(self) -> str:
        return f"<{type(self).__name__} reads {self._reading.name}, writes {self._writing.name}>"


def tables(role: Role) -> tuple[ReadingTable, WritingTable]:
    """The rules of `role`, flat."""
    return READING[role], WRITING[role]
