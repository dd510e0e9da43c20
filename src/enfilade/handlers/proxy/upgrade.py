"""WebSocket handshakes between different versions of HTTP: with HTTP/1.1 a key and its answer prove that both ends mean it
(RFC 6455 section 4), with HTTP/2 an extended CONNECT does (RFC 8441)."""

from __future__ import annotations

import base64
import os

from enfilade.http.fields import Fields, Pair
from enfilade.http.upgrade import accept_key

_KEY = b"sec-websocket-key"
_ACCEPT = b"sec-websocket-accept"


def handshake(pairs: list[Pair], *, http2: bool) -> list[Pair]:
    """The fields of a handshake for a peer that speaks HTTP/2 or not: with a new key for HTTP/1.1, and without one for HTTP/2."""
    rest = [pair for pair in pairs if pair[0] != _KEY]
    return rest if http2 else [*rest, (_KEY, base64.b64encode(os.urandom(16)))]


def accepted(ours: Fields, asked: Fields, answered: Fields) -> Fields | None:
    """The fields that accept the client's handshake `ours`, where the peer has `answered` to `asked`; None where it did not
    answer what was asked for."""
    key = asked.get(_KEY)
    if key is not None and answered.get(_ACCEPT) != accept_key(key):
        return None
    fields = answered.without(_ACCEPT)
    key = ours.get(_KEY)
    return fields if key is None else fields.adding((_ACCEPT, accept_key(key)))
