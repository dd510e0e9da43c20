"""Request bodies with their content coding taken off, for handlers that know none (RFC 9110 section 8.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.filters.coders import available, load
from enfilade.filters.coders.coder import BadCoding, Decoder
from enfilade.filters.recoded import FREE, Decoded
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

IN_LOOP = 4 * 1024
"""Bytes that are decoded in the loop rather than in a thread."""

_UNKNOWN = reason("unknown_coding")
_BAD_CODING = reason("bad_coding")


class Decompress(Filter):
    """Hands the body on as it was before it was coded, without Content-Encoding. A body that is at most 1 MB then, and came in
    one piece or says that it has at most 64 KB, is all there when the handler begins, with its length; any other flows, without.

    Answers 415 for a coding that is not known, or several at once, and says which are; 400 and 413 as `Decoded` says.
    """

    def __init__(self) -> None:
        known = available()
        self._codings = {coding.encode(): load(coding).decoder for coding in known}
        self._codings[b"x-gzip"] = self._codings[b"gzip"]
        # Section 12.5.3: in an answer, the field says what a request may be coded in.
        self._accepted = Fields([(b"accept-encoding", ", ".join(known).encode())])

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        fields = x.request.fields
        named = fields.get(b"content-encoding")
        if named is None or (x.body.ended and not x.body.size):
            return None
        named = named.strip(b" \t").lower()
        make = self._codings.get(named)
        if make is None:
            return None if named == b"identity" else error_response(_UNKNOWN, x, self._accepted)
        length = fields.get(b"content-length")
        x.request = x.request.with_fields(fields.without(b"content-encoding", b"content-length"))
        # The engine has checked that it is a number, and that the body is as long as it says.
        if x.body.ended or (length is not None and int(length) <= HIGH_WATER):
            return _decode_all(x, make)
        x.body = Decoded(x.body, make())
        return None


async def _decode_all(x: Exchange, make: Callable[[], Decoder]) -> Response | None:
    try:
        sent = await x.body.read_all()
    except BodyAborted as aborted:
        return error_response(aborted.reason, x)
    trailers = x.body.trailers
    try:
        if len(sent) <= IN_LOOP:
            data = decode_whole(make(), sent)
        else:
            data = await asyncio.get_running_loop().run_in_executor(None, decode_whole, make(), sent)
    except BadCoding:
        return error_response(_BAD_CODING, x)
    if data is None:
        x.body = Decoded(Stream.of(sent, trailers), make())
    else:
        x.body = Stream.of(data, trailers)
        x.request = x.request.with_fields(x.request.fields.adding((b"content-length", b"%d" % len(data))))
    return None


def decode_whole(decoder: Decoder, sent: bytes) -> bytes | None:
    """What `sent` stands for; None if that is more than FREE. Raises BadCoding."""
    pieces = [decoder.decode(sent, FREE)]
    size = len(pieces[0])
    while size <= FREE and (piece := decoder.decode(b"", FREE)):
        pieces.append(piece)
        size += len(piece)
    if size > FREE:
        return None
    if not decoder.complete:
        raise BadCoding("cut")
    return b"".join(pieces)
