"""THE decision how long a body is (RFC 9112 section 6.3), for requests and responses.

A message whose length two readers could see differently is refused, also where the RFC would let it pass: that is how
requests are smuggled. Transfer codings other than `chunked` are not spoken here.
"""

from __future__ import annotations

import re

from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason, reason

Framing = int
"""A number of bytes (0: no body), CHUNKED, or UNTIL_CLOSE."""

CHUNKED: Framing = -1
UNTIL_CLOSE: Framing = -2

_TWO_FRAMINGS = reason("two_framings")
_BAD_LENGTH = reason("bad_content_length")
_BAD_CODING = reason("bad_transfer_encoding")

# 18 digits fit into 63 bits with room to spare, for whoever counts the body in C.
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch


def content_length(fields: Fields) -> int | Reason | None:
    """What Content-Length says; None if it is absent. Repeated fields and lists are refused, even of equal numbers."""
    value = fields.get(b"content-length")
    if value is None:
        return None
    # A repeated field is joined with a comma by `get`, so it fails here as a list does.
    return int(value) if _LENGTH(value) is not None else _BAD_LENGTH


def request_framing(version: str, fields: Fields) -> Framing | Reason:
    """How the body of a request ends. `version` is `"1.0"` or `"1.1"`."""
    framing = _declared(version, fields)
    return 0 if framing is None else framing


def response_framing(method: str, status: int, version: str, fields: Fields) -> Framing | Reason:
    """How the body of a response to a request with `method` ends."""
    framing = _declared(version, fields)
    if isinstance(framing, Reason):
        return framing
    if status < 200 or status == 204:
        # These never have a body, and never say that they have one (section 6.1): a reader might believe it.
        return _BAD_CODING if framing == CHUNKED else 0
    if status == 304 or method == "HEAD":
        return 0
    if method == "CONNECT" and status < 300:
        return UNTIL_CLOSE
    return UNTIL_CLOSE if framing is None else framing


def _declared(version: str, fields: Fields) -> Framing | Reason | None:
    length = content_length(fields)
    coding = fields.get(b"transfer-encoding")
    if coding is None:
        return length
    if length is not None:
        return _TWO_FRAMINGS
    if version == "1.0" or coding.lower() != b"chunked":
        return _BAD_CODING
    return CHUNKED
