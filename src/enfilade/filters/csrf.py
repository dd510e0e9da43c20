"""Cross-site request forgery: what pages of other origins have a browser send is refused, by what the browser says of it."""

from __future__ import annotations

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.origins import Origins, own_origin
from enfilade.http.reasons import reason

_CROSS_ORIGIN = reason("cross_origin")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_OWN = frozenset((b"same-origin", b"none"))
"""What Sec-Fetch-Site says of our own pages, and of what a person typed."""


class Csrf(Filter):
    """Refuses requests of pages that are neither of our origin nor of one of `origins`, unless their method is safe (RFC 9110
    section 9.2.1). WebSockets are looked at as well: browsers open them to any origin, with cookies.

    Sec-Fetch-Site says it (w3.org/TR/fetch-metadata, section 2.1), where there is none Origin does; where there is neither, no
    browser has sent the request.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def on_request(self, x: Exchange) -> Response | None:
        request = x.request
        if request.method in _SAFE and request.protocol is None:
            return None
        site, origin = request.fields.values((b"sec-fetch-site", b"origin"))
        own = site in _OWN if site is not None else origin is None or origin == own_origin(request)
        return None if own or (origin is not None and origin in self._origins) else error_response(_CROSS_ORIGIN, x)
