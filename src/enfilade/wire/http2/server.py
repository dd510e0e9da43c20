"""The server's side of an HTTP/2 connection."""

from __future__ import annotations

from typing import NamedTuple

from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.memory import remember
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.http.uri import UriError, split_target
from enfilade.wire.codec import DateStamp, LocalError
from enfilade.wire.events import Event, Rejected, RequestReceived
from enfilade.wire.http2 import frames
from enfilade.wire.http2.connection import ConnectionFault, StreamFault
from enfilade.wire.http2.frames import DEFAULT_WINDOW, FRAME_SIZE, pack_word
from enfilade.wire.http2.limits import Cost, Http2Limits
from enfilade.wire.http2.messages import (
    PSEUDO_FIELDS,
    EncodedFields,
    Malformed,
    date_field,
    declared_length,
    encoded,
    length_field,
    read_request,
    status_field,
)
from enfilade.wire.http2.output import NO_REQUEST, Stream
from enfilade.wire.http2.states import VERDICTS, Error, Flag, Frame, Role, Setting, State, Verdict
from enfilade.wire.http2.timed import TimedConnection

_BODY_TOO_LARGE = reason("body_too_large")
_HEAD_TOO_LARGE = reason("head_too_large")
_LENGTH = reason("length_mismatch")
_TOO_MANY_FIELDS = reason("too_many_fields")
_TOO_MANY_STREAMS = reason("too_many_streams")

LINGER = 5.0
"""Seconds that the rest of a request may take whose answer is complete (nginx: lingering_timeout 5 s)."""
_KNOWN = 32
_KNOWN_BLOCK = 1024
_KNOWN_SIZE = 8192
"""So many requests a connection are remembered by their field blocks, of so many bytes and so many when decoded."""


def _has_no_body(s: Stream, status: int) -> bool:
    return status == 204 or status == 304 or s.request.method == "HEAD"


class Shape(NamedTuple):
    """A request and its field block without its path: what stands before it and behind it, all of it indexed. `size` is that of
    the other fields when decoded, with the path's own overhead."""

    before: bytes
    after: bytes
    size: int
    request: Request


class Http2Server(TimedConnection):
    """The codec of a server. `scheme` is the connection's; `now`: when it was accepted, None: at the first call that tells."""

    role = Role.SERVER
    behind = False

    def __init__(self, scheme: str, limits: Http2Limits, date: DateStamp, now: float | None = None) -> None:
        super().__init__(limits)
        if now is not None:
            self._start_clock(now)
        self._scheme = scheme
        self._date = date
        self._shape: Shape | None = None
        self._uploads: dict[bytes, tuple[Request, int]] = {}  # requests with a body, and its length, as `_known`
        self._out.append(
            frames.settings(
                (
                    (Setting.MAX_CONCURRENT_STREAMS, limits.streams),
                    (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
                    (Setting.MAX_HEADER_LIST_SIZE, limits.head),
                    (Setting.ENABLE_CONNECT_PROTOCOL, 1),
                )
            )
        )
        self._receive_left = max(DEFAULT_WINDOW, limits.connection_window)
        if limits.connection_window > DEFAULT_WINDOW:
            self._out.append(frames.window_update(0, limits.connection_window - DEFAULT_WINDOW))

    def forget(self) -> None:
        """See `ServerCodec.forget`."""
        self._forget_requests()
        self._decoder.forget()

    def resume(self, now: float) -> list[Event]:
        """See `ServerCodec.resume`: streams do not wait for each other."""
        return []

    # -- answers

    def respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        """A whole response at once. Content-Length and Date are added where they are missing; what does not fit the window
        is kept, and sent as it opens."""
        s = self._streams.get(stream)
        known: EncodedFields | None = fields.encoded_http2  # type: ignore[assignment]  # nobody else writes it
        if s is not None and s.fresh and known is not None:
            size = len(body)
            if (
                known.status == status
                and known.size == size
                and known.date is self._date.value
                and size <= self._window
                and size <= self._initial - s.spent
                and not self._prefix
            ):
                identifier = pack_word(stream)
                self._out += (known.before, identifier, known.between, identifier, body)
                self._window -= size
                del self._streams[stream]
                if self._drain:
                    self._settle()
                return
        self._respond(stream, status, fields, body)

    def _respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        s = self._found(stream)
        if s is None:
            return
        known = encoded(fields)
        block = self._head(s, status, known)
        bodiless = _has_no_body(s, status)
        size = len(body)
        if known.length is None:
            if status != 204 and status != 304 and (size or not bodiless):
                block += length_field(size)
        elif known.length != size and not bodiless:
            raise LocalError(f"a body of {size} bytes with Content-Length {known.length} on stream {stream}")
        if bodiless or not size:
            self._send_head(stream, block, True)
        elif size <= min(self._window, self._initial - s.spent, FRAME_SIZE) and self._fits(block):
            known.before = frames.head(Frame.HEADERS, Flag.END_HEADERS, len(block))
            known.between = block + frames.head(Frame.DATA, Flag.END_STREAM, size)
            known.status, known.size, known.date = status, size, self._date.value
            identifier = pack_word(stream)
            self._out += (known.before, identifier, known.between, identifier, body)
            self._window -= size
        else:
            self._send_head(stream, block, False)
            s = self._own(stream, s)
            s.started, s.tunnel = True, False
            self._keep(stream, s, memoryview(body))
            return
        self._ended(stream, s)

    def _fits(self, block: bytes) -> bool:
        """Whether `block` is one frame as it is."""
        return len(block) <= FRAME_SIZE and not self._prefix

    def start(self, stream: int, status: int, fields: Fields) -> None:
        """The head of a response; `data` and `end` follow."""
        s = self._sendable(stream)
        if s is None:
            return
        known = encoded(fields)
        block = self._head(s, status, known)
        s.bodiless, s.tunnel = _has_no_body(s, status), False
        if known.length is not None and not s.bodiless:
            s.promised = known.length
        self._send_head(stream, block, False)
        s.started = True

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """An interim response, 100 to 199 but not 101."""
        s = self._sendable(stream)
        if s is None:
            return
        if s.started or not 100 <= status <= 199 or status == 101:
            raise LocalError(f"no interim response {status} on stream {stream} now")
        self._send_head(stream, status_field(status) + encoded(fields).block, False)

    def consumed(self, stream: int, size: int) -> None:
        """See `Codec.consumed`: to whoever waits for 100 (Continue), the first call sends it (RFC 9110 section 10.1.1)."""
        s = self._streams.get(stream)
        if s is not None and s.expects:
            s.expects = False
            if not (s.received or s.started):
                self.inform(stream, 100, NO_FIELDS)
        super().consumed(stream, size)

    def accept(self, stream: int, fields: Fields) -> None:
        """Answer an extended CONNECT with 200 (RFC 8441 section 5): what follows is the tunnel's."""
        s = self._sendable(stream)
        if s is None:
            return
        if s.request.protocol is None or s.refused:
            raise LocalError(f"stream {stream} asked for no tunnel")
        self._send_head(stream, self._head(s, 200, encoded(fields)), False)
        s.started = True

    def _head(self, s: Stream, status: int, known: EncodedFields) -> bytes:
        """The block of a final response, as far as its fields say."""
        if s.started or not 200 <= status <= 999:
            raise LocalError(f"no response {status} can be sent now")
        return status_field(status) + known.block + (b"" if known.dated else date_field(self._date.value))

    def _ended(self, stream: int, s: Stream) -> None:
        """An answer that is complete before its request is: the rest of that is not wanted (section 8.1). It is dropped for a
        while: clients that are told so at once, while they still send, throw the answer away (curl 7.88, httpx 0.28)."""
        super()._ended(stream, s)
        if s.state is State.HALF_CLOSED_LOCAL and not (s.tunnel and s.started):
            self._budget.spend(Cost.EARLY_ANSWER, self._now)
            if s.request.protocol is not None:
                self._send_reset(stream, Error.NO_ERROR)
            s.refused, s.answered = True, self._now

    def _check_input(self, now: float, events: list[Event]) -> None:
        super()._check_input(now, events)
        for stream, s in list(self._streams.items()):
            if s.answered is not None and now - s.answered >= LINGER:
                self._send_reset(stream, Error.NO_ERROR)

    # -- requests

    def _on_block(self, flags: int, stream: int, block: bytes, events: list[Event]) -> None:
        known = self._uploads.get(block)
        if known is None or flags & Flag.END_STREAM or VERDICTS[self._state(stream)][Frame.HEADERS] is not Verdict.OPEN:
            super()._on_block(flags, stream, block, events)
        else:
            self._number(stream)
            self._open(stream, *known, False)
            events.append(RequestReceived(stream, known[0], False))

    def _number(self, stream: int) -> None:
        """A new stream."""
        if not stream & 1:  # section 5.1.1
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        self._last = stream
        if len(self._streams) >= self.limits.streams:
            raise StreamFault(Error.REFUSED_STREAM, _TOO_MANY_STREAMS)

    def _open(self, stream: int, request: Request, length: int, ended: bool) -> Stream:
        s = self._streams[stream] = Stream()
        s.request, s.headed, s.expected = request, True, length
        if not ended:
            s.state, s.fresh = State.OPEN, False
            s.tunnel = request.protocol is not None
            s.expects = b"expect" in request.fields  # nothing but 100-continue comes through
        elif request.method == "HEAD":
            s.fresh = False
        return s

    def _opened(self, stream: int, pairs: list[Pair], ended: bool, block: bytes | None, events: list[Event]) -> None:
        self._number(stream)
        try:
            request, refusal = read_request(pairs, self._scheme, self.limits.request_line)
            length = declared_length(request.fields)
        except Malformed:
            if not self._cut():
                raise
            request, refusal, length = NO_REQUEST, None, -1
        if ended and length > 0:
            raise Malformed(_LENGTH)
        refusal = self._too_large(request, length) or refusal
        s = self._open(stream, request, length, ended)
        if refusal is not None:
            self._refuse(stream, s, refusal, events)
            return
        events.append(RequestReceived(stream, request, ended))
        if block is None or len(block) > _KNOWN_BLOCK or self._decoder.size > _KNOWN_SIZE:
            return
        if s.fresh:
            remember(self._known, block, s, _KNOWN)
            self._remember_shape(block, request)
        elif not ended and request.protocol is None:
            remember(self._uploads, block, (request, length), _KNOWN)

    def _cut(self) -> bool:
        """Whether the last block had more fields than were decoded."""
        return self._decoder.size > self.limits.head or self._decoder.count > self.limits.fields + PSEUDO_FIELDS

    def _too_large(self, request: Request, length: int) -> Reason | None:
        if self._decoder.size > self.limits.head:
            return _HEAD_TOO_LARGE
        if len(request.fields) > self.limits.fields or self._cut():
            return _TOO_MANY_FIELDS
        return _BODY_TOO_LARGE if length > self.limits.body else None

    def _remember_shape(self, block: bytes, request: Request) -> None:
        """If the path is all that `block` says by itself, remember the rest of it."""
        place = self._decoder.literal
        if place is None or request.method in ("HEAD", "OPTIONS") or request.protocol:
            return
        start, end = place
        path = self._decoder.path(block, start, end)
        if path is not None:
            self._shape = Shape(block[:start], block[end:], self._decoder.size - len(path), request)

    def _similar(self, block: bytes) -> Stream | None:
        shape = self._shape
        if shape is None:
            return None
        before, after, size, like = shape
        start = len(before)
        end = len(block) - len(after)
        if end <= start or not (block.startswith(before) and block.endswith(after)):
            return None
        target = self._decoder.path(block, start, end)
        if target is None or len(target) > self.limits.request_line or size + len(target) > self.limits.head:
            return None
        try:
            path, raw_path, query = split_target(target)
        except UriError:
            return None
        s = Stream()
        s.request = Request(
            like.method, like.scheme, like.authority, like.host, path, raw_path, query, like.fields, "2"
        )  # fmt: skip
        s.headed = True
        remember(self._known, block, s, _KNOWN)
        return s

    def _forget_requests(self) -> None:
        self._known.clear()
        self._uploads.clear()
        self._shape = None

    def _refuse(self, stream: int, s: Stream, why: Reason, events: list[Event]) -> None:
        s.refused = True
        s.fresh = False
        events.append(Rejected(stream, why, None if s.request is NO_REQUEST else s.request))

    def _body_limit(self) -> float:
        return self.limits.body

    def _awaited(self) -> list[tuple[int, Stream]]:
        return [(i, s) for i, s in self._streams.items() if s.state is State.OPEN and not (s.tunnel or s.refused)]

    def _was_opened(self, stream: int) -> bool:
        return stream <= self._last and stream & 1 == 1

    def _last_of_peer(self) -> int:
        return self._last

    def _apply(self, values: dict[int, int]) -> None:
        self._shrink_table(values)
