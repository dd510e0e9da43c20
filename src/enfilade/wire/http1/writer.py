"""Heads to the wire, and what is remembered of them.

Everything that goes out is validated here, once for each `Fields` object: no application can split a response.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from enfilade.http.fields import Fields, Pair
from enfilade.http.grammar import CONNECTION_FIELDS, FORBIDDEN_TRAILERS, is_field_name, is_field_value
from enfilade.http.memory import remember
from enfilade.wire.codec import LocalError
from enfilade.wire.http1.head import SECRETS

STATUS_LINES: dict[int, bytes] = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}

_RENDERED_ENTRIES = 4096
_RENDERED_BYTES = 512
_rendered: dict[Pair, bytes] = {}
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch


class FieldLines:
    """A `Fields` object as it goes out: `lines` without the fields that the engine says itself, the declared Content-Length
    (None if there is none), and whether there is a Date. `head` is the last whole head made from it: for `status`, a body
    of `size` bytes and the Date line `stamp`. Where only lines were added to others, `base` is the first of these, and `tail`
    what was added, to the end of the head: it goes behind the base's `head`, which is made where the base comes `again`.
    """

    __slots__ = ("again", "base", "has_date", "head", "length", "lines", "size", "stamp", "status", "tail")

    def __init__(
        self, lines: bytes, length: int | None, has_date: bool, base: FieldLines | None = None, tail: bytes = b""
    ) -> None:
        self.lines = lines
        self.length = length
        self.has_date = has_date
        self.base = base
        self.tail = tail
        self.again = False
        self.status = 0
        self.size = 0
        self.stamp = b""
        self.head = b""


def field_lines(fields: Fields) -> FieldLines:
    """`fields` rendered, remembered on them. Raises LocalError where a name, a value or the Content-Length is not one."""
    known = fields.encoded_http1
    if isinstance(known, FieldLines):
        return known
    lines: list[bytes] = []
    length: int | None = None
    has_date = False
    before = None if fields.base is None else field_lines(fields.base)
    if before is not None:
        length, has_date = before.length, before.has_date
    # What is added to other fields is mostly new each time, such as an id: it would drive the rest out of the memory.
    render = _render if before is None else _line
    for pair in fields.added:
        name = pair[0]
        if name == b"content-length":
            if length is not None or _LENGTH(pair[1]) is None:
                raise LocalError(f"bad or repeated Content-Length: {pair[1]!r}")
            length = int(pair[1])
        elif name not in CONNECTION_FIELDS:
            has_date = has_date or name == b"date"
            lines.append(_rendered.get(pair) or render(pair))
    added = b"".join(lines)
    if before is None:
        made = FieldLines(added, length, has_date)
    elif (length, has_date) == (before.length, before.has_date):
        made = FieldLines(
            before.lines + added, length, has_date, before.base or before, before.tail[:-2] + added + b"\r\n"
        )
    else:
        made = FieldLines(before.lines + added, length, has_date)
    fields.encoded_http1 = made
    return made


def trailer_lines(fields: Fields) -> bytes:
    """Trailers rendered, without those that may not come behind a body."""
    return b"".join([_rendered.get(pair) or _render(pair) for pair in fields if pair[0] not in FORBIDDEN_TRAILERS])


def status_line(status: int) -> bytes:
    """The status line; a status that has no name goes without (RFC 9112 section 4). Raises LocalError: not three digits."""
    line = STATUS_LINES.get(status)
    if line is None:
        if not 100 <= status <= 999:
            raise LocalError(f"{status} is not a status")
        line = b"HTTP/1.1 %d \r\n" % status
    return line


def _render(pair: Pair) -> bytes:
    line = _line(pair)
    if len(line) <= _RENDERED_BYTES and pair[0] not in SECRETS:
        remember(_rendered, pair, line, _RENDERED_ENTRIES)
    return line


def _line(pair: Pair) -> bytes:
    name, value = pair
    if not is_field_name(name):
        raise LocalError(f"not a field name in lower case: {name!r}")
    if not is_field_value(value):
        raise LocalError(f"not a value for {name!r}: {value!r}")
    return b"%s: %s\r\n" % pair
