"""What tells clients, or requests, apart for hashing, splitting, limiting: the part of a request that a configuration names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from enfilade.exchange.exchange import Exchange
from enfilade.http.cookies import cookie_reader
from enfilade.http.grammar import is_token

Key = Callable[[Exchange], bytes]
"""Gives what stands in that part of the request, as sent; empty where nothing does."""


def client_ip(x: Exchange) -> bytes:
    return x.ends.client_ip.encode()


def _header(name: str) -> Key:
    field = name.lower().encode("utf-8", "replace")
    if not is_token(field):
        raise ValueError(f'"{name}" is not the name of a header field')
    return lambda x: x.request.fields.get(field) or b""


def _cookie(name: str) -> Key:
    read = cookie_reader(name)
    return lambda x: read(x.request.fields) or b""


def _query(name: str) -> Key:
    find = re.compile(rb"(?:^|&)" + re.escape(name.encode()) + rb"=([^&]*)").search

    def read(x: Exchange) -> bytes:
        found = find(x.request.query)
        return b"" if found is None else found[1]

    return read


_ALONE: Mapping[str, Key] = {
    "ip": client_ip,
    "path": lambda x: x.request.raw_path,
    "host": lambda x: x.request.host.encode(),
}
_NAMED: Mapping[str, Callable[[str], Key]] = {"header": _header, "cookie": _cookie, "query": _query}


def parse_key(text: str) -> Key:
    """What reads the part of a request that `text` names: `ip`, `path`, `host`, `header NAME`, `cookie NAME` or `query NAME`.
    ValueError for any other text."""
    part, *names = text.split() or [""]
    if part in _ALONE and not names:
        return _ALONE[part]
    if part in _NAMED and len(names) == 1:
        return _NAMED[part](names[0])
    raise ValueError(
        f'"{text}" is not a part of a request: write "ip", "path", "host", "header NAME", "cookie NAME" or "query NAME"'
    )
