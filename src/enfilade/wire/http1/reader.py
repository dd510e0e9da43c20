"""Bodies from the wire (RFC 9112 sections 6 and 7). Both roles read with these; neither class does more than count and cut."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.framing import CHUNKED, UNTIL_CLOSE, Framing
from enfilade.http.grammar import FORBIDDEN_TRAILERS
from enfilade.http.reasons import Reason, reason
from enfilade.wire.http1.grammar import match_chunk_line
from enfilade.wire.http1.head import parse_fields
from enfilade.wire.http1.limits import Http1Limits

_BAD_CHUNK = reason("bad_chunk")
_BAD_TRAILER = reason("bad_trailer")
_TOO_LARGE = reason("body_too_large")
_ENDLESS = 1 << 62


class LengthReader:
    """A body of `left` bytes, or one that only the end of the connection ends (`until_close`).

    After each `read`: `ended`, then `rest` is what stood behind the body; or `failure`, then nothing more can be read.
    """

    __slots__ = ("ended", "left", "rest", "until_close")
    failure: Reason | None = None
    trailers = NO_FIELDS

    def __init__(self, framing: Framing) -> None:
        self.until_close = framing == UNTIL_CLOSE
        self.left = _ENDLESS if self.until_close else framing
        self.ended = False
        self.rest = b""

    def read(self, data: bytes) -> bytes:
        """Take `data` from the wire; return what of it is body."""
        size = len(data)
        if size < self.left:
            self.left -= size
            return data
        self.ended = True
        if size == self.left:
            self.left = 0
            return data
        self.rest = data[self.left :]
        return data[: self.left]


class ChunkedReader:
    """A chunked body with its trailers; used as `LengthReader` is. Extensions are checked, counted and ignored."""

    __slots__ = (
        "_buffer",
        "_chunk",
        "_extensions",
        "_limits",
        "_most",
        "_step",
        "_total",
        "ended",
        "failure",
        "rest",
        "trailers",
    )
    until_close = False
    left = _ENDLESS

    def __init__(self, limits: Http1Limits, most: int) -> None:
        self._limits = limits
        self._most = most
        self._buffer = b""
        self._step: _Step = ChunkedReader._read_size
        self._chunk = 0
        self._total = 0
        self._extensions = 0
        self.ended = False
        self.failure: Reason | None = None
        self.rest = b""
        self.trailers = NO_FIELDS

    def read(self, data: bytes) -> bytes:
        """Take `data` from the wire; return what of it is body."""
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        pieces: list[bytes] = []
        at = 0
        while not self.ended and self.failure is None:
            after = self._step(self, buffer, at, pieces)
            if after < 0:
                self._buffer = buffer[at:]
                break
            at = after
        if self.ended:
            self.rest = buffer[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # Each step reads one element at `at` and returns where the next one begins; -1: it is not all here yet.

    def _read_size(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        end = buffer.find(b"\n", at, at + self._limits.chunk_line)
        if end < 0:
            return self._fail(_BAD_CHUNK) if len(buffer) - at >= self._limits.chunk_line else -1
        match = match_chunk_line(buffer, at, end + 1)
        if match is None:
            return self._fail(_BAD_CHUNK)
        size, extensions = match.groups()
        self._extensions += len(extensions)
        if self._extensions > self._limits.chunk_extensions:
            return self._fail(_BAD_CHUNK)
        self._chunk = int(size, 16)
        self._total += self._chunk
        if self._total > self._most > 0:
            return self._fail(_TOO_LARGE)
        self._step = ChunkedReader._read_data if self._chunk else ChunkedReader._read_trailers
        return end + 1

    def _read_data(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        piece = buffer[at : at + self._chunk]
        if not piece:
            return -1
        pieces.append(piece)
        self._chunk -= len(piece)
        if not self._chunk:
            self._step = ChunkedReader._read_data_end
        return at + len(piece)

    def _read_data_end(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        end = buffer[at : at + 2]
        if end == b"\r\n":
            self._step = ChunkedReader._read_size
            return at + 2
        return -1 if end in (b"", b"\r") else self._fail(_BAD_CHUNK)

    def _read_trailers(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        if buffer[at : at + 2] == b"\r\n":
            self.ended = True
            return at + 2
        end = buffer.find(b"\r\n\r\n", at, at + self._limits.trailers)
        if end < 0:
            return self._fail(_BAD_TRAILER) if len(buffer) - at >= self._limits.trailers else -1
        fields = parse_fields(buffer[at : end + 2], self._limits.fields)
        if not isinstance(fields, Fields) or any(name in FORBIDDEN_TRAILERS for name, _ in fields):
            return self._fail(_BAD_TRAILER)
        self.trailers = fields
        self.ended = True
        return end + 4

    def _fail(self, why: Reason) -> int:
        self.failure = why
        return -1


# Kept unbound: a bound method on its own object would be a cycle.
_Step = Callable[[ChunkedReader, bytes, int, list[bytes]], int]
BodyReader = LengthReader | ChunkedReader


def body_reader(framing: Framing, limits: Http1Limits, most: int) -> BodyReader:
    """The reader for a body with this framing; of a chunked one at most `most` bytes (0: no limit)."""
    return ChunkedReader(limits, most) if framing == CHUNKED else LengthReader(framing)
