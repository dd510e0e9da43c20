"""HTTP/2 spoken by hand, so that it can be spoken wrongly (RFC 9113). Field blocks use no dynamic table."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable

from enfilade.doctor.answers import Answer, Ending, Seen
from enfilade.doctor.target import PATIENCE, Target, send
from enfilade.http.fields import Pair
from enfilade.wire.hpack import Decoder, HpackError, static_block
from enfilade.wire.http2.frames import HEADER_SIZE, PREFACE, SETTINGS_ACK, settings
from enfilade.wire.http2.states import Error, Flag, Frame, Setting

GREETING = PREFACE + settings([(Setting.ENABLE_PUSH, 0)])
_LIMIT = 1 << 20


def head(target: Target, *more: Pair, without: bytes = b"", method: bytes = b"GET") -> list[Pair]:
    """The fields of an ordinary request, and `more`; `without`: one that is left out."""
    usual = [
        (b":method", method),
        (b":scheme", target.scheme.encode()),
        (b":authority", target.host_field.encode()),
        (b":path", target.path.encode()),
    ]
    return [pair for pair in usual if pair[0] != without] + list(more)


def block(pairs: Iterable[Pair]) -> bytes:
    return static_block(pairs)


class Reader:
    """What comes on one connection, as a Seen."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._rest = b""
        self._block = b""
        self._heads: dict[int, Answer] = {}
        self.signals: list[str] = []
        self.settings = 0
        self.ended_streams = 0

    def feed(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= HEADER_SIZE:
            end = HEADER_SIZE + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < end:
                return
            raw, self._rest = self._rest[:end], self._rest[end:]
            self._frame(raw[3], raw[4], int.from_bytes(raw[5:9], "big") & 0x7FFFFFFF, raw[HEADER_SIZE:])

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == Frame.SETTINGS:
            self.settings += not flags & Flag.ACK
        elif kind == Frame.GOAWAY:
            self.signals.append(f"GOAWAY {_name(payload[4:8])}")
        elif kind == Frame.RST_STREAM:
            self.signals.append(f"stream reset: {_name(payload)}")
            self.ended_streams += 1
        elif kind in (Frame.HEADERS, Frame.CONTINUATION):
            self._block += payload
            if flags & Flag.END_HEADERS:
                self._head(stream)
            self.ended_streams += kind == Frame.HEADERS and flags & Flag.END_STREAM
        elif kind == Frame.DATA:
            if stream in self._heads:
                answer = self._heads[stream]
                self._heads[stream] = answer._replace(body=answer.body + payload)
            self.ended_streams += flags & Flag.END_STREAM

    def _head(self, stream: int) -> None:
        try:
            pairs = self._decoder.decode(self._block, _LIMIT, _LIMIT)
        except HpackError:
            pairs = []
        self._block = b""
        fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs)
        status = int(dict(fields).get(":status", "0"))
        if status >= 200:
            self._heads[stream] = Answer(status, fields)

    def seen(self, ending: Ending, sent: float, seconds: float) -> Seen:
        return Seen(tuple(self._heads.values()), ending, (), b"", tuple(self.signals), sent, seconds)


def _name(code: bytes) -> str:
    number = int.from_bytes(code, "big")
    return Error(number).name if number in Error._value2member_map_ else str(number)


def connect(target: Target) -> socket.socket:
    """A connection that speaks HTTP/2: agreed on by TLS, or simply begun. Raises OSError."""
    sock = target.connect(("h2",))
    if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() != "h2":
        sock.close()
        raise ConnectionError("HTTP/2 is not spoken")
    return sock


def speaks(target: Target) -> bool:
    """Whether it answers an HTTP/2 preface with SETTINGS."""
    try:
        with connect(target) as sock:
            reader = Reader()
            sock.sendall(GREETING)
            sock.settimeout(target.left(PATIENCE))
            reader.feed(sock.recv(65536))
            return reader.settings > 0
    except OSError:
        return False


def speak(target: Target, frames: bytes, wanted: int = 1) -> Seen:
    """What comes back for `frames`, until `wanted` streams have ended and it is quiet, or the connection ends."""
    began = time.monotonic()
    reader = Reader()
    try:
        with connect(target) as sock:
            sent, came = send(target, sock, GREETING + SETTINGS_ACK + frames)
            reader.feed(came)
            ending = _read(target, sock, reader, wanted)
    except (ConnectionError, ssl.SSLError):
        sent, ending = 0.0, Ending.RESET
    return reader.seen(ending, sent, time.monotonic() - began)


def _read(target: Target, sock: socket.socket, reader: Reader, wanted: int) -> Ending:
    until = time.monotonic() + PATIENCE
    while True:
        enough = reader.ended_streams >= wanted or any(said.startswith("GOAWAY") for said in reader.signals)
        sock.settimeout(target.left(target.quiet if enough else max(0.01, until - time.monotonic())))
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            return Ending.OPEN
        except (ConnectionError, ssl.SSLError):
            return Ending.RESET
        if not piece:
            return Ending.CLOSED
        reader.feed(piece)
        if time.monotonic() > until + PATIENCE:
            return Ending.OPEN
