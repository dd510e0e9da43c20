"""gzip (RFC 1952): coded by ISA-L where it is there, which is eight times as fast as zlib, and by zlib otherwise."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from enfilade.filters.coders.coder import BitingDecoder, Coder

_FORMAT = 31
"""zlib's word for: gzip, with a window of 32 KB."""
_BITE = 1024
"""Bytes that are decoded at once: zlib copies what it leaves, which would be much where members are small."""
_coder: Callable[[], Any]
try:
    from isal import isal_zlib

    _coder = partial(isal_zlib.compressobj, 2, isal_zlib.DEFLATED, _FORMAT)
except ImportError:
    _coder = partial(zlib.compressobj, 5, zlib.DEFLATED, _FORMAT)


class _Encoder:
    __slots__ = ("_coder", "encode", "finish")

    def __init__(self) -> None:
        self._coder = _coder()
        self.encode: Callable[[bytes], bytes] = self._coder.compress
        self.finish: Callable[[], bytes] = self._coder.flush

    def flush(self) -> bytes:
        flushed: bytes = self._coder.flush(zlib.Z_SYNC_FLUSH)
        return flushed


class _Decoder(BitingDecoder):
    """One member after another (RFC 1952 section 2.2), by zlib: it is as fast as it needs to be here, and always there."""

    _failure = zlib.error

    def __init__(self) -> None:
        super().__init__()
        self._member: Any = None

    def _bite(self, most: int) -> bytes:
        if self._member is None:
            self._member = zlib.decompressobj(_FORMAT)
            self.complete = False
        member = self._member
        bite = self._data[self._at : self._at + _BITE]
        piece: bytes = member.decompress(bite, most)
        self._at += len(bite) - len(member.unused_data) - len(member.unconsumed_tail)
        if member.eof:
            self._member, self.complete = None, True
        return piece


def _encode(data: bytes) -> bytes:
    coder = _coder()
    made: bytes = coder.compress(data) + coder.flush()
    return made


CODER = Coder(_Encoder, _Decoder, _encode)
