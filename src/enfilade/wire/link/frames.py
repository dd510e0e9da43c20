"""What goes over a link: frames.

A frame is a header of 16 bytes, big-endian, and its payload. The header: the stream (8: they never run out), the kind (1), the
payload's size (3), and a number that two kinds need (4; else 0).
"""

from __future__ import annotations

from struct import Struct

from enfilade.wire.link.states import Kind

HEADER_SIZE = 16
DATA_SIZE = 64 * 1024
"""Bytes of body in one frame: streams take turns."""
HEAD_SIZE = 256 * 1024
"""Bytes of a head, of trailers: four times what the edge takes from a client by default."""
WINDOW = 2 * DATA_SIZE
"""Bytes of body on a stream, either way, that its reader has not taken: one frame is on its way while another one waits."""
MOST_STREAMS = 1 << 16
"""Streams open at once, whatever a client was allowed."""

_header = Struct(">QII")
pack_header = _header.pack
unpack_header = _header.unpack_from
SIZE_MASK = 0xFFFFFF


def word(kind: Kind, size: int) -> int:
    """Kind and size as they stand in a header."""
    return kind << 24 | size


def frame(kind: Kind, stream: int, payload: bytes = b"", number: int = 0) -> bytes:
    return pack_header(stream, word(kind, len(payload)), number) + payload
