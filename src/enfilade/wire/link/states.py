"""What may be said on a stream, and when, as a table: what comes is held to it, and what is sent. `docs/states/link.md` is drawn
from it.

- RESET, CREDIT and BEGUN may come at any time. ACCEPT puts what was a whole REQUEST back into BODY: what follows is the tunnel's.
- A response that has ended ends its stream, whatever is missing of the request; a tunnel is over when both ways have ended.
- Frames for a stream that is over are overlooked: their sender did not know yet.
"""

from __future__ import annotations

from enum import IntEnum


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
    # the application to the edge
    BEGUN = 13  # this request and all before it have been taken up; said where no answer says so


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
"""`MOVES[way][half][kind]`: the next state; where there is none, the frame is illegal."""
