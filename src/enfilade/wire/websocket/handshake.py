"""The opening handshake of a WebSocket, server side: RFC 6455 section 4.2, over HTTP/2 RFC 8441 section 5."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension, parse_subprotocol

from enfilade.http.fields import Fields, Pair
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.http.upgrade import accept_key
from enfilade.wire.websocket.frames import MAX_FRAGMENTS, MAX_SIZE, Frames

_BAD_HANDSHAKE = reason("bad_websocket")
_BAD_VERSION = reason("websocket_version")
# 12 bits of window instead of 15: a context of 10 KB a connection instead of 64, for a few percent more bytes.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_max_window_bits=12, client_max_window_bits=12, compress_settings={"memLevel": 5}
)


class Handshake:
    """A handshake that can be accepted: `fields` go with the acceptance; `subprotocols` is what the client offers, its
    favourite first; `frames` makes the engine for the tunnel behind it."""

    __slots__ = ("fields", "frames", "subprotocols")

    def __init__(self, fields: Fields, subprotocols: tuple[str, ...], frames: Callable[[], Frames]) -> None:
        self.fields = fields
        self.subprotocols = subprotocols
        self.frames = frames


class Negotiator:
    """Answers handshakes. `max_size`: bytes of a message after inflating; `max_fragments`: frames of a message;
    `compress`: whether permessage-deflate (RFC 7692) is spoken with clients that offer it."""

    __slots__ = ("compress", "max_fragments", "max_size")

    def __init__(self, max_size: int = MAX_SIZE, max_fragments: int = MAX_FRAGMENTS, compress: bool = True) -> None:
        self.max_size = max_size
        self.max_fragments = max_fragments
        self.compress = compress

    def __call__(self, request: Request) -> Handshake | Reason:
        """The handshake that `request` asks for, or why it is none."""
        get = request.fields.get
        if get(b"sec-websocket-version") != b"13":
            return _BAD_VERSION
        pairs: list[Pair] = []
        if request.version != "2":  # with HTTP/2 there is no key: the stream itself proves that both mean it
            key = get(b"sec-websocket-key")
            if key is None or not _is_key(key):
                return _BAD_HANDSHAKE
            pairs.append((b"sec-websocket-accept", accept_key(key)))
        try:
            subprotocols = _subprotocols(get(b"sec-websocket-protocol"))
            extension = self._extension(get(b"sec-websocket-extensions"), pairs)
        except (InvalidHeader, UnicodeDecodeError):
            return _BAD_HANDSHAKE
        extensions = [] if extension is None else [extension]
        return Handshake(Fields(pairs), subprotocols, lambda: Frames(extensions, self.max_size, self.max_fragments))

    def _extension(self, offered: bytes | None, pairs: list[Pair]) -> Extension | None:
        """The first offer of permessage-deflate that can be accepted; what is agreed is put behind `pairs`."""
        if offered is None:
            return None
        for name, parameters in parse_extension(offered.decode("ascii")):
            if name != _DEFLATE.name or not self.compress:
                continue
            try:
                agreed, extension = _DEFLATE.process_request_params(parameters, [])
            except NegotiationError:  # "declines the offer" (RFC 7692 section 5.1); there may be another one
                continue
            pairs.append((b"sec-websocket-extensions", build_extension([(name, agreed)]).encode()))
            return extension
        return None


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _subprotocols(field: bytes | None) -> tuple[str, ...]:
    return () if field is None else tuple(parse_subprotocol(field.decode("ascii")))
