"""Parts of a representation (RFC 9111 sections 3.3 and 3.4): stored from a 206, used for ranges within, and put together."""

from __future__ import annotations

from typing import NamedTuple

from enfilade.cache.decide import Asked, Rules, store
from enfilade.cache.freshen import fetching_fields, stored_fields
from enfilade.cache.reasons import CacheReason, cache_reason
from enfilade.cache.stored import Terms
from enfilade.http.dates import parse_date
from enfilade.http.fields import Fields
from enfilade.http.ranges import Span, content_range, parse_content_range, parse_range
from enfilade.http.request import Request

_PARTIAL = cache_reason("partial_answer")
_SECOND = 1
"""By so much Last-Modified must be before Date to be a strong validator (RFC 9110 section 8.8.2.2)."""


class Part(NamedTuple):
    """The bytes from `start` up to `stop` of a representation of `size` bytes."""

    start: int
    stop: int
    size: int


def read_part(fields: Fields) -> Part | None:
    """Which part a 206 has; None: several, or it does not say of how much."""
    read = parse_content_range(fields.get(b"content-range") or b"")
    return None if read is None else Part(*read[0], read[1])


def store_part(
    request: Request, asked: Asked, fields: Fields, size: int, sent_at: float, came_at: float, rules: Rules
) -> Terms | CacheReason:
    """`store` for a 206 with a body of `size` bytes, which is stored like an incomplete 200, if it says which part it is, and
    is as long as that."""
    part = read_part(fields)
    if part is None or part.stop - part.start != size:
        return _PARTIAL
    return store(request, asked, 200, fields, sent_at, came_at, rules)


def strong_validator(fields: Fields) -> bytes | None:
    """What two parts must have in common to be combined (RFC 9110 section 15.3.7.3): a strong entity tag, or else a Last-Modified
    that is one second at least before Date."""
    etag, modified, date = fields.values((b"etag", b"last-modified", b"date"))
    if etag is not None:
        return None if etag.startswith(b"W/") else etag
    since, made = parse_date(modified or b""), parse_date(date or b"")
    return modified if since is not None and made is not None and made - since >= _SECOND else None


def span_within(part: Part, value: bytes) -> Span | None:
    """The bytes that the Range field `value` asks for, if it is one range, and the part has all of it."""
    spans = parse_range(value, part.size)
    if spans is None or len(spans) != 1:
        return None
    start, stop = spans[0]
    return (start, stop) if part.start <= start and stop <= part.stop else None


def completing_fields(fields: Fields, stored: Fields, part: Part) -> Fields | None:
    """A request's fields with a range for all that the stored part lacks, on condition that it still belongs to it; None: that is
    not one range, or nothing."""
    validator = strong_validator(stored)
    if validator is None or (part.start > 0) is (part.stop < part.size):
        return None
    lacking = b"bytes=%d-" % part.stop if part.start == 0 else b"bytes=0-%d" % (part.start - 1)
    return fetching_fields(fields).adding((b"range", lacking), (b"if-range", validator))


def combine(
    stored: Fields, body: bytes, new: Fields, new_body: bytes, rules: Rules
) -> tuple[Fields, Part, bytes] | None:
    """A stored part and that of a new 206 as one (section 3.4): fields, part, body. Without Content-Range the part is the whole.

    None: they do not belong together, for want of one strong validator; they do not touch; or one is not as long as it says.
    """
    one, other = read_part(stored), read_part(new)
    validator = strong_validator(stored)
    if one is None or other is None or validator is None or strong_validator(new) != validator:
        return None
    if one.size != other.size or one.stop < other.start or other.stop < one.start:
        return None
    if len(body) != one.stop - one.start or len(new_body) != other.stop - other.start:
        return None
    part = Part(min(one.start, other.start), max(one.stop, other.stop), one.size)
    whole = body[: max(0, other.start - one.start)] + new_body + body[other.stop - one.start :]
    return _combined_fields(stored, new, part, rules), part, whole


def _combined_fields(stored: Fields, new: Fields, part: Part, rules: Rules) -> Fields:
    """Each field of the new part takes the place of all of its name, but Content-Range, which is that of both."""
    update = stored_fields(new, rules).without(b"content-range")
    kept = stored.without(b"content-range", *update.names)
    whole = part.start == 0 and part.stop == part.size
    made = () if whole else ((b"content-range", content_range((part.start, part.stop), part.size)),)
    return Fields((*kept, *update, *made))
