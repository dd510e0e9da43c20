"""What goes over a link: frames, and the order in which they may come. `docs/states/link.md` is drawn from the table.

A frame is a header of 16 bytes, big-endian, and its payload. The header: the stream (8: they never run out), the kind (1), the
payload's size (3), and a number that two kinds need (4; else 0).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

HEADER_SIZE = 16
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
    ANSWER = 3  # a whole response: its head, of as many bytes as the number says, and its body
    START = 4  # the head of a response
    INFORM = 5  # the head of an interim one
    ACCEPT = 6  # the tunnel that was asked for is open
    # both ways
    DATA = 7
    LAST = 8  # data, and the end of the message
    TRAILERS = 9  # the end of the message, with fields
    RESET = 10  # the name of a reason: the stream is over
    CREDIT = 11  # so many more bytes of body may come as the number says
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

_header = Struct(">QII")
pack_header = _header.pack
unpack_header = _header.unpack_from
SIZE_MASK = 0xFFFFFF


def word(kind: Kind, size: int) -> int:
    """Kind and size as they stand in a header."""
    return kind << 24 | size


def frame(kind: Kind, stream: int, payload: bytes = b"", number: int = 0) -> bytes:
    return pack_header(stream, word(kind, len(payload)), number) + payload
