"""Error answers by Accept (RFC 9110 section 12.5.1, RFC 9457)."""

from __future__ import annotations

import json

import pytest

from enfilade.exchange.errors import PHRASES, error_response
from enfilade.exchange.exchange import Exchange
from enfilade.http.fields import Fields
from enfilade.http.reasons import REASONS, reason
from enfilade.testing.exchange import make_exchange

BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def asking(accept: bytes | None, name: str | None = None) -> Exchange:
    x = make_exchange(fields=[(b"accept", accept)] if accept else [])
    x.id = name
    return x


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (BROWSER, b"text/html; charset=utf-8"),
        (b"application/json", b"application/problem+json"),
        (b"application/problem+json, */*;q=0.1", b"application/problem+json"),
        (b"*/*", b"text/plain; charset=utf-8"),
        (None, b"text/plain; charset=utf-8"),
        (b"image/png", b"text/plain; charset=utf-8"),
    ],
)
def test_the_kind_follows_accept(accept: bytes | None, media: bytes) -> None:
    r = error_response(reason("not_found"), asking(accept))
    assert (r.status, r.fields.get(b"content-type"), r.fields.get(b"vary")) == (404, media, b"accept")
    assert r.reason is reason("not_found")
    assert isinstance(r.body, bytes) and b"404" in r.body


def test_rfc9457_members() -> None:
    r = error_response(reason("queue_full"), asking(b"application/json", "id-1"), Fields([(b"retry-after", b"5")]))
    assert isinstance(r.body, bytes)
    assert json.loads(r.body) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The application has too much to do.",
        "request_id": "id-1",
    }
    assert r.fields.get(b"retry-after") == b"5"


def test_the_request_id_is_shown_and_escaped() -> None:
    page = error_response(reason("internal"), asking(BROWSER, "<script>")).body
    assert isinstance(page, bytes) and b"&lt;script&gt;" in page and b"<script>" not in page
    text = error_response(reason("internal"), asking(None, "abc")).body
    assert text == b"500 Internal Server Error: Something went wrong in the server. (abc)\n"


def test_the_same_answer_is_the_same_object() -> None:
    assert error_response(reason("no_route"), asking(BROWSER)) is error_response(reason("no_route"), asking(BROWSER))


@pytest.mark.parametrize("name", sorted(REASONS))
def test_every_reason_can_be_answered(name: str) -> None:
    r = error_response(reason(name), asking(BROWSER))
    assert r.status in PHRASES and 400 <= r.status <= 599
    assert isinstance(r.body, bytes) and b"src=" not in r.body and b"href=" not in r.body
