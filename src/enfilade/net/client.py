"""A connection that we made to a peer: calls go out through a client's engine, and answers come back to their callers.

An answer that is complete in one read is handed over whole; any other flows, and so does the body of a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from enfilade.exchange.bodies import BodyAborted, Stream, empty_body
from enfilade.exchange.call import Call, Home
from enfilade.exchange.response import Body, Response, Tunnel
from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, Source, reason
from enfilade.net.connection import Connection
from enfilade.net.context import ConnectionContext, ConnectionLimits, Tracked
from enfilade.net.senders import Sender, StreamSender, together
from enfilade.observe.metrics import ConnectionMeter
from enfilade.wire.codec import ClientCodec, HeadTooLarge, LocalError
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Drained,
    Event,
    MessageEnded,
    ResponseReceived,
    StreamClosed,
    WindowOpened,
)

log = logging.getLogger("enfilade.upstream")

_ANSWER_TIMEOUT = reason("answer_timeout")
_BAD_RESPONSE = reason("bad_response")
_CLIENT_GONE = reason("client_gone")
_HEAD_TOO_LARGE = reason("head_too_large")
_INTERNAL = reason("internal")
_NO_TUNNEL = reason("no_tunnel")
_RESET = reason("upstream_reset")
_SHUTTING_DOWN = reason("shutting_down")
_SILENCE = reason("silence_timeout")
_TOTAL = reason("total_timeout")
_UNASKED = reason("unasked_response")
_UPSTREAM_GONE = reason("upstream_gone")

_UNPROCESSED = (reason("too_many_streams"), reason("shutting_down"))
"""A peer that closes a stream so says that it has done nothing with the request (RFC 9113 sections 6.8 and 8.7)."""

# What engines, whose reasons are those of a server, say where it was the peer who did it. Anything else is a bad response.
_MEANING = {
    "body_cut": _UPSTREAM_GONE,
    "client_gone": _UPSTREAM_GONE,
    "idle_timeout": _UPSTREAM_GONE,
    "internal": _INTERNAL,
    "head_timeout": reason("connect_timeout"),  # HTTP/2's SETTINGS, which come before any answer
    "read_timeout": reason("upload_timeout"),
    "reset_by_peer": _RESET,
    "too_many_streams": _RESET,
    "shutting_down": _UPSTREAM_GONE,
}

_NOBODY = empty_body()

SURPLUS = 1.0
"""Seconds without a call after which a connection goes that is one more than its pool keeps: bursts must not dial each time."""
EXPECT_PATIENCE = 1.0
"""Seconds that the peer is waited for with 100 (Continue), before the body is sent anyway (RFC 9110 section 10.1.1; as curl)."""


class CallLimits:
    """Seconds; 0: no limit. `head`: from the request to the head of its answer; `silence`: between two bytes of the answer;
    `total`: for all of it; `keep_alive`: that a connection without calls is kept."""

    __slots__ = ("head", "keep_alive", "silence", "total")

    def __init__(
        self, *, head: float = 60.0, silence: float = 60.0, total: float = 0.0, keep_alive: float = 60.0
    ) -> None:
        self.head = head
        self.silence = silence
        self.total = total
        self.keep_alive = keep_alive


class ClientContext(ConnectionContext):
    """What the connections to the peers of one upstream share. `calls`: the limits of what they carry."""

    __slots__ = ("calls",)

    def __init__(
        self, *, calls: CallLimits, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits, meter: ConnectionMeter,
        connections: set[Tracked],
    ) -> None:  # fmt: skip
        super().__init__(loop=loop, limits=limits, meter=meter, connections=connections)
        self.calls = calls

    def opened(self, connection: Tracked, ends: Ends) -> None:
        self.connections.add(connection)

    def closed(self, connection: Tracked, ends: Ends) -> None:
        self.connections.discard(connection)


Engine = Callable[[str | None], tuple[ClientCodec, bool]]
"""Makes the engine of a connection by the protocol that TLS agreed on (ALPN); and says whether many calls can share it."""


def _meaning(why: Reason) -> Reason:
    """What a call's caller is told; our own applications say what went wrong themselves."""
    return why if why.source in (Source.UPSTREAM, Source.APPLICATION) else _MEANING.get(why.name, _BAD_RESPONSE)


class Flow:
    """What of a call does not come or go in one piece: its request's body, its answer's, or a tunnel.
    `expected_at`: since when the body waits for 100 (Continue); None if it does not."""

    __slots__ = ("expected_at", "inbound", "outbound", "tunnel")

    def __init__(self) -> None:
        self.outbound: StreamSender | None = None
        self.inbound: Stream | None = None
        self.tunnel = False
        self.expected_at: float | None = None


class ClientConnection(Connection):
    """A `Channel`. What the calls that share one have to say is written together, at the end of the turn."""

    __slots__ = ("_at_home", "_engine", "_flows", "_home", "_idle_since", "_now", "_retired", "shared")

    codec: ClientCodec
    open: dict[int, Call]
    service: ClientContext
    gone: ClassVar[Reason] = _UPSTREAM_GONE
    slow_reader: ClassVar[Reason] = reason("upload_timeout")

    def __init__(self, context: ClientContext, home: Home, engine: Engine) -> None:
        super().__init__(context)
        self._home = home
        self._engine = engine
        self._flows: dict[int, Flow] = {}
        self._at_home = self._retired = False
        self._now = self._idle_since = context.clock()
        self.shared = False

    # -- what the transport calls

    def make_codec(self, now: float) -> ClientCodec:
        codec, self.shared = self._engine(self.ends.alpn)
        return codec

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.flush()  # the preface of HTTP/2
        self._come_home()

    def data_received(self, data: bytes) -> None:
        now = self._now = self.service.clock()
        self.received += len(data)
        codec = self.codec
        events = codec.feed(data, now)
        if len(events) > 1:
            together(self.dispatch, events)
        else:
            for event in events:
                _HANDLE[type(event)](self, event)
        if not self._at_home:
            self._come_home()
        # HTTP/1 has nothing to say to an answer: what goes out, goes out with a call or with its body.
        if self.shared or codec.closing or codec.wants_read is not self._reading:
            self.flush()

    def eof_received(self) -> bool:
        self._eof = True
        self._now = self.service.clock()
        self._leave_home(_UPSTREAM_GONE)
        self.dispatch(self.codec.feed(b"", self._now))
        self.flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_home(_UPSTREAM_GONE)
        super().connection_lost(exc)

    @property
    def made(self) -> bool:
        """Whether there was a connection at all."""
        return hasattr(self, "transport")

    # -- Channel

    @property
    def room(self) -> int:
        """How many calls it can take now."""
        return 0 if self._retired or self.transport.is_closing() else self.codec.available

    def carry(self, call: Call) -> None:
        """See `Channel.carry`."""
        codec, request = self.codec, call.request
        whole = b"" if call.body is _NOBODY else call.body.whole
        call.channel = self
        try:
            # An upgrade is a request without a body in HTTP/1, and the beginning of the tunnel where streams are many.
            end = whole == b"" and (request.protocol is None or not self.shared)
            stream = call.stream = codec.request(request, end=end)
        except LocalError as e:
            self._refuse(call, e)
            return
        call.sent = True
        call.began = call.heard_at = self._now = self.service.clock()
        self.open[stream] = call
        if whole is None or len(whole) > codec.window(stream):
            self._begin_body(call)
        elif whole:
            codec.data(stream, whole, end=True)
        if self.shared:
            self.flush_soon()
        else:
            self.flush()

    def _refuse(self, call: Call, e: LocalError) -> None:
        """The engine cannot say this to this peer, and has said nothing."""
        call.channel = None
        if isinstance(e, HeadTooLarge):
            why = _HEAD_TOO_LARGE
        elif call.request.protocol is not None and self.shared:
            why = _NO_TUNNEL
        else:
            why = _INTERNAL
            log.error("%r cannot be sent: %s", call.request, e)
        call.caller.over(call, why)
        if self.room:
            self._home.freed(self)

    def cancel(self, call: Call, why: Reason) -> None:
        """See `Channel.cancel`."""
        if self.open.get(call.stream) is call:
            self.codec.reset(call.stream, why)
            self._break(call, why)
            self._freed()
            self.flush_soon()

    def retire(self) -> None:
        """See `Channel.retire`."""
        self._leave_home(_UPSTREAM_GONE)
        self.codec.drain()
        self.flush()

    def _come_home(self) -> None:
        """HTTP/2 says in its first frame how many calls it takes, and of which kind: until then it takes none."""
        if not self._retired and self.codec.available:
            self._at_home = True
            self._home.opened(self)

    def _leave_home(self, why: Reason) -> None:
        if self._retired:
            return
        self._retired = True
        if self._at_home:
            self._home.lost(self)
        else:
            log.warning("%s: %s (%s)", self.ends.client[0], why.text, why.name)
            self._home.refused(why)

    # -- events of the engine

    def dispatch(self, events: list[Event]) -> None:
        if len(events) > 1 and type(events[-1]) is ConnectionClosed and events[-1].reason is not None:
            events = events[-1:]  # an answer with something behind it is not to be trusted either
        for event in events:
            _HANDLE[type(event)](self, event)

    def _response(self, event: ResponseReceived) -> None:
        call = self.open.get(event.stream)
        if call is None:
            return
        call.heard_at = self._now
        status = event.status
        if status < 200 and status != 101:
            self._informed(call, status, event.fields)
            return
        call.status = status
        body: Body
        if event.ended:
            self._release(call)
            if event.trailers is NO_FIELDS:
                call.caller.answered(call, Response(status, event.fields, event.body))
            else:
                call.caller.answered(call, Response(status, event.fields, Stream.of(event.body, event.trailers)))
                call.caller.over(call, None)
            return
        flow = self._flow(event.stream)
        if call.request.protocol is not None and (status == 101 or (status < 300 and call.request.method == "CONNECT")):
            flow.tunnel, flow.inbound = True, Stream(on_taken=partial(self._taken, event.stream))
            body = Tunnel(PeerPipe(self, call, flow))
        else:
            body = flow.inbound = Stream(on_taken=partial(self._taken, event.stream))
        call.caller.answered(call, Response(status, event.fields, body))

    def _informed(self, call: Call, status: int, fields: Fields) -> None:
        if status == 100:
            flow = self._flows.get(call.stream)
            if flow is not None and flow.expected_at is not None:
                self._send_body(call)
        else:
            call.caller.informed(call, status, fields)

    def _data(self, event: DataReceived) -> None:
        flow = self._flows.get(event.stream)
        if flow is None or flow.inbound is None:
            self.codec.consumed(event.stream, event.cost)
            return
        call = self.open[event.stream]
        call.heard_at = self._now
        if event.cost > len(event.data):  # padding
            self.codec.consumed(event.stream, event.cost - len(event.data))
        try:
            flow.inbound.write(event.data)  # bounded by the engine: it stops reading when too much is not taken
        except BodyAborted as e:
            self.cancel(call, e.reason)

    def _ended(self, event: MessageEnded) -> None:
        call = self.open.get(event.stream)
        flow = self._flows.get(event.stream)
        if call is None or flow is None or flow.inbound is None:
            return
        self._release(call)  # a tunnel too: nothing comes back any more (RFC 8441 section 5: as TCP's end)
        flow.inbound.end(event.trailers)
        call.caller.over(call, None)

    def _stream_closed(self, event: StreamClosed) -> None:
        call = self.open.get(event.stream)
        if call is not None:
            flow = self._flows.get(event.stream)
            begun = flow is not None and flow.expected_at is None  # a body that was read cannot be read again
            call.sent = begun or event.reason not in _UNPROCESSED
            self._tell(event.reason)
            self._break(call, _meaning(event.reason))
            self._freed()

    def _connection_closed(self, event: ConnectionClosed) -> None:
        why = event.reason or _UPSTREAM_GONE
        if self.open or why is _UNASKED:
            self._tell(why)
        self.end_all(_meaning(why))

    def _tell(self, why: Reason) -> None:
        """What exactly the peer did wrong, where the reason of the call's end does not say."""
        if why is _UNASKED or _meaning(why) is _BAD_RESPONSE:
            log.warning("%s: %s (%s)", self.ends.client[0], why.text, why.name)

    def _window_opened(self, event: WindowOpened) -> None:
        if event.stream == 0:
            self.pump()
            return
        flow = self._flows.get(event.stream)
        if flow is not None and flow.outbound is not None:
            flow.outbound.pump()

    def _drained(self, event: Drained) -> None:
        self._leave_home(_UPSTREAM_GONE)

    # -- bodies

    def _flow(self, stream: int) -> Flow:
        flow = self._flows.get(stream)
        if flow is None:
            flow = self._flows[stream] = Flow()
        return flow

    def _begin_body(self, call: Call) -> None:
        flow = self._flow(call.stream)
        if call.request.fields.get(b"expect") is not None:
            flow.expected_at = self._now  # the body follows when the peer wants it
        else:
            self._send_body(call)

    def _send_body(self, call: Call) -> None:
        flow = self._flow(call.stream)
        flow.expected_at = None
        flow.outbound = StreamSender(self, call.stream, call.body)
        flow.outbound.pump()

    def _taken(self, stream: int, size: int) -> None:
        if size:
            self.codec.consumed(stream, size)
            self.flush_soon()

    def pump(self) -> None:
        """Let the bodies of requests flow, another one first each time."""
        for stream, flow in list(self._flows.items()):
            if self.paused:
                return
            if flow.outbound is not None:
                flow.outbound.pump()
                if stream in self._flows:
                    self._flows[stream] = self._flows.pop(stream)

    # -- what senders say

    def sent(self, sender: Sender) -> None:
        """The request's body, or our half of a tunnel, is complete."""
        call = self.open.get(sender.stream)
        flow = self._flows.get(sender.stream)
        if call is None or flow is None:
            return
        flow.outbound = None
        call.heard_at = self.service.clock()  # the peer's time begins now
        if flow.tunnel and self.codec.closing and flow.inbound is not None:  # HTTP/1 has no half to end
            self._release(call)
            flow.inbound.end()
            call.caller.over(call, None)

    def cut(self, sender: Sender, why: Reason) -> None:
        """The request's body cannot be completed, so there will be no answer worth having."""
        call = self.open.get(sender.stream)
        if call is not None:
            self.cancel(call, why)

    # -- the end of calls

    def _release(self, call: Call) -> None:
        """The answer is complete. What is left of a request that was answered before its end is not sent any more."""
        stream = call.stream
        del self.open[stream]
        flow = self._flows.pop(stream, None) if self._flows else None
        if flow is not None and (flow.outbound is not None or flow.expected_at is not None):
            if flow.outbound is not None:
                flow.outbound.leave(_CLIENT_GONE)
            self.codec.reset(stream, _CLIENT_GONE)
        call.channel = None
        self._freed()

    def _freed(self) -> None:
        if not self.open:
            self._idle_since = self._now
        if self.codec.closing:
            self._leave_home(_UPSTREAM_GONE)
        elif not self._retired and (not self.shared or self.codec.available):
            self._home.freed(self)

    def _break(self, call: Call, why: Reason) -> None:
        """The call ends here, without (the rest of) its answer."""
        self.open.pop(call.stream, None)
        flow = self._flows.pop(call.stream, None)
        call.channel = None
        if flow is not None:
            if flow.outbound is not None:
                flow.outbound.leave(why)
            if flow.inbound is not None:
                flow.inbound.on_taken = None
                flow.inbound.fail(why)
        call.caller.over(call, why)

    def end_all(self, why: Reason) -> bool:
        self._leave_home(why)
        for call in list(self.open.values()):
            self._break(call, why)
        return False

    # -- time

    def sweep(self, now: float) -> None:
        """Also: the time-outs of calls, and of a connection that has none."""
        super().sweep(now)
        limits = self.service.calls
        for call in list(self.open.values()):
            why = self._overdue(call, limits, now)
            if why is not None:
                self.cancel(call, why)
        if not self.open:
            idle = now - self._idle_since
            if 0 < limits.keep_alive <= idle or (idle >= SURPLUS and self._home.crowded):
                self.retire()

    def _overdue(self, call: Call, limits: CallLimits, now: float) -> Reason | None:
        flow = self._flows.get(call.stream)
        if flow is not None:
            if flow.tunnel:
                return None
            if flow.expected_at is not None and now - flow.expected_at >= EXPECT_PATIENCE:
                self._send_body(call)
            if flow.outbound is not None or (flow.inbound is not None and flow.inbound.size):
                call.heard_at = (
                    now  # it is not the peer who is waited for: senders and readers have time-outs of their own
                )
        if 0 < limits.total <= now - call.began:
            return _TOTAL
        most, why = (limits.silence, _SILENCE) if call.status else (limits.head, _ANSWER_TIMEOUT)
        return why if 0 < most <= now - call.heard_at else None


class PeerPipe:
    """The peer's end of a tunnel that it has accepted: what its client sends goes to it, and back."""

    __slots__ = ("_call", "_connection", "_flow")

    def __init__(self, connection: ClientConnection, call: Call, flow: Flow) -> None:
        self._connection = connection
        self._call = call
        self._flow = flow

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        """See `Pipe.opened`."""
        connection, stream = self._connection, self._call.stream
        early = self._flow.inbound  # what came before we were told
        assert early is not None
        outbound.on_taken, early.on_taken = early.on_taken, None
        while early.size:
            outbound.write(early.take() or b"")
        if connection.open.get(stream) is not self._call:  # it is over meanwhile
            outbound.fail(early.failure) if early.failure is not None else outbound.end()
            return
        self._flow.inbound = outbound
        self._flow.outbound = sender = StreamSender(connection, stream, inbound)
        sender.pump()

    def leave(self) -> None:
        """See `Pipe.leave`: what flows here is not ours, so it can only be cut."""
        self._connection.cancel(self._call, _SHUTTING_DOWN)


_HANDLE: dict[type, Callable[[ClientConnection, Any], None]] = {
    ResponseReceived: ClientConnection._response,
    DataReceived: ClientConnection._data,
    MessageEnded: ClientConnection._ended,
    StreamClosed: ClientConnection._stream_closed,
    ConnectionClosed: ClientConnection._connection_closed,
    WindowOpened: ClientConnection._window_opened,
    Drained: ClientConnection._drained,
}
