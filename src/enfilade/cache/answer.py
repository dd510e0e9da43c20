"""What a client is answered from a stored answer: all of it, a part of it (RFC 9110 section 14), or that it has it already
(section 13)."""

from __future__ import annotations

import math

from enfilade.cache.combine import Part
from enfilade.cache.freshen import answer_precondition
from enfilade.cache.invalidate import untagged
from enfilade.cache.reasons import CacheReason, cache_reason
from enfilade.cache.status import cache_status
from enfilade.cache.stored import Stored
from enfilade.exchange.byteranges import several_parts, single_part
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import FileSlice, Response
from enfilade.http.conditionals import Verdict
from enfilade.http.fields import Fields, Pair
from enfilade.http.ranges import Span, content_range, parse_range, unsatisfied_range
from enfilade.http.reasons import reason

_HIT = cache_reason("hit")
_REVALIDATED = cache_reason("revalidated")
_NOT_SATISFIABLE = reason("range_not_satisfiable")
_OF_304 = frozenset((b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"))
"""What a 304 repeats (RFC 9110 section 15.4.5)."""


def represent(x: Exchange, conditional: bool, stored: Stored, why: CacheReason, now: float) -> Response | None:
    """`stored` for `x`, whose request is `conditional` or wants a part; with its Age (RFC 9111 section 5.1) and its Cache-Status.
    None: its content is gone."""
    pairs = told(stored, why, now)
    return conditionally(x, stored, *pairs) if conditional else whole(stored, *pairs)


def told(stored: Stored, why: CacheReason, now: float) -> tuple[Pair, Pair]:
    """What changes each second."""
    terms = stored.terms
    age = max(0, math.floor(now - terms.born))
    asked = 304 if why is _REVALIDATED else None
    ttl = math.floor(terms.fresh_until - terms.born) - age
    return (b"age", b"%d" % age), (b"cache-status", cache_status(why, ttl=ttl, fwd_status=asked))


def part_of(stored: Stored, span: Span, part: Part, now: float) -> Response | None:
    """The bytes of `span` from a stored part that has them. None: its content is gone."""
    start, stop = span
    body = stored.content.read(start - part.start, stop - part.start)
    if body is None:
        return None
    said = (b"content-range", content_range(span, part.size))
    return Response(206, untagged(stored.fields).setting(said).adding(*told(stored, _HIT, now)), body)


def whole(stored: Stored, *pairs: Pair) -> Response | None:
    """All of `stored`, with `pairs` behind its fields. None: its content is gone."""
    body = stored.content.read(0, stored.content.size)
    return None if body is None else Response(stored.status, untagged(stored.fields).adding(*pairs), body)


def conditionally(x: Exchange, stored: Stored, *pairs: Pair) -> Response | None:
    """What the preconditions and the Range of `x` make of it (RFC 9111 section 4.3.2)."""
    verdict = answer_precondition(x.request, stored.status, stored.fields, stored.terms)
    if verdict is Verdict.NOT_MODIFIED:
        return not_modified(stored.fields, *pairs)
    wanted = x.request.fields.get(b"range")
    if wanted is None or verdict is Verdict.IGNORE_RANGE or stored.status != 200:
        return whole(stored, *pairs)
    return _parts(x, stored, wanted, pairs)


def not_modified(fields: Fields, *pairs: Pair) -> Response:
    """304 for an answer with `fields`."""
    return Response(304, Fields([*(p for p in fields.pairs if p[0] in _OF_304), *pairs]))


def _parts(x: Exchange, stored: Stored, wanted: bytes, pairs: tuple[Pair, ...]) -> Response | None:
    content = stored.content
    spans = parse_range(wanted, content.size)
    if spans is None:
        return whole(stored, *pairs)
    if not spans:
        size = (b"content-range", unsatisfied_range(content.size))
        return error_response(_NOT_SATISFIABLE, x, Fields([size, (b"accept-ranges", b"bytes"), *pairs]))
    body = content.read(0, content.size)
    if body is None:
        return None
    fields = untagged(stored.fields).adding(*pairs)
    if isinstance(body, bytes):
        if len(spans) == 1:
            return single_part(fields, spans[0], len(body), body, _no_file)
        return several_parts(fields, spans, len(body), body, _no_file)
    return _parts_of_file(fields, spans, body)


def _parts_of_file(fields: Fields, spans: list[tuple[int, int]], file: FileSlice) -> Response:
    if len(spans) > 1:
        return several_parts(fields, spans, file.length, None, lambda: file.fd, file.offset)
    start, stop = spans[0]
    part = FileSlice(file.fd, file.offset + start, stop - start, file.close)
    return Response(206, fields.adding((b"content-range", content_range(spans[0], file.length))), part)


def _no_file() -> int:
    raise AssertionError("the content is there")
