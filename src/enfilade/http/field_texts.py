"""Header fields of answers as people write them, in a configuration or in a program: what may be said, and what may not."""

from __future__ import annotations

from enfilade.http.grammar import CONNECTION_FIELDS, is_field_value, is_token

FRAMING = CONNECTION_FIELDS | {b"content-length", b"te", b"trailer"}
"""Fields that say how a message is cut from the connection (RFC 9110 section 7.6.1, RFC 9112 section 6): the engines' own."""


def field_name(text: str) -> bytes:
    """`text` in lower case; ValueError if it is no token (RFC 9110 section 5.1) or belongs to the engines."""
    name = text.encode("utf-8", "replace").lower()
    if not is_token(name):
        raise ValueError(f'"{text}" is not the name of a header field')
    if name in FRAMING:
        raise ValueError(f'"{text}" belongs to the connection, which the server frames itself')
    return name


def field_value(text: str) -> bytes:
    """`text` in ASCII, as new values should be; ValueError if it is not, has controls in it or spaces around it (RFC 9110
    section 5.5)."""
    if not text.isascii() or not is_field_value(value := text.encode("ascii")):
        raise ValueError(f"{text!a} cannot be the value of a header field (ASCII, no controls, no blanks at its ends)")
    return value
