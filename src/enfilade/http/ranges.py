"""Byte ranges (RFC 9110 section 14): which parts of a representation are asked for."""

from __future__ import annotations

import re

MAX_RANGES = 32
"""More than that is no reader's need. (Apache takes 200, nginx any number, each up to the file's size: CVE-2011-3192.)"""

_HUGE = 1 << 62

Span = tuple[int, int]
"""First byte, and the one behind the last."""

_content_range = re.compile(rb"bytes[ \t]+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE).fullmatch


def parse_range(value: bytes, size: int) -> list[Span] | None:
    """The parts of `size` bytes that a Range field asks for: ascending, apart from each other, so never more than `size`
    bytes in all. Empty: none can be satisfied (416). None: the field is to be ignored, the answer is the whole (section 14.2):
    another unit, malformed, more than MAX_RANGES, or not in ascending order."""
    unit, _, rest = value.partition(b"=")
    if unit.strip(b" \t").lower() != b"bytes" or rest.count(b",") >= MAX_RANGES:
        return None
    spans: list[Span] = []
    for spec in rest.split(b","):
        span = _parse_spec(spec.strip(b" \t"), size)
        if span is None:
            return None
        start, stop = span
        if start >= stop:
            continue
        if spans and start <= spans[-1][1]:
            if start < spans[-1][0]:
                return None
            spans[-1] = (spans[-1][0], max(stop, spans[-1][1]))
        else:
            spans.append(span)
    return spans


def content_range(span: Span, size: int) -> bytes:
    """The value of Content-Range for one part of `size` bytes."""
    return b"bytes %d-%d/%d" % (span[0], span[1] - 1, size)


def parse_content_range(value: bytes) -> tuple[Span, int] | None:
    """The part, and the size of the whole, that the Content-Range field of a 206 says (section 14.4). None: another unit,
    malformed, or it does not say of how much."""
    found = _content_range(value)
    if found is None:
        return None
    first, last, size = map(int, found.groups())
    return ((first, last + 1), size) if first <= last < size else None


def unsatisfied_range(size: int) -> bytes:
    """The value of Content-Range in a 416 (section 15.5.17)."""
    return b"bytes */%d" % size


def _parse_spec(spec: bytes, size: int) -> Span | None:
    """One range, clipped: empty if it cannot be satisfied, None if it is malformed."""
    first, dash, last = spec.partition(b"-")
    if not dash or not (first or last) or not (first + last).isdigit():
        return None
    if not first:
        return max(size - _number(last), 0), size
    start = _number(first)
    stop = _number(last) + 1 if last else size
    if last and stop <= start:
        return None
    return start, min(stop, size)


def _number(digits: bytes) -> int:
    return int(digits) if len(digits) <= 18 else _HUGE
