"""What goes over a link: frames, and the order in which they may come. `docs/states/link.md` is drawn from the table.

A frame is 12 bytes, all big-endian, and its payload: the stream (8: there are always more), the kind (1), the payload's size (3).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

HEADER_SIZE = 12
DATA_SIZE = 64 * 1024
"""Bytes of body in one frame: streams take turns."""
HEAD_SIZE = 256 * 1024
"""Bytes of a head, of trailers: four times what the edge takes from a client by default."""
WINDOW = 2 * DATA_SIZE
"""Bytes of body on a stream, either way, that its reader has not taken: one frame is on its way while another one waits."""
MOST_STREAMS = 1 << 16
"""Streams open at once, whatever a client was allowed."""


class Kind(IntEnum):
    # the edge to the application
    REQUEST = 1  # a head without a body
    OPEN = 2  # a head; a body follows, or a tunnel
    # the application to the edge
    ANSWER = 3  # a whole response: the size of its head (4 bytes), the head, the body
    START = 4  # the head of a response
    INFORM = 5  # the head of an interim one
    ACCEPT = 6  # the tunnel that was asked for is open
    # both ways
    DATA = 7
    LAST = 8  # data, and the end of the message
    TRAILERS = 9  # the end of the message, with fields
    RESET = 10  # the name of a reason: the stream is over
    CREDIT = 11  # 4 bytes: so many more bytes of body may come
    DRAIN = 12  # stream 0: of the application: make no new requests; of the edge: none will come


class Way(IntEnum):
    UP = 0  # from the edge to the application
    DOWN = 1


class Half(IntEnum):
    """What one end of a stream has said."""

    HEAD = 0  # nothing yet, or interim responses
    BODY = 1
    ENDED = 2


_BODY = {Kind.DATA: Half.BODY, Kind.LAST: Half.ENDED, Kind.TRAILERS: Half.ENDED}

MOVES: dict[Way, dict[Half, dict[Kind, Half]]] = {
    Way.UP: {
        Half.HEAD: {Kind.REQUEST: Half.ENDED, Kind.OPEN: Half.BODY},
        Half.BODY: _BODY,
        Half.ENDED: {},
    },
    Way.DOWN: {
        Half.HEAD: {
            Kind.INFORM: Half.HEAD, Kind.ANSWER: Half.ENDED, Kind.START: Half.BODY, Kind.ACCEPT: Half.BODY,
        },
        Half.BODY: _BODY,
        Half.ENDED: {},
    },
}  # fmt: skip
"""`MOVES[way][half][kind]`: the next state; where there is none, the frame is illegal. ACCEPT puts the other half into BODY too.

A response that has ended ends its stream, whatever is missing of the request; a tunnel is over when both halves have ended.
RESET and CREDIT may come at any time. Frames for a stream that is over are overlooked: their sender did not know yet.
"""

_header = Struct(">QI")
pack_header = _header.pack
unpack_header = _header.unpack_from
_size = Struct(">I")
pack_size = _size.pack
unpack_size = _size.unpack_from


def word(kind: Kind, size: int) -> int:
    """Kind and size as the second number of a header."""
    return kind << 24 | size


def frame(kind: Kind, stream: int, payload: bytes = b"") -> bytes:
    return pack_header(stream, kind << 24 | len(payload)) + payload
