"""Origins: exactly, or all hosts below one; nothing that merely looks alike."""

from __future__ import annotations

import pytest

from enfilade.http.origins import Origins, origin_pattern

KNOWN = Origins(["https://app.example.com", "http://localhost:3000", "https://*.shop.example", "http://[::1]:8080"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "http://localhost:3000",
        "https://a.shop.example",
        "https://a.b.shop.example",
        "http://[::1]:8080",
    ],
)
def test_what_is_named_matches(origin: str) -> None:
    assert origin.encode() in KNOWN


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example", "https://appxexample.com",
        "https://evil.example/https://app.example.com", "https://app.example.com, https://evil.example", "https://app.example.com\n",
        "http://localhost:30000", "https://shop.example", "https://evilshop.example", "https://.shop.example", "https://a@b.shop.example",
        "https://evil.example#.shop.example", "https://a.shop.example:8443", "null", "", "*",
    ],
)  # fmt: skip
def test_what_looks_alike_does_not(origin: str) -> None:
    assert origin.encode() not in KNOWN


def test_null_matches_where_it_is_named() -> None:
    assert b"null" in Origins(["null"]) and b"null" not in Origins([]) and b"" not in Origins([])


@pytest.mark.parametrize(
    "text",
    [
        "app.example.com", "https://app.example.com/", "https://App.example.com", "https://a.*.com", "https://*", "*", "https://",
        "https://user@a.com", "https://a.com:443", "http://a.com:80", "https://a.com?x", "",
    ],
)  # fmt: skip
def test_what_no_browser_would_send_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no origin|leave out"):
        origin_pattern(text)
