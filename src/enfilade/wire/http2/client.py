"""The client's side of an HTTP/2 connection."""

from __future__ import annotations

from math import inf

from enfilade.http.fields import Fields, Pair
from enfilade.http.memory import remember
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.wire.codec import LocalError
from enfilade.wire.events import Event, ResponseReceived, StreamClosed
from enfilade.wire.hpack import static_block
from enfilade.wire.http2 import frames
from enfilade.wire.http2.connection import ConnectionFault, StreamFault
from enfilade.wire.http2.frames import DEFAULT_WINDOW, MAX_STREAM
from enfilade.wire.http2.limits import Http2Limits
from enfilade.wire.http2.messages import PSEUDO_FIELDS, declared_length, read_response, sendable
from enfilade.wire.http2.output import Stream
from enfilade.wire.http2.states import Drain, Error, Flag, Frame, Role, Setting, State
from enfilade.wire.http2.timed import TimedConnection

_NO_BODY = (204, 304)
_KNOWN = 32
_KNOWN_BLOCK = 1024
"""So many heads of answers a connection are remembered by their field blocks, of so many bytes."""


class _Head:
    """The head of a request as a field block that holds on every connection, and the body that it promises (-1: not said)."""

    __slots__ = ("block", "promised")

    def __init__(self, block: bytes, promised: int) -> None:
        self.block = block
        self.promised = promised


def _encode(request: Request) -> _Head:
    """Raises LocalError where it cannot be sent."""
    method, authority, fields, protocol = request.method, request.authority, request.fields, request.protocol
    head: list[Pair] = [(b":method", method.encode("ascii"))]
    if method != "CONNECT" or protocol is not None:
        target = request.raw_path + b"?" + request.query if request.query else request.raw_path
        head += [(b":scheme", request.scheme.encode("ascii")), (b":path", target)]
    if authority:
        head.append((b":authority", authority.encode("ascii")))
    if protocol is not None:
        head.append((b":protocol", protocol.encode("ascii")))
    # A Host of its own would only say the authority once more (section 8.3.1).
    lines = [line for line in sendable(fields) if line[0] != b"host" or not authority]
    length = fields.get(b"content-length")
    if length is not None and not length.isdigit():
        raise LocalError(f"Content-Length is {length!r}")
    return _Head(static_block(head + lines), -1 if length is None else int(length))


class ClientStream(Stream):
    """`method` decides what the answer may be like."""

    fresh = False
    state = State.OPEN
    started = True
    method = ""


class Http2Client(TimedConnection):
    """The codec of a client."""

    role = Role.CLIENT

    def __init__(self, limits: Http2Limits) -> None:
        super().__init__(limits)
        self._answers: dict[bytes, tuple[int, Fields]] = {}  # by field block, as long as the table does not change
        self._allowed = inf  # until the peer says otherwise (section 6.5.2)
        self._connect_protocol = False
        self._next = 1
        self._out.append(frames.PREFACE)
        self._out.append(
            frames.settings(
                (
                    (Setting.ENABLE_PUSH, 0),
                    (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (Setting.MAX_HEADER_LIST_SIZE, limits.head),
                )
            )
        )
        self._receive_left = max(DEFAULT_WINDOW, limits.connection_window)
        if limits.connection_window > DEFAULT_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - DEFAULT_WINDOW))

    @property
    def available(self) -> int:
        """See `ClientCodec.available`."""
        return self._left if self._greeted else 0

    @property
    def _left(self) -> int:
        if self._drain or self.closing or self._next > MAX_STREAM:
            return 0
        return max(0, int(min(self._allowed, self.limits.streams)) - len(self._streams))

    @property
    def tunnels(self) -> bool:
        """Whether the server takes extended CONNECT (RFC 8441 section 3)."""
        return self._connect_protocol

    def request(self, request: Request, *, end: bool) -> int:
        """See `ClientCodec.request`."""
        if not self._left:
            raise LocalError("no more streams can be opened")
        if request.protocol is not None and not (self._connect_protocol and request.method == "CONNECT"):
            raise LocalError("extended CONNECT was not offered")
        head = request.encoded
        if type(head) is not _Head:
            head = request.encoded = _encode(request)
        s = ClientStream()
        s.method = request.method
        s.promised = head.promised
        if end and s.promised > 0:
            raise LocalError("a body was promised")
        stream = self._next
        self._next += 2
        self._streams[stream] = s
        s.tunnel = request.protocol is not None
        self._send_head(stream, head.block, end)
        if end:
            self._ended(stream, s)
        return stream

    def _on_block(self, flags: int, stream: int, block: bytes, events: list[Event]) -> None:
        known = self._answers.get(block)
        if known is None:
            super()._on_block(flags, stream, block, events)
            return
        s = self._judged(stream, Frame.HEADERS)
        if s is None or s.headed:
            super()._on_block(flags, stream, block, events)
        else:
            self._take_response(stream, s, *known, bool(flags & Flag.END_STREAM), events)

    def _forget_requests(self) -> None:
        self._answers.clear()

    def _on_response(
        self, stream: int, s: Stream, pairs: list[Pair], ended: bool, block: bytes | None, events: list[Event]
    ) -> None:
        if self._decoder.size > self.limits.head or self._decoder.count > self.limits.fields + PSEUDO_FIELDS:
            raise StreamFault(Error.PROTOCOL_ERROR)
        status, fields = read_response(pairs)
        if block is not None and len(block) <= _KNOWN_BLOCK:
            remember(self._answers, block, (status, fields), _KNOWN)
        self._take_response(stream, s, status, fields, ended, events)

    def _take_response(
        self, stream: int, s: Stream, status: int, fields: Fields, ended: bool, events: list[Event]
    ) -> None:
        if status < 200:
            if ended:
                raise StreamFault(Error.PROTOCOL_ERROR)
            events.append(ResponseReceived(stream, status, fields, False))
            return
        assert isinstance(s, ClientStream)
        s.headed = True
        s.tunnel = s.method == "CONNECT" and status < 300
        bodiless = s.method == "HEAD" or status in _NO_BODY
        s.expected = 0 if bodiless else declared_length(fields)
        if ended and s.expected > 0:
            raise StreamFault(Error.PROTOCOL_ERROR)
        events.append(ResponseReceived(stream, status, fields, ended))
        if ended:
            self._input_ended(stream, s)

    def _opened(self, stream: int, pairs: list[Pair], ended: bool, block: bytes | None, events: list[Event]) -> None:
        raise ConnectionFault(Error.PROTOCOL_ERROR)  # nothing was promised, so nothing can be pushed

    def _refuse(self, stream: int, s: Stream, why: Reason, events: list[Event]) -> None:
        self._send_reset(stream, Error.CANCEL)
        self._gone.add(stream)
        events.append(StreamClosed(stream, why))

    def _body_limit(self) -> float:
        return inf

    def _awaited(self) -> list[tuple[int, Stream]]:
        return [
            (i, s) for i, s in self._streams.items() if s.headed and s.state <= State.HALF_CLOSED_LOCAL and not s.tunnel
        ]

    def _was_opened(self, stream: int) -> bool:
        return stream < self._next and stream & 1 == 1

    def _last_of_peer(self) -> int:
        return 0

    def _apply(self, values: dict[int, int]) -> None:
        self._shrink_table(values)
        self._allowed = values.get(Setting.MAX_CONCURRENT_STREAMS, self._allowed)
        self._connect_protocol = bool(values.get(Setting.ENABLE_CONNECT_PROTOCOL, self._connect_protocol))

    def drain(self) -> None:
        """Make no new requests; `closing` when those that are open are done."""
        if self._drain is Drain.NO and not self._over:
            self._drain = Drain.FINAL
            self._out.append(frames.goaway(0, Error.NO_ERROR))
            self._settle()
