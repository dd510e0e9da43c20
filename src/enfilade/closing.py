"""How a connection is closed that has not come to its end in peace."""

from __future__ import annotations

import socket
import struct

LINGER_BYTES = 4 * 1024 * 1024
"""Bytes that are read and dropped before a connection is closed over what its client still sends: it would be reset, and the last
answer be lost with it."""

_NO_LINGER = struct.pack("ii", 1, 0)


def reset_when_closed(sock: socket.socket) -> None:
    """From now on, the end of `sock` is a reset, and the kernel keeps nothing for the peer (SO_LINGER, socket(7)). Raises
    OSError."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
