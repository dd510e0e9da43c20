"""The sending half of a connection: what may go out when (RFC 9113 sections 5.2 and 6.9), and bodies that have to wait."""

from __future__ import annotations

from collections import deque

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, Source
from enfilade.http.request import Request
from enfilade.wire.codec import LocalError
from enfilade.wire.http2 import frames
from enfilade.wire.http2.frames import DEFAULT_WINDOW, FRAME_SIZE
from enfilade.wire.http2.limits import Budget, Http2Limits
from enfilade.wire.http2.states import MOVES, Drain, Error, Flag, Frame, State, Step

_DATA = frames.head(Frame.DATA, 0, 0)[3:]
_LAST_DATA = frames.head(Frame.DATA, Flag.END_STREAM, 0)[3:]
NO_REQUEST = Request("", "", "", "", "", b"", b"", NO_FIELDS, "2")
DRAIN = 4 * 1024 * 1024
"""Bytes of an unwanted body that are dropped before its stream is reset."""
_RESETS_KEPT = 256
"""Streams whose reset by us is remembered: twice what is open at once by default."""


class Stall:
    """Something that makes no progress, seen from time to time."""

    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since: float | None = None

    def lasts(self, stalled: bool, now: float, timeout: float) -> bool:
        """Whether it has been `stalled`, each time it was looked at, for `timeout` seconds."""
        if not stalled:
            self.since = None
        elif self.since is None:
            self.since = now
        else:
            return now - self.since >= timeout
        return False


class Stream:
    """One stream. What is not said otherwise is a class attribute: most streams are a GET, answered at once.

    - `fresh`: the request is complete, not a HEAD, and nothing else has happened yet: the fast path may answer it. Fresh
      streams of the same request are one object: `Output._own` makes it a stream's own before it is changed.
    - `spent`: bytes sent less the increments of the peer's window; `held`: bytes received less our increments;
      `taken`: the part of `held` that its reader has taken.
    - `expected`: bytes of body that the peer's Content-Length still promises, `promised`: ours; -1: not said.
    - `rest`: the part of a whole answer that waits for the window; `stall`: since when.
    - `expects`: the peer waits for 100 (Continue) before it sends its body.
    - `headed`: the peer's final head is here; `refused`: it can be answered, but what still comes is dropped; so many more
      bytes as `spare` says once it is `answered` (since when).
    """

    request = NO_REQUEST
    state = State.HALF_CLOSED_REMOTE
    fresh = True
    started = False
    bodiless = False
    tunnel = False
    expects = False
    headed = False
    refused = False
    spare = DRAIN
    answered: float | None = None
    moved = False
    spent = 0
    held = 0
    taken = 0
    received = 0
    expected = -1
    promised = -1
    rest: memoryview | None = None
    stall: Stall | None = None

    def __repr__(self) -> str:
        return f"<Stream {self.state.name} {self.request!r}>"


class Output:
    """What goes out. `_gone` are the streams that ended early in the last turn: their owner may not have heard of it yet."""

    closing = False
    linger = True

    def __init__(self, limits: Http2Limits) -> None:
        self.limits = limits
        self._streams: dict[int, Stream] = {}
        self._out: list[bytes] = []
        self._window = DEFAULT_WINDOW
        self._granted = DEFAULT_WINDOW  # all that `_window` was ever opened by: less itself, it is what was sent
        self._initial = DEFAULT_WINDOW
        self._ready: deque[int] = deque()  # streams whose rest may go on as far as their own window tells
        self._blocked: set[int] = set()  # streams with a rest whose own window is shut
        self._waiting: set[int] = set()  # streams that were told that their window is shut
        self._reset: dict[int, None] = {}
        self._gone: set[int] = set()
        self._budget = Budget(limits)
        self._drain = Drain.NO
        self._now = 0.0
        self._receive_left = DEFAULT_WINDOW
        self._taken = 0

    def pending(self) -> list[bytes]:
        """What is to be written now, drained: once each turn of the loop."""
        out = self._out
        self._out = []
        return out

    def window(self, stream: int) -> int:
        """Bytes that `data` may send on `stream` now. After 0, WindowOpened tells when to ask again."""
        s = self._streams.get(stream)
        if s is None:
            return 0
        room = min(self._window, self._initial - s.spent)
        if room <= 0:
            self._waiting.add(stream)
            return 0
        return room

    def consumed(self, stream: int, size: int) -> None:
        """The peer may send `size` bytes more. Call it for each DataReceived, also when its stream is gone: the connection's
        window is shared."""
        if self.closing:
            return
        self._taken += size
        if self._taken * 2 >= self.limits.connection_window:
            self._out.append(frames.window_update(0, self._taken))
            self._receive_left += self._taken
            self._taken = 0
        s = self._streams.get(stream)
        if s is not None and s.state <= State.HALF_CLOSED_LOCAL:
            s.taken += size
            if s.taken * 2 >= self.limits.stream_window:
                self._out.append(frames.window_update(stream, s.taken))
                s.held -= s.taken
                s.taken = 0

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        """Send a piece of the body, at most `window(stream)` bytes."""
        s = self._sendable(stream)
        if s is None:
            return
        if not s.started:
            raise LocalError(f"body before head on stream {stream}")
        size = len(data)
        if s.bodiless:
            size = 0
        if size and size > min(self._window, self._initial - s.spent):
            raise LocalError(f"more than the window of stream {stream}")
        if s.promised >= 0:
            s.promised -= size
            if s.promised < 0:
                raise LocalError(f"more body on stream {stream} than Content-Length promised")
        if size:
            self._send(stream, s, memoryview(data), size, end)
        if end:
            if s.promised > 0:
                raise LocalError(f"less body on stream {stream} than Content-Length promised")
            if not size:
                self._out.append(frames.frame(Frame.DATA, Flag.END_STREAM, stream))
            self._ended(stream, s)

    def end(self, stream: int, trailers: Fields = NO_FIELDS) -> None:
        """The message is complete."""
        if not trailers.pairs:
            self.data(stream, b"", True)
            return
        s = self._sendable(stream)
        if s is None:
            return
        if not s.started or s.promised > 0 or s.tunnel:
            raise LocalError(f"no trailers can come on stream {stream} now")
        self._send_head(stream, self._encode(trailers), True)
        self._ended(stream, s)

    def reset(self, stream: int, reason: Reason) -> None:
        """Cut the message. Nothing happens where the stream has ended."""
        if stream in self._streams:
            cause = Error.CANCEL if reason.source is Source.CLIENT else Error.INTERNAL_ERROR
            self._send_reset(stream, cause)

    # -- for the roles

    def _encode(self, fields: Fields) -> bytes:
        """`fields` as a block, for trailers."""
        raise NotImplementedError

    def _send_head(self, stream: int, block: bytes, end: bool) -> None:
        self._out.append(frames.headers(stream, block, end))

    def _sendable(self, stream: int) -> Stream | None:
        """The stream, to be changed, if our side of it is open; None if it was closed under its owner's hands."""
        s = self._found(stream)
        return None if s is None else self._own(stream, s)

    def _found(self, stream: int) -> Stream | None:
        """The same, not to be changed."""
        s = self._streams.get(stream)
        if s is None:
            if stream in self._gone or self.closing:
                return None
            raise LocalError(f"stream {stream} is not open")
        if s.state is State.HALF_CLOSED_LOCAL or s.rest is not None:
            raise LocalError(f"the message on stream {stream} is complete")
        return s

    def _own(self, stream: int, s: Stream) -> Stream:
        """The object of `stream`, which may be changed from now on."""
        if not s.fresh:
            return s
        own = self._streams[stream] = Stream()
        own.request, own.fresh = s.request, False
        return own

    def _send(self, stream: int, s: Stream, data: memoryview, size: int, end: bool) -> None:
        """DATA frames for the first `size` bytes of `data`; `end`: END_STREAM on the last one."""
        out = self._out
        identifier = frames.pack_word(stream)
        for start in range(0, size, FRAME_SIZE):
            piece = bytes(data[start : min(start + FRAME_SIZE, size)])
            kind = _LAST_DATA if end and start + FRAME_SIZE >= size else _DATA
            out += (len(piece).to_bytes(3, "big"), kind, identifier, piece)
        self._window -= size
        s.spent += size
        s.moved = True

    def _keep(self, stream: int, s: Stream, body: memoryview) -> None:
        """Send `body`, the last of its stream, as the windows allow."""
        s.rest = body
        s.stall = Stall()
        self._ready.append(stream)
        self._flush()

    def _flush(self) -> None:
        """Streams take turns, a frame each."""
        ready = self._ready
        while ready and self._window > 0:
            stream = ready.popleft()
            s = self._streams.get(stream)
            if s is None or s.rest is None:
                continue
            room = min(self._window, self._initial - s.spent, FRAME_SIZE)
            if room <= 0:
                self._blocked.add(stream)  # `_reopen` brings it back
                continue
            rest = s.rest
            if room >= len(rest):
                self._send(stream, s, rest, len(rest), True)
                s.rest = None
                self._ended(stream, s)
            else:
                self._send(stream, s, rest, room, False)
                s.rest = rest[room:]
                ready.append(stream)

    def _reopen(self, stream: int = 0) -> list[int]:
        """The window of `stream` (0: of many) has grown: send what was kept; the streams whose owners may send again."""
        self._ready.extend(self._roomy(self._blocked, stream))
        self._flush()
        return self._roomy(self._waiting, stream) if self._window > 0 else []

    def _roomy(self, among: set[int], stream: int) -> list[int]:
        """Takes those whose own window is open out of `among`; and those that are gone."""
        streams = self._streams
        candidates = [i for i in (stream,) if i in among] if stream else sorted(among)
        roomy = [i for i in candidates if i not in streams or streams[i].spent < self._initial]
        among.difference_update(roomy)
        return [i for i in roomy if i in streams]

    def _ended(self, stream: int, s: Stream) -> None:
        """We have sent END_STREAM."""
        after = MOVES[s.state, Step.SEND_END]
        if after is State.CLOSED:
            self._forget(stream)
            if self._drain:
                self._settle()
        else:
            s.state = after

    def _send_reset(self, stream: int, error: Error) -> None:
        self._out.append(frames.rst_stream(stream, error))
        self._forget(stream)
        if len(self._reset) >= _RESETS_KEPT:
            del self._reset[next(iter(self._reset))]
        self._reset[stream] = None
        if self._drain:
            self._settle()

    def _forget(self, stream: int) -> None:
        if self._streams.pop(stream, None) is not None:
            self._blocked.discard(stream)
            self._waiting.discard(stream)

    def _settle(self) -> None:
        """The last stream of a draining connection may have ended."""
        if self._drain is Drain.FINAL and not self._streams:
            self.closing = True
