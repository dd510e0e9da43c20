"""Exchanges for the tests of filters."""

from __future__ import annotations

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.exchange import Exchange, Match, Route
from enfilade.exchange.response import Response
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request


class Carrier:
    def inform(self, stream: int, status: int, fields: Fields) -> None:
        raise AssertionError("no filter sends interim responses")

    def now(self) -> float:
        return 0.0


def request(*fields: tuple[bytes, bytes], path: str = "/a", query: bytes = b"", method: str = "GET") -> Request:
    return Request(
        method, "https", "e.com", "e.com", path, path.encode("utf-8", "surrogateescape"), query, Fields(fields), "1.1"
    )


def exchange(*fields: tuple[bytes, bytes], body: Stream | None = None, started: float = 100.0, **more: str) -> Exchange:
    ends = Ends(("192.0.2.7", 4711), ("192.0.2.1", 443), "https", tls_version="TLSv1.3")
    match = Match(Route("e.com", "/*", lambda x: Response(200)), {}, "")
    x = Exchange(request(*fields, **more), body or empty_body(), ends, Carrier(), 1, started, match)
    x.response = Response(200, Fields([(b"content-type", b"text/plain")]))
    return x
