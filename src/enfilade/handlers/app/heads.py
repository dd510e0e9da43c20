"""The head of an application's answer: never trusted, checked once, and remembered, as applications repeat themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from enfilade.http.fields import Fields, Pair
from enfilade.http.grammar import CONNECTION_FIELDS, is_token
from enfilade.http.memory import remember
from enfilade.http.reasons import reason

# RFC 9110 section 5.5: no CR, LF or NUL may stand in a value.
_FORBIDDEN = re.compile(rb"[\r\n\x00]").search
_DIGITS = re.compile(rb"[0-9]{1,18}").fullmatch

MEMORY = 1024
"""How many heads are remembered; the memory is emptied when it is full."""
REMEMBERED_SIZE = 1024
"""Bytes: a larger head is not worth keeping."""


class BadAnswer(Exception):
    """The application broke the protocol of its interface. The text says how, for its author."""

    reason = reason("application_protocol")


class WrongLength(BadAnswer):
    """The application's body is longer or shorter than its Content-Length."""

    reason = reason("application_length")


class Silent(BadAnswer):
    """The application ended without an answer."""

    reason = reason("application_silent")


class Head:
    """The fields of an answer, safe to send, and the Content-Length that they promise (-1: none)."""

    __slots__ = ("fields", "length")

    def __init__(self, fields: Fields, length: int) -> None:
        self.fields = fields
        self.length = length


_memory: dict[tuple[object, ...], Head] = {}
_remembered = _memory.get


def asgi_head(headers: Iterable[Iterable[bytes]]) -> Head:
    """The head that ASGI's `headers` make: pairs of bytes. Raises BadAnswer."""
    key = tuple(headers)
    try:
        known = _remembered(key)
    except TypeError:  # lists as pairs, or bytearrays: allowed, but not hashable
        return checked(_bytes_pairs(key))
    return known or _remember(key, checked(_bytes_pairs(key)))


def wsgi_head(headers: Sequence[tuple[str, str]]) -> Head:
    """The head that WSGI's `response_headers` make: pairs of `str`, latin-1. Raises BadAnswer."""
    key = tuple(headers)
    try:
        known = _remembered(key)
    except TypeError as error:
        raise BadAnswer("response headers must be a list of (str, str) tuples") from error
    return known or _remember(key, checked(_latin1_pairs(key)))


def checked(pairs: Iterable[Pair]) -> Head:
    """Names are tokens and become lower case, values hold no line breaks, framing is dropped. Raises BadAnswer."""
    kept: list[Pair] = []
    length = -1
    for name, value in pairs:
        if not is_token(name):
            raise BadAnswer(f"{name!r} is not a field name")
        if _FORBIDDEN(value):
            raise BadAnswer(f"the value of {name!r} holds a line break or NUL: {value!r}")
        name = name.lower()
        if name in CONNECTION_FIELDS:  # the engines', whatever the application says
            continue
        if name == b"content-length":
            if not _DIGITS(value) or length not in (-1, int(value)):
                raise BadAnswer(f"Content-Length is not one decimal number: {value!r}")
            if length >= 0:
                continue
            length = int(value)
        kept.append((name, value.strip(b" \t")))
    return Head(Fields(kept), length)


def has_body(method: str, status: int) -> bool:
    """Whether Content-Length counts a body that follows: RFC 9110 section 8.6 allows it where none does."""
    return status not in (204, 304) and method != "HEAD"


def checked_status(status: object) -> int:
    """`status` if it is one of a final response. Raises BadAnswer."""
    if type(status) is not int:
        if not isinstance(status, int) or isinstance(status, bool):  # http.HTTPStatus is an int, too
            raise BadAnswer(f"status must be an int, not {status!r}")
        status = int(status)
    if not 200 <= status <= 599:
        raise BadAnswer(f"{status} is not the status of a final response")
    return status


def _bytes_pairs(headers: Iterable[object]) -> list[Pair]:
    pairs: list[Pair] = []
    for item in headers:
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise BadAnswer(f"headers must be pairs of name and value, not {item!r}")
        name, value = item
        if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
            raise BadAnswer(f"names and values of headers must be bytes, not {type(name).__name__} and "
                            f"{type(value).__name__}: {item!r}")  # fmt: skip
        pairs.append((bytes(name), bytes(value)))
    return pairs


def _latin1_pairs(headers: Iterable[object]) -> list[Pair]:
    pairs: list[Pair] = []
    for item in headers:
        if not isinstance(item, tuple) or len(item) != 2 or not all(isinstance(part, str) for part in item):
            raise BadAnswer(f"response headers must be (str, str) tuples, not {item!r}")
        try:
            pairs.append((item[0].encode("latin-1"), item[1].encode("latin-1")))
        except UnicodeEncodeError as error:
            raise BadAnswer(f"response headers must be latin-1: {item!r}") from error
    return pairs


def _remember(key: tuple[object, ...], head: Head) -> Head:
    size = sum(len(name) + len(value) for name, value in head.fields.pairs)
    if size <= REMEMBERED_SIZE and b"set-cookie" not in head.fields:
        remember(_memory, key, head, MEMORY)
    return head
