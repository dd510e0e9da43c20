"""A redirect (RFC 9110 section 15.4) to an address that may be made from the request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields

STATUSES = (301, 302, 303, 307, 308)

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TARGET = re.compile(
    r"(?:https?://(?:\{host\}(?::[0-9]+)?|[^/?#{}\s\\]+)(?=[/?#]|\{path\}|$)|/(?![/\\])|\{path\}).*", re.DOTALL
)
_URI = "!#$%&'()*+,/:;=?@[]~-._"  # RFC 3986 section 2: what may stand in an address as it is

_Part = Callable[[Exchange], str]


class Redirect:
    """Answers with `status` and a Location made from `to`: an absolute address or a path, with these placeholders:
    `{path}` (as it was asked for), `{query}` (its `?` or `&` goes with it where there is none), `{host}`, and the route's own
    `{name}`s, percent-encoded.

    A visitor can choose neither the scheme nor the authority: placeholders but `{host}` stand behind the authority, and a
    path that a browser would read as an authority (`//evil.example`) loses its second slash. ValueError if `to` is none of this.
    """

    def __init__(self, to: str, status: int = 308, params: Iterable[str] = ()) -> None:
        if status not in STATUSES:
            raise ValueError(f"{status} is not a redirect; choose one of {', '.join(map(str, STATUSES))}")
        if not _TARGET.fullmatch(to):
            raise ValueError(f"{to!r} is not an address to redirect to; write '/path' or 'https://host/path'")
        unknown = set(_PLACEHOLDER.findall(to)) - {"path", "query", "host", *params}
        if unknown:
            raise ValueError(f"{to!r}: there is no {{{min(unknown)}}} in this route")
        self._status = status
        self._local = not to.startswith("http")
        self._parts = _compile(to)
        self._fixed = None if _PLACEHOLDER.search(to) else _answer(status, quote(to, safe=_URI))

    def __call__(self, x: Exchange) -> Response:
        if self._fixed is not None:
            return self._fixed
        location = "".join([part(x) for part in self._parts])
        return _answer(self._status, local(location) if self._local else location)


def local(location: str) -> str:
    """`location`, a path, so that no browser takes its beginning for an authority (RFC 3986 section 4.2; `\\` counts as `/`)."""
    return "/" + location.lstrip("/\\") if location[1:2] in ("/", "\\") else location


def _answer(status: int, location: str) -> Response:
    return Response(status, Fields([(b"location", location.encode("ascii"))]))


def _compile(to: str) -> list[_Part]:
    parts: list[_Part] = []
    at = 0
    for m in _PLACEHOLDER.finditer(to):
        text = to[at : m.start()]
        at = m.end()
        joint = text[-1:] if m[1] == "query" and text[-1:] in ("?", "&") else ""
        parts.append(_literal(text.removesuffix(joint)))
        parts.append(_query(joint) if m[1] == "query" else _NAMED.get(m[1]) or _param(m[1]))
    parts.append(_literal(to[at:]))
    return parts


def _literal(text: str) -> _Part:
    encoded = quote(text, safe=_URI)
    return lambda x: encoded


def _query(joint: str) -> _Part:
    return lambda x: joint + quote(x.request.query, safe=_URI) if x.request.query else ""


def _param(name: str) -> _Part:
    return lambda x: quote(x.match.params[name], safe="")


def _path(x: Exchange) -> str:
    return local(quote(x.request.raw_path, safe=_URI))


def _host(x: Exchange) -> str:
    host = x.request.host
    return f"[{host}]" if ":" in host else quote(host, safe="!$&'()*+,;=~-._")


_NAMED: dict[str, _Part] = {"path": _path, "host": _host}
