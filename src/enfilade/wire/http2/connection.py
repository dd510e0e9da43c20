"""The receiving half of a connection, the same for both roles: bytes into frames, frames into events (RFC 9113 sections 3 to 6).

Errors inside are exceptions of two kinds: StreamFault ends its stream, ConnectionFault everything. Neither leaves `feed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.reasons import Reason, reason
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Drained,
    Event,
    MessageEnded,
    RequestReceived,
    StreamClosed,
    WindowOpened,
    join_whole,
)
from enfilade.wire.hpack import DEFAULT_TABLE_SIZE, Decoder, HpackError, static_block
from enfilade.wire.http2 import frames
from enfilade.wire.http2.frames import (
    DEFAULT_WINDOW,
    FRAME_SIZE,
    HEADER_SIZE,
    MAX_FRAME_SIZE_SETTING,
    MAX_STREAM,
    MAX_WINDOW,
)
from enfilade.wire.http2.limits import FREE_TINY, TINY, Cost, Http2Limits
from enfilade.wire.http2.messages import PSEUDO_FIELDS, Malformed, read_trailers, sendable
from enfilade.wire.http2.output import Output, Stream
from enfilade.wire.http2.states import (
    FRAME_RULES,
    MOVES,
    VERDICTS,
    Drain,
    Error,
    Flag,
    Frame,
    Role,
    Scope,
    Setting,
    State,
    Step,
    Verdict,
)

_BODY_TOO_LARGE = reason("body_too_large")
_COMPRESSION = reason("compression_error")
_FLOOD = reason("flood")
_FLOW = reason("flow_control")
_FRAME_SIZE = reason("frame_size")
_LENGTH = reason("length_mismatch")
_PROTOCOL = reason("protocol_error")
_RESET = reason("reset_by_peer")
_STREAM_CLOSED = reason("stream_closed")
_STREAM_ERROR = reason("stream_error")
_TOO_MANY = reason("too_many_streams")
_GOING = reason("shutting_down")

_TABLE_SIZE_ZERO = b"\x20"
_PLAIN_REQUEST = Flag.END_STREAM | Flag.END_HEADERS
_DRAIN_PING = b"enfilade"


class ConnectionFault(Exception):
    def __init__(self, error: Error, why: Reason = _PROTOCOL) -> None:
        super().__init__(why.text)
        self.error = error
        self.reason = why


class StreamFault(Exception):
    def __init__(self, error: Error, why: Reason = _STREAM_ERROR) -> None:
        super().__init__(why.text)
        self.error = error
        self.reason = why


_CLOSED_FAULT = (Error.STREAM_CLOSED, _STREAM_CLOSED)


class Connection(Output):
    """Everything of the codec that does not depend on the role; `Http2Server` and `Http2Client` are the rest."""

    role: Role
    wants_read = True

    def __init__(self, limits: Http2Limits) -> None:
        super().__init__(limits)
        self._rest = b""
        self._rest_since = 0.0
        self._preface = frames.PREFACE if self.role is Role.SERVER else b""
        self._greeted = False
        self._acked = False
        self._over = False
        self._told = False
        self._last = 0
        self._block: bytearray | None = None
        self._block_stream = self._block_flags = self._block_frames = 0
        self._block_since = 0.0
        self._plain = True  # no block is open and no GOAWAY is final
        self._decoder = Decoder()
        self._known: dict[bytes, Stream] = {}
        self._prefix = b""
        self._prefixed = self._bodies = False  # of bodies: whether some came in this read
        self._tiny = 0
        self._began: float | None = None
        self._pulse = self._idle_since = 0.0
        self._drain_since: float | None = None
        self._read_bytes = self._read_mark = self._sent_mark = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._streams)} streams, last {self._last}, drain {self._drain.name}>"

    # -- bytes in

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Take what the socket gave (`b""`: the peer's end of stream) and say what happened."""
        events: list[Event] = []
        self._now = now
        if self._began is None:
            self._start_clock(now)
        if self._gone:
            self._gone.clear()
        if not data:
            self._end_of_input(events)
        if self.closing:
            return events
        self._read_bytes += len(data)
        try:
            self._read(self._rest + data if self._rest else data, events)
        except ConnectionFault as fault:
            self._fail(fault.error, fault.reason, events)
        if self._bodies:
            self._bodies = False
            return join_whole(events, self.consumed)
        return events

    def _read(self, data: bytes, events: list[Event]) -> None:
        """The hot loop. A request whose field block is known (but for its path) while the dynamic table stays as it is needs no
        more than this: its stream is the known one, shared until somebody changes it."""
        offset = 0
        size = len(data)
        if self._preface:
            offset = self._read_preface(data)
            if not offset:
                self._rest_since = self._now if not self._rest else self._rest_since
                self._rest = data
                return
        unpack = frames.unpack_header
        known = self._known
        streams = self._streams
        last = self._last
        room = self._room()
        while size - offset >= HEADER_SIZE:
            word, flags, stream = unpack(data, offset)
            start = offset + HEADER_SIZE
            end = start + (word >> 8)
            if end > size:
                if word >> 8 > FRAME_SIZE:
                    raise ConnectionFault(Error.FRAME_SIZE_ERROR, _FRAME_SIZE)
                break
            offset = end
            if flags == _PLAIN_REQUEST and word & 0xFF == 1 and stream > last and stream & 0x80000001 == 1 and room > 0:
                block = data[start:end]
                s = known.get(block) or self._similar(block)
                if s is not None:
                    streams[stream] = s
                    last = stream
                    room -= 1
                    events.append(RequestReceived(stream, s.request, True))
                    continue
            self._last = last
            self._frame(word & 0xFF, flags, stream & MAX_STREAM, data[start:end], events)
            if self.closing:
                return
            last = self._last
            room = self._room()
        self._last = last
        if offset < size:
            if offset or not self._rest:
                self._rest_since = self._now
            self._rest = data[offset:]
        elif self._rest:
            self._rest = b""
        if events:
            self._idle_since = self._now

    def _room(self) -> int:
        """How many streams may be opened the short way: none while a block is open or GOAWAY is final."""
        return self.limits.streams - len(self._streams) if self._plain else 0

    def _read_preface(self, data: bytes) -> int:
        if not self._preface.startswith(data[: len(self._preface)]):
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        if len(data) < len(self._preface):
            return 0
        length = len(self._preface)
        self._preface = b""
        return length

    def _end_of_input(self, events: list[Event]) -> None:
        self.linger = False
        if not self._told:
            self._told = True
            events.append(ConnectionClosed(reason("client_gone") if self._streams else None))
        self._finish()

    def _fail(self, error: Error, why: Reason, events: list[Event]) -> None:
        """The connection is out of order: GOAWAY, and no more (section 5.4.1)."""
        self._out.append(frames.goaway(self._last_of_peer(), error))
        self._told = True
        events.append(ConnectionClosed(why))
        self._finish()

    def _finish(self) -> None:
        self._over = self.closing = True
        self._gone.update(self._streams)
        self._streams.clear()
        self._ready.clear()
        self._blocked.clear()
        self._waiting.clear()
        self._rest = b""
        self._block = None

    def _charge(self, cost: int) -> None:
        if not self._budget.spend(cost, self._now):
            raise ConnectionFault(Error.ENHANCE_YOUR_CALM, _FLOOD)

    # -- frames

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        """One frame by the tables."""
        if self._block is not None and (kind != Frame.CONTINUATION or stream != self._block_stream):
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        if not self._greeted:
            if kind != Frame.SETTINGS or flags & Flag.ACK:
                raise ConnectionFault(Error.PROTOCOL_ERROR)
            self._greeted = True
        if len(payload) > FRAME_SIZE:
            raise ConnectionFault(Error.FRAME_SIZE_ERROR, _FRAME_SIZE)
        rule = FRAME_RULES.get(kind)
        if rule is None:
            self._charge(Cost.OTHER)
            return
        if (rule.scope is Scope.STREAM and not stream) or (rule.scope is Scope.CONNECTION and stream):
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        if self.role not in rule.roles:
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        if len(payload) < rule.least or (rule.most is not None and len(payload) > rule.most):
            raise ConnectionFault(Error.FRAME_SIZE_ERROR, _FRAME_SIZE)
        try:
            self._HANDLERS[kind](self, flags, stream, payload, events)
        except StreamFault as fault:
            self._end_stream(stream, fault.error, fault.reason, events)
        except Malformed as malformed:
            self._end_stream(stream, Error.PROTOCOL_ERROR, malformed.reason, events)
        except frames.BadPadding:
            raise ConnectionFault(Error.PROTOCOL_ERROR) from None

    def _end_stream(self, stream: int, error: Error, why: Reason, events: list[Event]) -> None:
        """RST_STREAM because of what the peer did, at its cost."""
        self._send_reset(stream, error)
        self._gone.add(stream)
        events.append(StreamClosed(stream, why))
        self._charge(Cost.OUR_RESET)

    def _state(self, stream: int) -> State:
        s = self._streams.get(stream)
        if s is not None:
            return s.state
        if stream in self._reset:
            return State.RESET
        if self._was_opened(stream):
            return State.CLOSED
        return State.RESET if self._drain is Drain.FINAL and self.role is Role.SERVER else State.IDLE

    def _judged(self, stream: int, kind: Frame) -> Stream | None:
        """The stream that takes the frame; None where the frame is to be ignored."""
        verdict = VERDICTS[self._state(stream)][kind]
        if verdict is Verdict.TAKE:
            return self._streams[stream]
        if verdict is Verdict.IGNORE:
            return None
        if verdict is Verdict.STREAM_ERROR_CLOSED:
            raise StreamFault(*_CLOSED_FAULT)
        if verdict is Verdict.CONNECTION_ERROR_CLOSED:
            raise ConnectionFault(*_CLOSED_FAULT)
        raise ConnectionFault(Error.PROTOCOL_ERROR)

    def _on_headers(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        block = frames.without_padding(payload, flags)
        if flags & Flag.PRIORITY:
            if len(block) < 5:
                raise ConnectionFault(Error.FRAME_SIZE_ERROR, _FRAME_SIZE)
            block = block[5:]
        if flags & Flag.END_HEADERS:
            self._on_block(flags, stream, block, events)
            return
        self._block = bytearray(block)
        self._block_stream, self._block_flags, self._block_frames = stream, flags, 0
        self._block_since = self._now
        self._plain = False

    def _on_continuation(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if self._block is None:
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        self._block += payload
        self._block_frames += 1
        # A block of twice the limit is not worth decoding to say 431 (CVE-2024-27316 and its kin).
        if self._block_frames > self.limits.continuations or len(self._block) > 2 * self.limits.head:
            raise ConnectionFault(Error.ENHANCE_YOUR_CALM, _FLOOD)
        if flags & Flag.END_HEADERS:
            block, self._block = bytes(self._block), None
            self._plain = self._drain is not Drain.FINAL
            self._on_block(self._block_flags, stream, block, events)

    def _on_block(self, flags: int, stream: int, block: bytes, events: list[Event]) -> None:
        """A whole field block. It is decoded whatever becomes of it: the tables must stay the same on both ends."""
        decoder = self._decoder
        generation = decoder.generation
        try:
            pairs = decoder.decode(block, self.limits.head, self.limits.fields + PSEUDO_FIELDS)
        except HpackError:
            raise ConnectionFault(Error.COMPRESSION_ERROR, _COMPRESSION) from None
        if decoder.generation != generation:
            self._forget_requests()
        ended = bool(flags & Flag.END_STREAM)
        if VERDICTS[self._state(stream)][Frame.HEADERS] is Verdict.OPEN:
            self._opened(stream, pairs, ended, block if decoder.generation == generation else None, events)
            return
        s = self._judged(stream, Frame.HEADERS)
        if s is None:
            self._charge(Cost.OTHER)
            return
        if s.headed:
            self._on_trailers(stream, s, pairs, ended, events)
        else:
            self._on_response(stream, s, pairs, ended, block if decoder.generation == generation else None, events)

    def _on_trailers(self, stream: int, s: Stream, pairs: list[Pair], ended: bool, events: list[Event]) -> None:
        if not ended or s.tunnel or self._decoder.size > self.limits.head or self._decoder.count > self.limits.fields:
            raise StreamFault(Error.PROTOCOL_ERROR)
        trailers = read_trailers(pairs)
        if s.expected > 0:
            raise StreamFault(Error.PROTOCOL_ERROR, _LENGTH)
        if not s.refused:
            events.append(MessageEnded(stream, trailers))
        self._input_ended(stream, s)

    def _on_data(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        self._bodies = True
        cost = len(payload)
        self._receive_left -= cost
        if self._receive_left < 0:
            raise ConnectionFault(Error.FLOW_CONTROL_ERROR, _FLOW)
        data = frames.without_padding(payload, flags)
        if not data and not flags & Flag.END_STREAM:
            self._charge(Cost.EMPTY_DATA)
        try:
            s = self._judged(stream, Frame.DATA)
            if s is not None:
                self._count_data(s, data, cost, bool(flags & Flag.END_STREAM))
        except StreamFault:
            self.consumed(stream, cost)
            raise
        if s is None:
            self.consumed(stream, cost)
            return
        if s.received > self._body_limit() and not s.refused and not s.tunnel:
            self._refuse(stream, s, _BODY_TOO_LARGE, events)
        if s.refused or not data:
            self.consumed(stream, cost)
            s.spare -= cost
            if s.spare < 0 and s.answered is not None and not flags & Flag.END_STREAM:
                self._send_reset(stream, Error.NO_ERROR)
        else:
            events.append(DataReceived(stream, data, cost))
        if flags & Flag.END_STREAM:
            if not s.refused:
                events.append(MessageEnded(stream, NO_FIELDS))
            self._input_ended(stream, s)

    def _count_data(self, s: Stream, data: bytes, cost: int, ended: bool) -> None:
        """Section 6.9 and 8.1.1: within the window, and as long as Content-Length says."""
        if not s.headed:
            raise StreamFault(Error.PROTOCOL_ERROR)
        s.held += cost
        if s.held > self.limits.stream_window and (self._acked or s.held > DEFAULT_WINDOW):
            raise StreamFault(Error.FLOW_CONTROL_ERROR, _FLOW)
        s.received += len(data)
        if s.expected >= 0:
            s.expected -= len(data)
            if s.expected < 0 or (ended and s.expected):
                raise StreamFault(Error.PROTOCOL_ERROR, _LENGTH)

    def _input_ended(self, stream: int, s: Stream) -> None:
        s.state = MOVES[s.state, Step.RECEIVE_END]
        if s.state is State.CLOSED:
            self._forget(stream)
            if self._drain:
                self._settle()

    def _on_priority(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        """Said to be of no use (section 5.3.2); so is PRIORITY_UPDATE as long as streams take equal turns (RFC 9218)."""
        self._charge(Cost.PRIORITY)

    def _on_reset(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        s = self._judged(stream, Frame.RST_STREAM)
        if s is None:
            self._charge(Cost.OTHER)
            return
        self._forget(stream)
        self._gone.add(stream)
        refused = frames.unpack_word(payload)[0] == Error.REFUSED_STREAM
        events.append(StreamClosed(stream, _TOO_MANY if refused else _RESET))
        if self._drain:
            self._settle()
        self._charge(Cost.RESET)

    def _on_settings(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if len(payload) % 6 or (flags & Flag.ACK and payload):
            raise ConnectionFault(Error.FRAME_SIZE_ERROR, _FRAME_SIZE)
        if flags & Flag.ACK:
            self._acked = True
            return
        self._charge(Cost.SETTINGS)
        values = dict(frames.read_settings(payload))
        for identifier, value in values.items():
            self._check_setting(identifier, value)
        self._apply(values)
        self._out.append(frames.SETTINGS_ACK)
        if Setting.INITIAL_WINDOW_SIZE in values:
            self._set_initial(values[Setting.INITIAL_WINDOW_SIZE], events)

    def _shrink_table(self, values: dict[int, int]) -> None:
        """We use no dynamic table. RFC 7541 section 4.2 wants to be told so once, if the peer allows less than the default."""
        if values.get(Setting.HEADER_TABLE_SIZE, DEFAULT_TABLE_SIZE) < DEFAULT_TABLE_SIZE and not self._prefixed:
            self._prefix, self._prefixed = _TABLE_SIZE_ZERO, True

    def _send_head(self, stream: int, block: bytes, end: bool) -> None:
        if self._prefix:
            block, self._prefix = self._prefix + block, b""
        super()._send_head(stream, block, end)

    def _encode(self, fields: Fields) -> bytes:
        return static_block(sendable(fields))

    def _check_setting(self, identifier: int, value: int) -> None:
        """Section 6.5.2."""
        if identifier == Setting.INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise ConnectionFault(Error.FLOW_CONTROL_ERROR, _FLOW)
        elif identifier == Setting.MAX_FRAME_SIZE:
            if not FRAME_SIZE <= value <= MAX_FRAME_SIZE_SETTING:
                raise ConnectionFault(Error.PROTOCOL_ERROR)
        elif identifier in (Setting.ENABLE_PUSH, Setting.ENABLE_CONNECT_PROTOCOL) and (
            value > 1 or (identifier == Setting.ENABLE_PUSH and value and self.role is Role.CLIENT)
        ):
            raise ConnectionFault(Error.PROTOCOL_ERROR)

    def _set_initial(self, value: int, events: list[Event]) -> None:
        """Section 6.9.2: windows follow, as what is kept of a stream is only what was spent of its window."""
        if any(value - s.spent > MAX_WINDOW for s in self._streams.values()):
            raise ConnectionFault(Error.FLOW_CONTROL_ERROR, _FLOW)
        self._initial = value
        events += [WindowOpened(i) for i in self._reopen()]

    def _on_ping(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        self._charge(Cost.PING)
        if not flags & Flag.ACK:
            self._out.append(frames.ping(payload, ack=True))
        elif payload == _DRAIN_PING:
            self._finish_drain()

    def _on_goaway(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        self._charge(Cost.OTHER)
        if self.role is Role.CLIENT:
            self._peer_drains(frames.unpack_word(payload)[0] & MAX_STREAM, events)

    def _peer_drains(self, last: int, events: list[Event]) -> None:
        self._drain = Drain.FINAL
        events.append(Drained(last))
        for lost in [i for i in self._streams if i > last]:
            self._forget(lost)
            self._gone.add(lost)
            events.append(StreamClosed(lost, _GOING))
        self._settle()

    def _on_window_update(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        increment = frames.unpack_word(payload)[0] & MAX_WINDOW
        if increment < TINY:
            self._tiny += 1
            if self._tiny * FREE_TINY > self._granted - self._window:
                self._charge(Cost.TINY_WINDOW_UPDATE)
        if stream:
            s = self._judged(stream, Frame.WINDOW_UPDATE)
            if s is None:
                return
            if not increment:
                raise StreamFault(Error.PROTOCOL_ERROR)
            if self._initial - s.spent + increment > MAX_WINDOW:
                raise StreamFault(Error.FLOW_CONTROL_ERROR, _FLOW)
            self._own(stream, s).spent -= increment
        else:
            if not increment:
                raise ConnectionFault(Error.PROTOCOL_ERROR)
            self._window += increment
            self._granted += increment
            if self._window > MAX_WINDOW:
                raise ConnectionFault(Error.FLOW_CONTROL_ERROR, _FLOW)
        events += [WindowOpened(i) for i in self._reopen(stream)]

    def _on_push_promise(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        self._judged(stream, Frame.PUSH_PROMISE)

    def _on_priority_update(self, flags: int, stream: int, payload: bytes, events: list[Event]) -> None:
        if not frames.unpack_word(payload)[0] & MAX_STREAM:
            raise ConnectionFault(Error.PROTOCOL_ERROR)
        self._charge(Cost.PRIORITY)

    _Handler = Callable[["Connection", int, int, bytes, list[Event]], None]
    _HANDLERS: ClassVar[dict[int, _Handler]] = {
        Frame.DATA: _on_data,
        Frame.HEADERS: _on_headers,
        Frame.PRIORITY: _on_priority,
        Frame.RST_STREAM: _on_reset,
        Frame.SETTINGS: _on_settings,
        Frame.PUSH_PROMISE: _on_push_promise,
        Frame.PING: _on_ping,
        Frame.GOAWAY: _on_goaway,
        Frame.WINDOW_UPDATE: _on_window_update,
        Frame.CONTINUATION: _on_continuation,
        Frame.PRIORITY_UPDATE: _on_priority_update,
    }

    # -- what the roles say

    def _similar(self, block: bytes) -> Stream | None:
        """The stream for a request that differs only in its path from one that is remembered, if it is one."""
        return None

    def _forget_requests(self) -> None:
        """What blocks meant does not hold any more."""

    def _was_opened(self, stream: int) -> bool:
        """Whether `stream`, which is not open now, once was."""
        raise NotImplementedError

    def _last_of_peer(self) -> int:
        """The last stream of the peer's that was taken, for GOAWAY."""
        raise NotImplementedError

    def _opened(self, stream: int, pairs: list[Pair], ended: bool, block: bytes | None, events: list[Event]) -> None:
        """The peer opens `stream`; `block` may be remembered for the same fields."""
        raise NotImplementedError

    def _on_response(
        self, stream: int, s: Stream, pairs: list[Pair], ended: bool, block: bytes | None, events: list[Event]
    ) -> None:
        """The peer answers on `stream`; `block` as in `_opened`."""
        raise NotImplementedError

    def _apply(self, values: dict[int, int]) -> None:
        """The peer's settings other than its window."""
        raise NotImplementedError

    def _body_limit(self) -> float:
        raise NotImplementedError

    def _refuse(self, stream: int, s: Stream, why: Reason, events: list[Event]) -> None:
        """The message on `stream` goes no further."""
        raise NotImplementedError

    # -- the end

    def drain(self) -> None:
        """Take no new requests; `closing` when those that are open are done."""
        if self._drain is Drain.NO and not self._over:
            self._drain = Drain.ANNOUNCED
            # PING first: some clients take GOAWAY for the last frame of all.
            self._out.append(frames.ping(_DRAIN_PING, ack=False))
            self._out.append(frames.goaway(MAX_STREAM, Error.NO_ERROR))

    def _finish_drain(self) -> None:
        if self._drain is Drain.ANNOUNCED:
            self._drain = Drain.FINAL
            self._plain = False
            self._out.append(frames.goaway(self._last_of_peer(), Error.NO_ERROR))
            self._settle()

    def _start_clock(self, now: float) -> None:
        self._began = self._pulse = self._idle_since = now
