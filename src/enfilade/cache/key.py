"""What an answer is found by, and what it can be purged by. Scheme, host, path and query are always in the key; whatever else an
answer depends on must be named, by the configuration or by its Vary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_plus

from enfilade.http.fields import Fields
from enfilade.http.request import Request

MAX_DEPTH = 16
"""Directories above a path that it can be purged by."""
_PORTS = {b"http": b":80", b"https": b":443"}
_SAYS_WHERE = frozenset(
    (
        b"forwarded", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-proto",
        b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl", b"x-script-name",
    )
)  # fmt: skip
_WHERE = re.compile(rb'(?i)\b(?:host|proto)=(?:"[^"]*"|[^;,\s]*)').findall  # of Forwarded: the client differs each time
_ABSENT = b"\x01"
"""Stands for a field or cookie that is not there: no value can have this byte in it."""


class KeyRules(NamedTuple):
    """What belongs to the key beside scheme, host and path. Patterns of names know `*` and `?`.

    - `query`: only the parameters with such names; None: all. `ignore_query`: not those with such names. `sort_query`: their
      order does not matter (that of several with the same name does).
    - `parts`: read further parts of a request, header fields and cookies; None where it has none.
    """

    query: tuple[str, ...] | None = None
    ignore_query: tuple[str, ...] = ()
    sort_query: bool = False
    parts: tuple[Callable[[Fields], bytes | None], ...] = ()


ALL = KeyRules()


def make_key(request: Request, rules: KeyRules) -> bytes:
    """The primary key (RFC 9111 section 2). Its parts are separated by NUL, which none of them can have in it."""
    parts = [request.scheme.encode(), origin_host(request), request.raw_path, keyed_query(request.query, rules)]
    for read in rules.parts:
        value = read(request.fields)
        parts.append(_ABSENT if value is None else value)
    if not _SAYS_WHERE.isdisjoint(request.fields.names) and (said := _said_where(request.fields)):
        parts.append(said)
    return b"\0".join(parts)


def _said_where(fields: Fields) -> bytes:
    """What the request says of the address that its client sees. Applications may use it, whoever says it (FAILURES 27); behind
    one proxy it is always the same."""
    said = [b"%s=%s" % (name, value) for name in sorted(_SAYS_WHERE) if (value := fields.get(name)) is not None]
    return b";".join([part for line in said for part in (_WHERE(line) if line.startswith(b"forwarded=") else [line])])


def origin_host(request: Request) -> bytes:
    """The authority without the port that its scheme implies."""
    return _origin_host(request.scheme, request.authority)


@lru_cache(maxsize=1024)
def _origin_host(scheme: str, authority: str) -> bytes:
    return without_port(authority.encode(), scheme.encode())


def purge_names(key: bytes, tags: Iterable[bytes], groups: Iterable[bytes]) -> Iterator[bytes]:
    """The names that what is stored under `key` can be purged by: all, its host, its address with and without the query, each
    directory above it, its tags, and its groups, which belong to its origin (RFC 9875 section 2)."""
    scheme, host, path, query, *_ = key.split(b"\0")
    yield b"all"
    yield b"host:" + host
    yield b"url:" + host + path
    if query:
        yield b"url:" + host + path + b"?" + query
    yield from (b"path:" + host + directory for directory in directories(path))
    yield from (b"tag:" + tag for tag in tags)
    yield from (group_name(scheme, host, group) for group in groups)


def group_name(scheme: bytes, host: bytes, group: bytes) -> bytes:
    """The name of a cache group (RFC 9875) of an origin."""
    return b"group:%s://%s %s" % (scheme, host, group)


def url_name(uri: bytes, rules: KeyRules = ALL) -> bytes:
    """What the absolute `uri` is purged by, whatever its scheme; without a query, so are all its queries."""
    scheme, _, rest = uri.partition(b"://")
    host, slash, target = rest.partition(b"/")
    path, _, query = target.partition(b"?")
    name = b"url:" + without_port(host.lower(), scheme) + (slash or b"/") + path
    query = keyed_query(query, rules)
    return name + b"?" + query if query else name


def without_port(authority: bytes, scheme: bytes) -> bytes:
    """The authority less the port that its scheme implies."""
    return authority.removesuffix(_PORTS.get(scheme, b":"))


def directories(path: bytes) -> list[bytes]:
    """`/`, `/a/`, `/a/b/` for `/a/b/c`."""
    found: list[bytes] = []
    at = -1
    while len(found) < MAX_DEPTH and (at := path.find(b"/", at + 1)) >= 0:
        found.append(path[: at + 1])
    return found


def keyed_query(query: bytes, rules: KeyRules) -> bytes:
    """What of `query` belongs to the key."""
    if not query or (rules.query is None and not rules.ignore_query and not rules.sort_query):
        return query
    kept = [
        (name, member)
        for member in query.split(b"&")
        # Some applications end a parameter at a semicolon, too: what may be behind it is part of the key (FAILURES 27).
        if _counts(name := unquote_plus(member.partition(b"=")[0].decode("latin-1")), rules) or b";" in member
    ]
    if rules.sort_query:
        kept.sort(key=lambda pair: pair[0])
    return b"&".join(member for _, member in kept)


def _counts(name: str, rules: KeyRules) -> bool:
    return (rules.query is None or _listed(name, rules.query)) and not _listed(name, rules.ignore_query)


def _listed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
