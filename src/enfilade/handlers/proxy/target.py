"""The path that a peer is asked for in place of the one that the client asked us for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote_to_bytes

from enfilade.exchange.exchange import Exchange

Rewrite = Callable[[Exchange], bytes]
"""Gives the raw path."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PATH = "!$%&'()*+,/:;=@~-._"  # RFC 3986 section 3.3


def strip(x: Exchange) -> bytes:
    """The path without what the route's pattern has in front of `/*`."""
    raw, mount = x.request.raw_path, x.match.mount.encode()
    if not mount:
        return raw
    # The client may have written the prefix in another way: `/%61pi` for `/api`.
    end = raw.find(b"/", 1)
    while end >= 0 and unquote_to_bytes(raw[:end]) != mount:
        end = raw.find(b"/", end + 1)
    return b"/" if end < 0 else raw[end:]


def rewrite(to: str, params: Iterable[str] = ()) -> Rewrite:
    """The path `to`, in which `{path}` is what `strip` gives and `{name}` a segment of the pattern. ValueError for others."""
    if not to.startswith("/"):
        raise ValueError(
            f'"{to}" is not a path; write "/path", with {{path}} for what stands in place of the pattern\'s *'
        )
    names = {"path", *params}
    parts: list[Rewrite] = []
    at = 0
    for found in _PLACEHOLDER.finditer(to):
        if found[1] not in names:
            raise ValueError(f'"{to}": there is no {{{found[1]}}} in this route')
        text = to[at : found.start()]
        parts += [_literal(text.removesuffix("/") if found[1] == "path" else text), _param(found[1])]
        at = found.end()
    parts.append(_literal(to[at:]))
    return lambda x: b"".join([part(x) for part in parts])


def _literal(text: str) -> Rewrite:
    encoded = quote(text, safe=_PATH).encode("ascii")
    return lambda x: encoded


def _param(name: str) -> Rewrite:
    return strip if name == "path" else lambda x: quote(x.match.params[name], safe="").encode("ascii")
