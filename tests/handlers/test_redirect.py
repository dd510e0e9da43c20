"""Redirects: placeholders, and no way out of the configured authority."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.handlers.redirect import Redirect
from enfilade.testing.exchange import make_exchange


def location(to: str, target: str = "/", *, authority: str = "example.com", **params: str) -> bytes | None:
    r = Redirect(to, 308, params)(make_exchange("GET", target, authority=authority, params=params))
    assert (r.status, r.body) == (308, b"")
    return r.fields.get(b"location")


@pytest.mark.parametrize(
    ("to", "target", "expected"),
    [
        ("/new", "/x?a=1", b"/new"),
        ("/ö x", "/", b"/%C3%B6%20x"),
        ("https://{host}{path}?{query}", "/a%20b?c=%20d", b"https://example.com/a%20b?c=%20d"),
        ("https://{host}{path}?{query}", "/a", b"https://example.com/a"),
        ("https://{host}:8443{path}", "/a?b", b"https://example.com:8443/a"),
        ("/x?a=1&{query}", "/?b=2", b"/x?a=1&b=2"),
        ("/x?a=1&{query}", "/", b"/x?a=1"),
        ("/base{path}", "/a/b", b"/base/a/b"),
        ("{path}/", "/a", b"/a/"),
    ],
)
def test_placeholders(to: str, target: str, expected: bytes) -> None:
    assert location(to, target) == expected


def test_route_parameters_are_encoded() -> None:
    assert location("/u/{name}", name="a/../b?c\r\nd é") == b"/u/a%2F..%2Fb%3Fc%0D%0Ad%20%C3%A9"


def test_an_ipv6_host_keeps_its_brackets() -> None:
    assert location("https://{host}/", authority="[::1]:80") == b"https://[::1]/"


@pytest.mark.parametrize("target", ["//evil.example/", "///evil.example", "/\\evil.example", "//\\/evil.example"])
def test_no_open_redirect(target: str) -> None:
    for to in ("{path}", "{path}/"):
        found = location(to, target)
        assert found is not None and found[:2] not in (b"//", b"/\\") and found.startswith(b"/")
    assert location("https://safe.example{path}", target) == b"https://safe.example" + (
        location("{path}", target) or b""
    )


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("", 308),
        ("new", 308),
        ("//evil", 308),
        ("/\\evil", 308),
        ("javascript:alert(1)", 308),
        ("{name}", 308),
        ("{query}", 308),
        ("https://{name}/", 308),
        ("https://a.example{name}", 308),
        ("https://{host}{name}", 308),
        ("https://{host}.evil", 308),
        ("/{nobody}", 308),
        ("/ok", 200),
        ("/ok", 304),
    ],
)
def test_what_could_lead_anywhere_is_refused_at_load(to: str, status: int) -> None:
    with pytest.raises(ValueError):
        Redirect(to, status, ["name"])


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=12), st.text(alphabet="/\\.:@a%0d", max_size=8))
def test_no_response_splitting(name: str, path: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    x = make_exchange("GET", "/" + path, params={"name": name})
    for to in ("/{name}{path}?{query}", "{path}", "https://a.example{path}"):
        found = Redirect(to, 302, ["name"])(x).fields.get(b"location") or b""
        assert not set(found) & set(b" \r\n\0\\") and found.isascii()
        assert found.startswith((b"https://a.example/", b"/")) and not found.startswith(b"//")
