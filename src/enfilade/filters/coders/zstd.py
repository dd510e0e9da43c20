"""zstd (RFC 8878), by python-zstandard."""

from __future__ import annotations

from typing import Any

from zstandard import COMPRESSOBJ_FLUSH_BLOCK, ZstdCompressionParameters, ZstdCompressor, ZstdDecompressor, ZstdError

from enfilade.filters.coders.coder import WINDOW, BitingDecoder, Coder

_LEVEL = 3
_NARROW = ZstdCompressionParameters.from_level(_LEVEL, window_log=WINDOW, hash_log=15, chain_log=15)
_WIDEST = 8 * 1024 * 1024
"""Bytes of window that a sender may use (RFC 9659 section 3)."""
_BITE = 64
"""Bytes that are decoded at once: they make 2 MB at most, as each block of up to 128 KB takes four."""
_KEPT = 4


class _Encoder:
    __slots__ = ("_coder",)

    def __init__(self) -> None:
        self._coder = ZstdCompressor(compression_params=_NARROW).compressobj()

    def encode(self, data: bytes) -> bytes:
        return self._coder.compress(data)

    def flush(self) -> bytes:
        return self._coder.flush(COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._coder.flush()


class _Decoder(BitingDecoder):
    """One frame after another (RFC 8878 section 3). The library cannot be told how much to give, so it is fed in bites."""

    _failure = ZstdError

    def __init__(self) -> None:
        super().__init__()
        self._library = ZstdDecompressor(max_window_size=_WIDEST)
        self._frame: Any = None

    def _bite(self, most: int) -> bytes:
        if self._frame is None:
            self._frame = self._library.decompressobj()
            self.complete = False
        bite = self._data[self._at : self._at + _BITE]
        piece: bytes = self._frame.decompress(bite)
        self._at += len(bite)
        if self._frame.eof:
            self._at -= len(self._frame.unused_data)
            self._frame = None
            self.complete = True
        return piece


def _encode(data: bytes) -> bytes:
    try:
        coder = _idle.pop()
    except IndexError:
        coder = ZstdCompressor(level=_LEVEL)
    made = coder.compress(data)
    if len(_idle) < _KEPT:
        _idle.append(coder)
    return made


_idle: list[ZstdCompressor] = []
"""To make one takes four times as long as to code 2 KB with it (measured). Who takes one from here has it for himself."""

CODER = Coder(_Encoder, _Decoder, _encode)
