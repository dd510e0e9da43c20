"""The grammar that every protocol version shares (RFC 9110 section 5.6): tokens, field names, field values, lists."""

from __future__ import annotations

import re

TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
"""What a token is made of (section 5.6.2), to stand between brackets in a pattern."""

_TOKEN = re.compile(rb"[" + TCHAR + rb"]+").fullmatch
_LOWER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
# Section 5.5: visible bytes, with blanks and tabs between but not around them. Bytes above 0x7F are opaque.
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?").fullmatch

CONNECTION_FIELDS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
"""Fields of one connection, not of the message (RFC 9110 section 7.6.1): each engine says them in its own way."""

FORBIDDEN_TRAILERS = CONNECTION_FIELDS | {
    b"authorization", b"cache-control", b"content-encoding", b"content-length", b"content-range", b"content-type",
    b"cookie", b"expect", b"forwarded", b"host", b"max-forwards", b"proxy-authorization", b"range", b"set-cookie", b"te",
    b"trailer", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto",
}  # fmt: skip
"""Fields that frame, route, authenticate or modify a message, and so cannot come behind it (RFC 9110 section 6.5.1)."""


def is_token(data: bytes) -> bool:
    """Whether `data` is a token: a method, a field name in any case, a protocol's name."""
    return _TOKEN(data) is not None


def is_field_name(data: bytes) -> bool:
    """Whether `data` is a field name in lower case, as `Fields` keep them."""
    return _LOWER_NAME(data) is not None


def is_field_value(data: bytes) -> bool:
    """Whether `data` is a field value: no controls but tab, no blanks at its ends."""
    return _VALUE(data) is not None


def list_members(value: bytes) -> list[bytes]:
    """The members of a list of tokens (section 5.6.1), in lower case; empty ones are left out."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
