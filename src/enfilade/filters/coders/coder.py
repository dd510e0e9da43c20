"""What a content coding does, whichever library does it. Nothing here waits; threads may use it, one at a time.

The levels are those beyond which a coding costs much and gives little (JSON of 1 MB, one core, measured): zstd 3 (264 MB/s,
5.0 : 1), br 4 (70 MB/s, 5.9 : 1), gzip by ISA-L 2 (524 MB/s, 4.7 : 1), gzip by zlib 5 (60 MB/s, 5.0 : 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

WINDOW = 17
"""Bits of the window of a body that flows: one encoder takes 0.5 MB (zstd) or 0.75 MB (br), and there may be thousands. A body
that is whole takes as much as it is long."""


class BadCoding(Exception):
    """What came is not in this coding, or was cut."""


class Encoder(Protocol):
    """A body on its way into a coding."""

    def encode(self, data: bytes) -> bytes:
        """What is ready when `data` has been added."""

    def flush(self) -> bytes:
        """The rest of all that was added so far: whoever decodes it has everything."""

    def finish(self) -> bytes:
        """The rest, and the end."""


class Decoder(Protocol):
    """A body on its way out of a coding. `complete`: it could end here."""

    complete: bool

    def decode(self, data: bytes, most: int) -> bytes:
        """The next bytes, hardly more than `most`, of what came until now with `data`; `b""`: there are none without more data.
        Raises BadCoding."""


class BitingDecoder:
    """For libraries that are better fed in bites: `_bite` takes the next one of `_data`, from `_at` on, and gives what it makes,
    of which `most` bytes are wanted; it raises `_failure` for what is not in this coding."""

    _failure: type[Exception]

    def __init__(self) -> None:
        self.complete = False
        self._data = b""
        self._at = 0

    def decode(self, data: bytes, most: int) -> bytes:
        """See `Decoder`."""
        if data:
            self._data = self._data[self._at :] + data
            self._at = 0
        pieces: list[bytes] = []
        size = 0
        try:
            while self._at < len(self._data) and size < most:
                piece = self._bite(most - size)
                pieces.append(piece)
                size += len(piece)
        except self._failure as error:
            raise BadCoding(str(error)) from None
        return b"".join(pieces)

    def _bite(self, most: int) -> bytes:
        raise NotImplementedError


class Coder(NamedTuple):
    """One coding: `encoder` and `decoder` make one for a body that flows, `encode` does it to a whole one."""

    encoder: Callable[[], Encoder]
    decoder: Callable[[], Decoder]
    encode: Callable[[bytes], bytes]
