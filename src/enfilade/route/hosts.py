"""Which site a host belongs to: an exact name, then a wildcard, then the default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

from enfilade.route.patterns import RouteError

T = TypeVar("T")

_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_IPV6 = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*")


class Hosts(Generic[T]):
    """The compiled names of all sites."""

    __slots__ = ("_default", "_exact", "_wild")

    def __init__(self, exact: dict[str, T], wild: dict[str, T], default: T | None) -> None:
        self._exact = exact
        self._wild = wild
        self._default = default

    def find(self, host: str) -> T | None:
        """What `host` (lower case, without its port) belongs to; None: no site has this name (421)."""
        found = self._exact.get(host)
        if found is None and host[-1:] == ".":
            # One dot at the end says that the name is complete (RFC 1034 section 3.1): it is the same name.
            host = host[:-1]
            found = self._exact.get(host)
        if found is None and self._wild:
            found = self._wild.get(host.partition(".")[2])
        return self._default if found is None else found


def compile_hosts(names: Mapping[str, T]) -> Hosts[T]:
    """The names of all sites. `*.example.com` stands for exactly one label, as in certificates (RFC 9525 section 6.3), so that
    a site never answers for names that its certificate does not cover; `*` is the default. Raises RouteError."""
    exact: dict[str, T] = {}
    wild: dict[str, T] = {}
    default: T | None = None
    for text, target in names.items():
        if text == "*":
            default = target
            continue
        name = _normal(text)
        table, key = (wild, name[2:]) if name.startswith("*.") else (exact, name)
        if key in table:
            raise RouteError(f"{text!r}: this host is named twice", text)
        table[key] = target
    return Hosts(exact, wild, default)


def _normal(text: str) -> str:
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as e:
            raise RouteError(f"{text!r} is not a host name: {e}", text) from None
    bare = name.removeprefix("[").removesuffix("]")
    if _IPV6.fullmatch(bare):
        return bare
    if not _HOST.fullmatch(name):
        raise RouteError(
            f"{text!r} is not a host name; write it without scheme, port and path, as in 'example.com'", text
        )
    return name
