"""br (RFC 7932), by the library of Brotli's authors."""

from __future__ import annotations

from collections.abc import Callable

import brotli

from enfilade.filters.coders.coder import WINDOW, BadCoding, Coder

_QUALITY = 4


class _Encoder:
    __slots__ = ("_coder", "encode", "finish", "flush")

    def __init__(self) -> None:
        self._coder = brotli.Compressor(quality=_QUALITY, lgwin=WINDOW)
        self.encode: Callable[[bytes], bytes] = self._coder.process
        self.flush: Callable[[], bytes] = self._coder.flush
        self.finish: Callable[[], bytes] = self._coder.finish


class _Decoder:
    def __init__(self) -> None:
        self.complete = False
        self._coder = brotli.Decompressor()
        self._data = b""

    def decode(self, data: bytes, most: int) -> bytes:
        self._data += data
        if self.complete:
            if self._data:
                raise BadCoding("more after the end")
            return b""
        coder = self._coder
        piece = b""
        idle = False
        while not piece and not idle:
            taken = b""
            if coder.can_accept_more_data():
                taken, self._data = self._data, b""
            try:
                piece = coder.process(taken, output_buffer_limit=most)
            except brotli.error as e:
                raise BadCoding(str(e)) from None
            idle = not self._data and coder.can_accept_more_data()
        self.complete = coder.is_finished()
        return piece


def _encode(data: bytes) -> bytes:
    # A window of 16 KB to 4 MB, as the body is long.
    result: bytes = brotli.compress(data, quality=_QUALITY, lgwin=min(22, max(14, len(data).bit_length())))
    return result


CODER = Coder(_Encoder, _Decoder, _encode)
