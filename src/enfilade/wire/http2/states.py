"""The rules of HTTP/2 as tables (RFC 9113): which frame may come where, and what it does to a stream.

A connection: the peer's preface comes first, then its SETTINGS (section 3.4). `FRAME_RULES` says which frames belong to the
connection (stream 0) and which to a stream, what sizes they have, and which role may receive them. Between a HEADERS without
END_HEADERS and the CONTINUATION that ends its block nothing else may come (section 6.10). Frames of unknown types are
ignored (section 4.1).

A stream (section 5.1): `VERDICTS` says what becomes of a frame in each state, `MOVES` which state follows. Streams in the
states IDLE, CLOSED and RESET have no object: the first was never opened, and nothing of the other two needs to be kept but,
for a bounded while, the identifiers of those that we reset ourselves, as frames for them may still be on the way.
"""

from __future__ import annotations

from enum import IntEnum


class Frame(IntEnum):
    """Frame types (section 6; RFC 9218 section 7.1)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9
    PRIORITY_UPDATE = 0x10


class Flag:
    """Flags, as plain numbers: the reader tests them on every frame."""

    END_STREAM = ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Error(IntEnum):
    """Error codes (section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Setting(IntEnum):
    """Settings (section 6.5.2; RFC 8441 section 3)."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8


class Role(IntEnum):
    SERVER = 0
    CLIENT = 1


class Scope(IntEnum):
    STREAM = 0
    CONNECTION = 1
    EITHER = 2


class FrameRule:
    """Where a frame belongs, its size in bytes (at least `least`, at most `most`), and who may receive it."""

    __slots__ = ("least", "most", "roles", "scope")

    def __init__(self, scope: Scope, least: int, most: int | None, *roles: Role) -> None:
        self.scope = scope
        self.least = least
        self.most = most
        self.roles = roles or tuple(Role)


FRAME_RULES: dict[int, FrameRule] = {
    Frame.DATA: FrameRule(Scope.STREAM, 0, None),
    Frame.HEADERS: FrameRule(Scope.STREAM, 0, None),
    Frame.PRIORITY: FrameRule(Scope.STREAM, 5, 5),
    Frame.RST_STREAM: FrameRule(Scope.STREAM, 4, 4),
    Frame.SETTINGS: FrameRule(Scope.CONNECTION, 0, None),
    Frame.PUSH_PROMISE: FrameRule(Scope.STREAM, 4, None),  # and see PUSH_PROMISE in VERDICTS: we never allow it
    Frame.PING: FrameRule(Scope.CONNECTION, 8, 8),
    Frame.GOAWAY: FrameRule(Scope.CONNECTION, 8, None),
    Frame.WINDOW_UPDATE: FrameRule(Scope.EITHER, 4, 4),
    Frame.CONTINUATION: FrameRule(Scope.STREAM, 0, None),
    Frame.PRIORITY_UPDATE: FrameRule(Scope.CONNECTION, 4, None, Role.SERVER),
}


class State(IntEnum):
    """States of a stream (section 5.1), without those of push. `RESET` is CLOSED by our RST_STREAM."""

    IDLE = 0
    OPEN = 1
    HALF_CLOSED_LOCAL = 2
    HALF_CLOSED_REMOTE = 3
    CLOSED = 4
    RESET = 5


class Verdict(IntEnum):
    """What becomes of a frame: the first three go on; then a stream error; then connection errors."""

    TAKE = 0
    OPEN = 1
    IGNORE = 2
    STREAM_ERROR_CLOSED = 3
    CONNECTION_ERROR_CLOSED = 4
    CONNECTION_ERROR_PROTOCOL = 5


_T, _O, _I = Verdict.TAKE, Verdict.OPEN, Verdict.IGNORE
_S, _C, _P = Verdict.STREAM_ERROR_CLOSED, Verdict.CONNECTION_ERROR_CLOSED, Verdict.CONNECTION_ERROR_PROTOCOL
_STREAM_FRAMES = (
    Frame.DATA, Frame.HEADERS, Frame.PRIORITY, Frame.RST_STREAM, Frame.PUSH_PROMISE, Frame.WINDOW_UPDATE,
    Frame.CONTINUATION,
)  # fmt: skip
# CONTINUATION here is one without a HEADERS in front: always an error. RST_STREAM and WINDOW_UPDATE may cross our end.
_VERDICT_ROWS: dict[State, tuple[Verdict, ...]] = {
    #                         DATA HEADERS PRIO RST PUSH WINDOW CONT
    State.IDLE:               (_P, _O,     _I,  _P, _P,  _P,    _P),
    State.OPEN:               (_T, _T,     _I,  _T, _P,  _T,    _P),
    State.HALF_CLOSED_LOCAL:  (_T, _T,     _I,  _T, _P,  _T,    _P),
    State.HALF_CLOSED_REMOTE: (_S, _S,     _I,  _T, _P,  _T,    _P),
    State.CLOSED:             (_C, _C,     _I,  _I, _P,  _I,    _P),
    State.RESET:              (_I, _I,     _I,  _I, _P,  _I,    _P),
}  # fmt: skip
VERDICTS: dict[int, dict[int, Verdict]] = {
    state: dict(zip(_STREAM_FRAMES, row, strict=True)) for state, row in _VERDICT_ROWS.items()
}


class Step(IntEnum):
    """What moves a stream on. HEADERS opens it; END is END_STREAM; RESET is RST_STREAM."""

    SEND_HEADERS = 0
    RECEIVE_HEADERS = 1
    SEND_END = 2
    RECEIVE_END = 3
    SEND_RESET = 4
    RECEIVE_RESET = 5


_FORWARD: dict[tuple[State, Step], State] = {
    (State.IDLE, Step.SEND_HEADERS): State.OPEN,
    (State.IDLE, Step.RECEIVE_HEADERS): State.OPEN,
    (State.OPEN, Step.SEND_END): State.HALF_CLOSED_LOCAL,
    (State.OPEN, Step.RECEIVE_END): State.HALF_CLOSED_REMOTE,
    (State.HALF_CLOSED_LOCAL, Step.RECEIVE_END): State.CLOSED,
    (State.HALF_CLOSED_REMOTE, Step.SEND_END): State.CLOSED,
}
_RESETS = {
    (state, step): closed
    for state in (State.OPEN, State.HALF_CLOSED_LOCAL, State.HALF_CLOSED_REMOTE)
    for step, closed in ((Step.SEND_RESET, State.RESET), (Step.RECEIVE_RESET, State.CLOSED))
}
MOVES: dict[tuple[State, Step], State] = _FORWARD | _RESETS
"""Steps that are not here are not possible: VERDICTS refuses what the peer must not do, LocalError what we must not."""


class Drain(IntEnum):
    """How far the end has come (section 6.8): GOAWAY with the highest identifier, then, a round trip later, with the last
    one, so that no request that is on its way is lost."""

    NO = 0
    ANNOUNCED = 1
    FINAL = 2


DRAIN_MOVES: dict[tuple[Drain, str], Drain] = {
    (Drain.NO, "drain(): PING, GOAWAY 2^31-1"): Drain.ANNOUNCED,
    (Drain.ANNOUNCED, "PING ACK or time-out: GOAWAY last stream"): Drain.FINAL,
}
