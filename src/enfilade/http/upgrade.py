"""The proof that both ends of an HTTP/1.1 connection mean a WebSocket (RFC 6455 section 4)."""

from __future__ import annotations

import base64
import hashlib

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: bytes) -> bytes:
    """`Sec-WebSocket-Accept`, which answers the `Sec-WebSocket-Key` `key` (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
