"""Frames as bytes (RFC 9113 section 4 and 6): what the writer puts together, and the payloads that the reader takes apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from enfilade.wire.http2.states import Error, Flag, Frame, Setting

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE = 9
FRAME_SIZE = 16384
"""The largest payload: the least that SETTINGS_MAX_FRAME_SIZE may say. We neither send nor allow more, so that streams
take turns."""
DEFAULT_WINDOW = 65535
MAX_WINDOW = 2**31 - 1
MAX_STREAM = 2**31 - 1
MAX_FRAME_SIZE_SETTING = 2**24 - 1

unpack_header = Struct(">IBI").unpack_from
"""(length << 8 | type, flags, stream with its reserved bit)."""
pack_word = Struct(">I").pack
unpack_word = Struct(">I").unpack_from
_SETTING = Struct(">HI")


class BadPadding(Exception):
    """The padding is as long as the payload, or longer (section 6.1)."""


def head(kind: int, flags: int, size: int) -> bytes:
    """The first five bytes of a frame; its stream and payload follow."""
    return pack_word(size << 8 | kind) + bytes((flags,))


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return head(kind, flags, len(payload)) + pack_word(stream) + payload


def headers(stream: int, block: bytes, end: bool) -> bytes:
    """HEADERS, and CONTINUATION as far as the block is too long for one frame."""
    flags = Flag.END_STREAM if end else 0
    if len(block) <= FRAME_SIZE:
        return frame(Frame.HEADERS, flags | Flag.END_HEADERS, stream, block)
    pieces = [block[i : i + FRAME_SIZE] for i in range(0, len(block), FRAME_SIZE)]
    out = [frame(Frame.HEADERS, flags, stream, pieces[0])]
    out += [frame(Frame.CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
    out.append(frame(Frame.CONTINUATION, Flag.END_HEADERS, stream, pieces[-1]))
    return b"".join(out)


def settings(values: Iterable[tuple[Setting, int]]) -> bytes:
    return frame(Frame.SETTINGS, 0, 0, b"".join([_SETTING.pack(*pair) for pair in values]))


SETTINGS_ACK = frame(Frame.SETTINGS, Flag.ACK, 0)


def ping(payload: bytes, ack: bool) -> bytes:
    return frame(Frame.PING, Flag.ACK if ack else 0, 0, payload)


def goaway(last_stream: int, error: Error) -> bytes:
    return frame(Frame.GOAWAY, 0, 0, pack_word(last_stream) + pack_word(error))


def rst_stream(stream: int, error: Error) -> bytes:
    return frame(Frame.RST_STREAM, 0, stream, pack_word(error))


def window_update(stream: int, increment: int) -> bytes:
    return frame(Frame.WINDOW_UPDATE, 0, stream, pack_word(increment))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """(identifier, value) in order; the payload is a multiple of six."""
    return _SETTING.iter_unpack(payload)


def without_padding(payload: bytes, flags: int) -> bytes:
    """What stands between the pad length and the padding (section 6.1). Raises BadPadding."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise BadPadding
    return payload[1 : len(payload) - payload[0]]
