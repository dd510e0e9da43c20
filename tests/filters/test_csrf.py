"""Request forgery: what the browser says of a request, by the table in docs/filters.md."""

from __future__ import annotations

import pytest
from tests.filters.kit import exchange

from enfilade.filters.csrf import Csrf
from enfilade.http.origins import Origins, own_origin

CSRF = Csrf(Origins(["https://partner.example"]))
OWN, OTHER, PARTNER = b"https://e.com", b"https://evil.example", b"https://partner.example"


def verdict(site: bytes | None, origin: bytes | None, method: str = "POST", protocol: str | None = None) -> int:
    fields = [(n, v) for n, v in ((b"sec-fetch-site", site), (b"origin", origin)) if v is not None]
    x = exchange(*fields, method=method)
    x.request.protocol = protocol
    answer = CSRF.on_request(x)
    if answer is None:
        return 200
    assert answer.reason is not None and answer.reason.name == "cross_origin"
    return answer.status


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        (b"same-origin", OWN), (b"same-origin", None), (b"none", None), (None, OWN), (None, None), (None, PARTNER),
        (b"cross-site", PARTNER),
    ],
)  # fmt: skip
def test_our_own_pages_those_named_and_no_browser_go_on(site: bytes | None, origin: bytes | None) -> None:
    assert verdict(site, origin) == 200


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        (b"cross-site", OTHER), (b"cross-site", None), (b"same-site", b"https://a.e.com"), (b"cross-site", OWN), (b"", None),
        (b"same-origin, none", None), (b"anything", OWN), (None, OTHER), (None, b"null"), (None, b"http://e.com"),
        (None, b"https://e.com:8443"), (None, b"https://e.com.evil.example"), (None, b""), (None, OWN + b", " + OTHER),
    ],
)  # fmt: skip
def test_pages_of_other_origins_do_not(site: bytes | None, origin: bytes | None) -> None:
    assert verdict(site, origin) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods_go_on(method: str) -> None:
    assert verdict(b"cross-site", OTHER, method) == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PURGE", "get"])
def test_every_other_method_is_looked_at(method: str) -> None:
    assert verdict(b"cross-site", OTHER, method) == 403


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_websockets_are_looked_at(method: str) -> None:
    """Over HTTP/1.1 their method is GET, over HTTP/2 CONNECT (RFC 8441)."""
    assert verdict(None, OTHER, method, "websocket") == 403
    assert verdict(None, OWN, method, "websocket") == verdict(b"same-origin", OWN, method, "websocket") == 200


@pytest.mark.parametrize(
    ("scheme", "authority", "origin"),
    [
        ("https", "e.com", b"https://e.com"),
        ("https", "e.com:443", b"https://e.com"),
        ("https", "e.com:80", b"https://e.com:80"),
        ("http", "e.com:80", b"http://e.com"),
        ("http", "[::1]:8080", b"http://[::1]:8080"),
    ],
)
def test_our_own_origin_is_written_as_browsers_do(scheme: str, authority: str, origin: bytes) -> None:
    request = exchange().request
    request.scheme, request.authority = scheme, authority
    assert own_origin(request) == origin
