"""Conditional requests (RFC 9110 section 13): whether the method is to be carried out."""

from __future__ import annotations

import re
from enum import IntEnum

from enfilade.http.dates import parse_date
from enfilade.http.fields import Fields

CONDITIONAL = frozenset(
    (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
)
"""The fields that can make the answer to a GET another one than 200."""

_ETAG = re.compile(rb'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)|[ \t]*,')


class Verdict(IntEnum):
    """What to do. IGNORE_RANGE: go on, but answer with the whole representation."""

    PROCEED = 0
    IGNORE_RANGE = 1
    NOT_MODIFIED = 2
    PRECONDITION_FAILED = 3


def is_conditional(fields: Fields) -> bool:
    """Whether any CONDITIONAL field is there; remembered on `fields`, for it is asked of every request for a file."""
    fields = fields if fields.shape is None else fields.shape
    known = fields.conditional
    if known is None:
        known = fields.conditional = not CONDITIONAL.isdisjoint(fields.names)
    return known


def evaluate(method: str, fields: Fields, etag: bytes | None, last_modified: int | None) -> Verdict:
    """The preconditions in `fields` against the current representation, in the order of section 13.2.2.

    `etag` with its quotes (and `W/`), `last_modified` as Unix time; None where the representation has none.
    """
    reading = method in ("GET", "HEAD")
    if (value := fields.get(b"if-match")) is not None:
        if not _listed(value, etag, weak=False):
            return Verdict.PRECONDITION_FAILED
    elif (value := fields.get(b"if-unmodified-since")) is not None:
        since = parse_date(value)
        if since is not None and last_modified is not None and last_modified > since:
            return Verdict.PRECONDITION_FAILED
    if (value := fields.get(b"if-none-match")) is not None:
        if _listed(value, etag, weak=True):
            return Verdict.NOT_MODIFIED if reading else Verdict.PRECONDITION_FAILED
    elif reading and (value := fields.get(b"if-modified-since")) is not None:
        since = parse_date(value)
        if since is not None and last_modified is not None and last_modified <= since:
            return Verdict.NOT_MODIFIED
    # Range is defined for GET alone (section 14.2).
    if method != "GET" or not _range_holds(fields.get(b"if-range"), etag, last_modified):
        return Verdict.IGNORE_RANGE
    return Verdict.PROCEED


def _range_holds(value: bytes | None, etag: bytes | None, last_modified: int | None) -> bool:
    """Section 13.1.5: a tag must match strongly, a date exactly."""
    if value is None:
        return True
    if value.endswith(b'"'):
        return etag is not None and _same(value, etag, weak=False)
    return last_modified is not None and parse_date(value) == last_modified


def _listed(value: bytes, etag: bytes | None, weak: bool) -> bool:
    if value == b"*":
        return True
    if etag is None:
        return False
    # One tag, ours, is what nearly every client sends.
    return _same(value, etag, weak) or any(_same(tag, etag, weak) for tag in _tags(value))


def _same(one: bytes, other: bytes, weak: bool) -> bool:
    """Section 8.8.3.2."""
    if weak:
        return one.removeprefix(b"W/") == other.removeprefix(b"W/")
    return one == other and not one.startswith(b"W/")


def _tags(value: bytes) -> list[bytes]:
    """The entity tags of a list up to the first thing that is none."""
    tags: list[bytes] = []
    at = 0
    while at < len(value) and (m := _ETAG.match(value, at)) is not None:
        if m[1] is not None:
            tags.append(m[1])
        at = m.end()
    return tags
