"""The methods of RFC 9110 section 9 as our own handlers answer them. Applications see every method themselves."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

KNOWN = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")

# What only the client and this server are to know (section 9.3.8).
_CREDENTIALS = (b"cookie", b"authorization", b"proxy-authorization")
_NOT_ALLOWED = reason("method_not_allowed")
_UNKNOWN = reason("method_unknown")


def refuse_method(x: Exchange, allow: Iterable[str]) -> Response:
    """The answer to a method that is not offered where only `allow` are: 204 to OPTIONS, 405 or 501 to others, with Allow."""
    offered = Fields([(b"allow", ", ".join(dict.fromkeys((*allow, "OPTIONS"))).encode())])
    if x.request.method == "OPTIONS":
        return Response(204, offered)
    if x.request.method not in KNOWN:
        return error_response(_UNKNOWN, x)
    return error_response(_NOT_ALLOWED, x, offered)


def answer_server_method(x: Exchange, trace: bool) -> Response | None:
    """The answer to what is asked of the server and not of a resource, before any route: `OPTIONS *` and TRACE.
    None: it is neither. `trace`: TRACE is switched on, for diagnosis."""
    request = x.request
    if request.method == "TRACE":
        return echo(x) if trace else refuse_method(x, (m for m in KNOWN if m not in ("TRACE", "CONNECT")))
    if request.method == "OPTIONS" and request.path == "*":
        return refuse_method(x, (m for m in KNOWN if m != "CONNECT" and (trace or m != "TRACE")))
    return None


def echo(x: Exchange) -> Response:
    """TRACE (section 9.3.8): the request's head as it was received, without credentials."""
    request = x.request
    head = [f"{request.method} {request.target} HTTP/{request.version}".encode()]
    head += [name + b": " + value for name, value in request.fields.without(*_CREDENTIALS)]
    return Response(
        200,
        Fields([(b"content-type", b"message/http"), (b"cache-control", b"no-store")]),
        b"\r\n".join(head) + b"\r\n\r\n",
    )
