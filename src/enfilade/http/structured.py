"""Structured Fields (RFC 9651): reading lists and dictionaries. Parameters are checked and left out: no field that is read
here gives them a meaning."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Union
from urllib.parse import unquote_to_bytes

from enfilade.http.grammar import TCHAR


class Token(str):
    """A Token (section 3.3.4); a String is a plain `str`."""

    __slots__ = ()


class Date(int):
    """A Date (section 3.3.7): Unix time."""

    __slots__ = ()


Item = Union[bool, int, float, str, bytes]
"""Boolean, Integer or Date, Decimal, String or Token or Display String, Byte Sequence (sections 3.3.1 to 3.3.8)."""
Member = Union[Item, tuple[Item, ...]]
"""An item, or an inner list (section 3.1.1)."""

_KEY = rb"[a-z*][a-z0-9_.*-]*"
_BARE = (
    rb"(?:\?[01]|@?-?[0-9]{1,15}(?![0-9.])|-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9.])"
    rb'|"(?:[ !#-\[\]-~]|\\["\\])*"|[A-Za-z*][:/' + TCHAR + rb"]*|:[A-Za-z0-9+/=]*:"
    rb'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*")'
)
_PARAMETERS = rb"(?:; *" + _KEY + rb"(?:=" + _BARE + rb")?)*"
_key = re.compile(_KEY).match
_bare = re.compile(_BARE).match
_parameters = re.compile(_PARAMETERS).match
_space = re.compile(rb" *").match
_comma = re.compile(rb"[ \t]*(?:,[ \t]*(?!\Z)|\Z)").match


def parse_list(value: bytes) -> list[Member] | None:
    """The members of a List (section 4.2.1); None if it is malformed, for then the whole field is to be ignored."""
    members: list[Member] = []
    at = _end(_space(value))
    value = value.rstrip(b" ")
    while at < len(value):
        read = _member(value, at)
        if read is None or (comma := _comma(value, read[1])) is None:
            return None
        members.append(read[0])
        at = comma.end()
    return members


def parse_dictionary(value: bytes) -> dict[bytes, Member] | None:
    """The members of a Dictionary (section 4.2.2), of which the last of a name counts; None if it is malformed."""
    members: dict[bytes, Member] = {}
    at = _end(_space(value))
    value = value.rstrip(b" ")
    while at < len(value):
        key = _key(value, at)
        if key is None:
            return None
        at = key.end()
        if value[at : at + 1] == b"=":
            read = _member(value, at + 1)
        else:
            read = True, _end(_parameters(value, at))
        if read is None or (comma := _comma(value, read[1])) is None:
            return None
        members[key[0]] = read[0]
        at = comma.end()
    return members


def _member(value: bytes, at: int) -> tuple[Member, int] | None:
    """What stands at `at`, and where it ends."""
    if value[at : at + 1] != b"(":
        return _item(value, at)
    items: list[Item] = []
    at = _end(_space(value, at + 1))
    while value[at : at + 1] != b")":
        read = _item(value, at)
        if read is None or value[read[1] : read[1] + 1] not in (b" ", b")"):
            return None
        items.append(read[0])
        at = _end(_space(value, read[1]))
    return tuple(items), _end(_parameters(value, at + 1))


def _item(value: bytes, at: int) -> tuple[Item, int] | None:
    found = _bare(value, at)
    if found is None:
        return None
    return _read(found[0]), _end(_parameters(value, found.end()))


def _read(bare: bytes) -> Item:
    first = bare[:1]
    if first == b"?":
        return bare == b"?1"
    if first == b'"':
        return re.sub(r"\\(.)", r"\1", bare[1:-1].decode("ascii"))
    if first == b":":
        return b64decode(bare + b"==")
    if first == b"@":
        return Date(bare[1:])
    if first == b"%":
        return unquote_to_bytes(bare[2:-1]).decode("utf-8", "replace")
    if first.isdigit() or first == b"-":
        return float(bare) if b"." in bare else int(bare)
    return Token(bare.decode("ascii"))


def _end(match: re.Match[bytes] | None) -> int:
    """Where a pattern that matches anything has stopped."""
    assert match is not None
    return match.end()
