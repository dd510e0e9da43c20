"""Requests of trusted proxies become those of their clients (FAILURES 17)."""

from __future__ import annotations

import asyncio

from tests.net.kit import Meter, Transport

from enfilade.exchange.exchange import Ends, Exchange, Match, Route
from enfilade.exchange.response import Response
from enfilade.http.addresses import Networks
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.net.context import ConnectionLimits
from enfilade.net.http import HttpConnection
from enfilade.net.service import Service
from enfilade.net.trusted import TrustedProxies
from enfilade.wire.codec import DateStamp
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server

HEAD = b"GET /p?q HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: 203.0.113.9\r\n"
TOLD = HEAD + b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n"


def served(trusted: str | None, *reads: bytes) -> tuple[list[Exchange], list[tuple[Request, Ends]], list[Exchange]]:
    """What the handler, the router and the answerer of errors see of `reads`, which come from 192.0.2.1."""
    seen: list[Exchange] = []
    routed: list[tuple[Request, Ends]] = []
    refused: list[Exchange] = []

    def handle(x: Exchange) -> Response:
        seen.append(x)
        return Response(200, Fields(), b"ok")

    def error(why: object, x: Exchange) -> Response:
        refused.append(x)
        return Response(400, Fields(), b"no")

    here = Match(Route("", "/*", handle), {}, "")

    def find(request: Request, ends: Ends) -> Match:
        routed.append((request, ends))
        return here

    loop = asyncio.new_event_loop()
    service = Service(
        loop=loop, find=find, refused=here, error=error,
        make_codec=lambda is_http2, now: Http1Server("http", Http1Limits(), DateStamp(), now), limits=ConnectionLimits(),
        meter=Meter(), connections=set(), proxies=None if trusted is None else TrustedProxies(Networks([trusted])),  # type: ignore[arg-type]
    )  # fmt: skip
    connection = HttpConnection(service)
    connection.connection_made(Transport())
    for data in reads:
        connection.data_received(data)
    loop.close()
    return seen, routed, refused


def test_the_client_is_who_made_the_request() -> None:
    (x,), ((request, ends),), _ = served("192.0.2.0/24", TOLD)
    assert (x.ends.client_ip, x.ends.client, x.ends.scheme) == ("203.0.113.9", ("192.0.2.1", 5), "https")
    assert (x.request.scheme, x.request.authority, x.request.host) == ("https", "shop.example", "shop.example")
    assert x.request.fields.all(b"host") == [b"shop.example"]
    assert (x.request.target, x.request.version) == ("/p?q", "1.1")
    assert request is x.request and ends is x.ends


def test_each_request_of_a_connection_has_its_own_client() -> None:
    other = TOLD.replace(b"203.0.113.9", b"203.0.113.10")
    seen, _, _ = served("192.0.2.1", TOLD + other, TOLD)
    assert [x.ends.client_ip for x in seen] == ["203.0.113.9", "203.0.113.10", "203.0.113.9"]


def test_what_was_found_for_the_same_bytes_is_remembered() -> None:
    seen, routed, _ = served("192.0.2.1", TOLD, TOLD, TOLD)
    assert len(seen) == 3 and len(routed) == 1
    assert seen[0].ends is seen[2].ends


def test_strangers_are_not_believed() -> None:
    for trusted in (None, "10.0.0.0/8"):
        (x,), _, _ = served(trusted, TOLD)
        assert (x.ends.client_ip, x.request.scheme, x.request.host) == ("192.0.2.1", "http", "inside")
        assert x.request.forwarded is None


def test_what_is_refused_is_the_clients_too() -> None:
    _, _, (x,) = served("192.0.2.1", HEAD + b"Content-Length: 99999999999\r\n\r\n")
    assert x.ends.client_ip == "203.0.113.9"
