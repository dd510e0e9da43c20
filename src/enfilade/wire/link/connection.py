"""A link's end, as far as both roles are the same: frames in, events out; bodies both ways, each stream with a window of its own.

Both ends are ours, but an application shares its process with one of them: whatever is not as it should be ends the link
(`Fault` inside, ConnectionClosed outside), and nothing that comes raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import REASONS, Reason
from enfilade.http.request import Request
from enfilade.wire.codec import LocalError
from enfilade.wire.events import ConnectionClosed, DataReceived, Event, MessageEnded, StreamClosed, WindowOpened
from enfilade.wire.link.frames import (
    DATA_SIZE,
    HEAD_SIZE,
    HEADER_SIZE,
    SIZE_MASK,
    WINDOW,
    frame,
    pack_header,
    unpack_header,
    word,
)
from enfilade.wire.link.heads import Malformed, decode_trailers, encode_trailers
from enfilade.wire.link.states import MOVES, Half, Kind, Way

NO_REQUEST = Request("", "", "", "", "", b"", b"", NO_FIELDS, "1.1")
_FRAME_SIZE = HEAD_SIZE + DATA_SIZE + 16
_NAME_SIZE = 64


class Fault(Exception):
    """The peer broke a rule."""


class Stream:
    """One exchange. What is not said otherwise is a class attribute: most streams are a GET, answered at once.

    - `fresh`: the request is complete and nothing else has happened yet: the fast path may answer it. Fresh streams of the same
      request are one object: `Connection._own` makes it a stream's own before it is changed.
    - `reads`, `writes`: what the peer has said, and what we have.
    - `held`: bytes received and not given back as credit; `taken`: the part of them that its reader has taken.
    - `spent`: bytes sent less the credit that came.
    - `expected`: bytes of body that the peer's Content-Length still promises, `promised`: ours; -1: not said.
    - `rest`: the part of a whole answer that waits for credit; `waiting`: its owner was told that the window is shut.
    - `expects`: the peer waits for 100 (Continue) before it sends its body.
    """

    fresh = False
    reads = Half.HEAD
    writes = Half.HEAD
    held = 0
    taken = 0
    spent = 0
    expected = -1
    promised = -1
    rest: memoryview | None = None
    waiting = False
    tunnel = False
    bodiless = False
    expects = False

    def __init__(self, request: Request) -> None:
        self.request = request

    def __repr__(self) -> str:
        return f"<Stream {self.request!r} reads {self.reads.name}, writes {self.writes.name}>"


Take = Callable[[Any, int, Stream, int, int, bytes, "list[Event]"], None]
"""What becomes of a frame: the connection, the stream's number, the stream, the frame's kind, number and payload, the events."""


class Connection:
    """Everything of the codec that does not depend on the role; `LinkServer` and `LinkClient` are the rest."""

    wants_read = True
    linger = False  # nothing is lost on a Unix socket that is closed over unread bytes
    closing = False

    inbound: ClassVar[Way]
    outbound: ClassVar[Way]
    fault: ClassVar[Reason]
    gone: ClassVar[Reason]
    reset_by_peer: ClassVar[Reason]

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}
        self._out: list[bytes] = []
        self._rest = b""
        self._last = 0  # the newest stream
        self._final = False  # no stream will be opened any more

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._streams)} streams, last {self._last}>"

    # -- bytes in

    def feed(self, data: bytes, now: float) -> list[Event]:
        """See `Codec.feed`."""
        events: list[Event] = []
        if self.closing:
            return events
        if not data:
            why = self.gone if self._streams else None
            self._close()
            return [ConnectionClosed(why)]
        try:
            self._rest = self._read(self._rest + data if self._rest else data, events)
        except (Fault, Malformed):
            self._close()
            events.append(ConnectionClosed(self.fault))
        return events

    def _read(self, data: bytes, events: list[Event]) -> bytes:
        """Take the frames that are whole; what is left."""
        raise NotImplementedError

    def _incomplete(self, data: bytes, offset: int) -> bytes:
        """What is left from `offset` on, where no whole frame stands."""
        if offset == len(data):
            return b""
        rest = data[offset:]
        if len(rest) >= HEADER_SIZE and unpack_header(rest)[1] & SIZE_MASK > _FRAME_SIZE:
            raise Fault
        return rest

    def _frame(self, stream: int, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        """One frame by the tables. The roles take the ones that open a stream or a connection's own."""
        take = self._TAKE.get(kind)
        if take is None or not 0 < stream <= self._last:
            raise Fault
        s = self._streams.get(stream)
        if s is None:
            return
        s = self._own(stream, s)
        if kind < Kind.RESET:
            after = MOVES[self.inbound][s.reads].get(kind)  # type: ignore[call-overload]  # an int is as good
            if after is None:
                raise Fault
            s.reads = after
        take(self, stream, s, kind, number, payload, events)

    def _take_data(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        size = len(payload)
        s.held += size
        if size > DATA_SIZE or s.held > WINDOW:
            raise Fault
        ended = kind == Kind.LAST
        if s.expected >= 0:
            s.expected -= size
            if s.expected < 0 or (ended and s.expected):
                raise Fault
        if size:
            events.append(DataReceived(stream, payload))
        if ended:
            events.append(MessageEnded(stream))
            self._input_ended(stream, s)

    def _take_trailers(
        self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]
    ) -> None:
        if s.expected > 0 or s.tunnel or len(payload) > HEAD_SIZE:
            raise Fault
        events.append(MessageEnded(stream, decode_trailers(payload)))
        self._input_ended(stream, s)

    def _take_reset(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        if len(payload) > _NAME_SIZE:
            raise Fault
        why = REASONS.get(payload.decode("latin-1"), self.reset_by_peer)
        self._forget(stream)
        events.append(StreamClosed(stream, why))

    def _take_credit(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        s.spent -= number
        if s.spent < 0 or payload:
            raise Fault
        if s.rest is not None:
            self._send_rest(stream, s)
        elif s.waiting:
            s.waiting = False
            events.append(WindowOpened(stream))

    _TAKE: ClassVar[dict[int, Take]] = {
        Kind.DATA: _take_data,
        Kind.LAST: _take_data,
        Kind.TRAILERS: _take_trailers,
        Kind.RESET: _take_reset,
        Kind.CREDIT: _take_credit,
    }

    def _input_ended(self, stream: int, s: Stream) -> None:
        """The peer's half has ended."""
        raise NotImplementedError

    def deadline(self) -> float | None:
        """Time-outs are the business of whoever waits."""
        return None

    def tick(self, now: float) -> list[Event]:
        """Nothing is ever due."""
        return []

    # -- what may be sent; nothing happens on a stream that is over, of which its owner may not have heard yet

    def pending(self) -> list[bytes]:
        """See `Codec.pending`."""
        out = self._out
        self._out = []
        return out

    def window(self, stream: int) -> int:
        """See `Codec.window`; 0 for a stream that is over."""
        s = self._streams.get(stream)
        if s is None:
            return 0
        room = WINDOW - s.spent
        if room <= 0:
            s.waiting = True
        return room

    def consumed(self, stream: int, size: int) -> None:
        """See `Codec.consumed`."""
        s = self._streams.get(stream)
        if s is not None and s.reads is not Half.ENDED:
            s.taken += size
            if s.taken * 2 >= WINDOW:
                self._out.append(frame(Kind.CREDIT, stream, b"", s.taken))
                s.held -= s.taken
                s.taken = 0

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        """See `Codec.data`."""
        s = self._sendable(stream)
        if s is None:
            return
        size = 0 if s.bodiless else len(data)
        if size > WINDOW - s.spent:
            raise LocalError(f"more than the window of stream {stream}")
        if s.promised >= 0 and (size > s.promised or (end and size < s.promised)):
            raise LocalError(f"the body of stream {stream} is not as long as Content-Length promised")
        self._say(s, Kind.LAST if end else Kind.DATA)
        if s.promised >= 0:
            s.promised -= size
        if size or end:
            self._send(stream, s, data if size else b"", end)
        if end:
            self._output_ended(stream, s)

    def end(self, stream: int, trailers: Fields = NO_FIELDS) -> None:
        """See `Codec.end`."""
        if not trailers.pairs:
            self.data(stream, b"", True)
            return
        s = self._sendable(stream)
        if s is None:
            return
        if s.promised > 0 or s.tunnel:
            raise LocalError(f"no trailers can come on stream {stream} now")
        block = encode_trailers(trailers)
        self._say(s, Kind.TRAILERS)
        self._out.append(frame(Kind.TRAILERS, stream, block))
        self._output_ended(stream, s)

    def reset(self, stream: int, reason: Reason) -> None:
        """See `Codec.reset`: the peer is told the reason."""
        if stream in self._streams:
            self._out.append(frame(Kind.RESET, stream, reason.name.encode("ascii")))
            self._forget(stream)

    # -- for the roles

    def _sendable(self, stream: int) -> Stream | None:
        """The stream, to be changed; None if it is over."""
        s = self._streams.get(stream)
        if s is None:
            if stream > self._last:
                raise LocalError(f"stream {stream} was never open")
            return None
        return self._own(stream, s)

    def _own(self, stream: int, s: Stream) -> Stream:
        """The object of `stream`, which may be changed from now on."""
        if not s.fresh:
            return s
        own = self._streams[stream] = Stream(s.request)
        own.reads, own.writes = s.reads, s.writes
        return own

    def _say(self, s: Stream, kind: Kind) -> None:
        """Raises LocalError where a frame of `kind` cannot be sent now."""
        after = MOVES[self.outbound][s.writes].get(kind)
        if after is None or s.rest is not None:
            raise LocalError(f"{kind.name} cannot be sent on {s!r}")
        s.writes = after

    def _send(self, stream: int, s: Stream, data: bytes | memoryview, end: bool) -> None:
        """Frames for `data`, which the window has room for; `end`: the last of them ends the message."""
        size = len(data)
        s.spent += size
        for at in range(0, size or 1, DATA_SIZE):
            piece = bytes(data[at : at + DATA_SIZE])
            kind = Kind.LAST if end and at + DATA_SIZE >= size else Kind.DATA
            self._out += (pack_header(stream, word(kind, len(piece)), 0), piece)

    def _send_rest(self, stream: int, s: Stream) -> None:
        """As much of a whole answer as there is credit for."""
        rest = s.rest
        assert rest is not None
        room = WINDOW - s.spent
        if room < len(rest):
            self._send(stream, s, rest[:room], False)
            s.rest = rest[room:]
        else:
            self._send(stream, s, rest, True)
            s.rest = None
            s.writes = Half.ENDED
            self._output_ended(stream, s)

    def _output_ended(self, stream: int, s: Stream) -> None:
        """Our half has ended."""
        raise NotImplementedError

    def _forget(self, stream: int) -> None:
        """The stream is over."""
        del self._streams[stream]
        if self._final:
            self._settle()

    def _settle(self) -> None:
        """The last stream of a draining link may have ended."""
        if self._final and not self._streams:
            self._close()

    def _close(self) -> None:
        self.closing = True
        self._streams.clear()
        self._rest = b""
