"""From a request to its route: host to site, path and method to route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from enfilade.exchange.exchange import Match
from enfilade.http.ends import Ends
from enfilade.http.request import Request


class Site(Protocol):
    """The routes of one host. `tls`: the context that connections for it are made with; None if it is not served over TLS.
    `plain`: what is found for plain HTTP instead of its routes, if it is something else. `verifies`: it serves those alone whose
    certificates its own handshake has verified."""

    tls: object | None
    plain: Match | None
    verifies: bool

    def match(self, request: Request) -> Match: ...


class Dispatcher:
    """Finds the match for the requests of a listener.

    `find_site(host)` gives the site or None; `misdirected` answers where there is none (421, RFC 9110 section 15.5.20),
    and where a TLS connection was made for one site and is used for another with another certificate and other rules, or by a
    proxy before us for a site that verifies clients.
    """

    __slots__ = ("_find_site", "_misdirected")

    def __init__(self, find_site: Callable[[str], Site | None], misdirected: Match) -> None:
        self._find_site = find_site
        self._misdirected = misdirected

    def __call__(self, request: Request, ends: Ends) -> Match:
        site = self._find_site(request.host)
        if site is None:
            return self._misdirected
        if ends.tls is not site.tls:
            if request.scheme == "http" and site.plain is not None:
                return site.plain
            if ends.tls is not None or site.verifies:
                return self._misdirected
        return site.match(request)
