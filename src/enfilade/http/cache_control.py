"""Cache-Control (RFC 9111 section 5.2), and fields that say the same to some caches only (RFC 9213)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Optional

from enfilade.http.structured import Member, parse_dictionary

Directives = Mapping[bytes, Optional[bytes]]
"""Names in lower case; the argument without its quotes, None where there is none."""

NONE: Directives = {}
MOST_SECONDS = 1 << 31
"""What any larger number of seconds counts as (section 1.2.2)."""

_LONGEST_REMEMBERED = 256
_LISTS = frozenset((b"no-cache", b"private"))
_SECONDS = frozenset((b"max-age", b"s-maxage", b"stale-while-revalidate", b"stale-if-error"))

_member = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*")*', re.DOTALL).match
_digits = re.compile(rb"[0-9]+").fullmatch


def parse_cache_control(value: bytes | None) -> Directives:
    """The directives of the field `value`; None: there is no such field.

    Of several directives of a name the first counts (section 4.2.1), but lists of field names (`no-cache`, `private`) are
    joined, and without any argument they stand for all fields. A quote that is never closed quotes nothing, so that what
    stands behind it is heard. Blanks around `=`, which the grammar does not allow, stay in the argument: it is not valid then.
    """
    if value is None:
        return NONE
    return _remembered(value) if len(value) <= _LONGEST_REMEMBERED else _parse(value)


def delta_seconds(argument: bytes | None) -> int:
    """The seconds that `argument` means, MOST_SECONDS at most; 0 where it is none, since what has an invalid lifetime is better
    taken for stale (section 4.2.1)."""
    if argument is None or _digits(argument) is None:
        return 0
    digits = argument.lstrip(b"0")
    return min(int(digits or b"0"), MOST_SECONDS) if len(digits) <= 10 else MOST_SECONDS


def field_names(argument: bytes) -> list[bytes]:
    """The names that `no-cache="..."` or `private="..."` lists, in lower case."""
    return [name for part in argument.lower().split(b",") if (name := part.strip(b" \t"))]


def targeted(value: bytes) -> Directives | None:
    """The directives of a targeted field (RFC 9213 section 2.1). None if it is to be ignored: empty, no Dictionary, or a number
    of seconds that is no Integer."""
    members = parse_dictionary(value)
    if not members:
        return None
    directives: dict[bytes, bytes | None] = {}
    for name, member in members.items():
        if name in _SECONDS and type(member) is not int:
            return None
        if member is not False:
            directives[name] = _argument(member)
    return directives


def _argument(member: Member) -> bytes | None:
    if member is True:
        return None
    if isinstance(member, tuple):
        return b",".join([_argument(item) or b"" for item in member])
    if isinstance(member, bytes):
        return member
    return str(member).encode("utf-8")


def _parse(value: bytes) -> Directives:
    directives: dict[bytes, bytes | None] = {}
    for member in _split(value) if b'"' in value else value.split(b","):
        if not member:
            continue
        name, equals, argument = member.strip(b" \t").partition(b"=")
        name = name.lower()
        if name != name.rstrip(b" \t"):
            name, argument = name.rstrip(b" \t"), b" " + argument
        if name:
            _enter(directives, name, _unquote(argument) if equals else None)
    return directives


def _enter(directives: dict[bytes, bytes | None], name: bytes, argument: bytes | None) -> None:
    if name not in directives:
        directives[name] = argument
    elif name in _LISTS:
        known = directives[name]
        directives[name] = None if known is None or argument is None else known + b"," + argument


def _split(value: bytes) -> list[bytes]:
    members: list[bytes] = []
    at = 0
    while at <= len(value):
        found = _member(value, at)
        assert found is not None
        end = found.end()
        if value[end : end + 1] == b'"':
            return members + value[at:].split(b",")
        members.append(value[at:end])
        at = end + 1
    return members


def _unquote(argument: bytes) -> bytes:
    if len(argument) >= 2 and argument[:1] == argument[-1:] == b'"':
        return re.sub(rb"\\(.)", rb"\1", argument[1:-1])
    return argument


_remembered = lru_cache(maxsize=1024)(_parse)
