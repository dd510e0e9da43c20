"""RFC 9111 section 4.4: invalidation; with it RFC 9875, and the tags of surrogate keys."""

from __future__ import annotations

import pytest
from tests.cache.making import fields, request

from enfilade.cache.invalidate import (
    MAX_TAG,
    MAX_TAGS,
    SAFE,
    groups,
    invalidated,
    invalidated_groups,
    tags,
    target_uri,
)

TARGET = b"http://shop.example.com/a/page?q=1"


def uris(
    *lines: str, method: str = "POST", status: int = 200, authority: str = "shop.example.com"
) -> tuple[bytes, ...]:
    asking = request(method=method, target="/a/page?q=1", authority=authority)
    return invalidated(asking, status, fields(*lines))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("status", [200, 201, 204, 299, 301, 303, 399])
def test_4_4_the_target_must_be_invalidated_by_an_unsafe_method_that_does_not_fail(method: str, status: int) -> None:
    assert uris(method=method, status=status) == (TARGET,)


@pytest.mark.parametrize("method", ["M-SEARCH", "post", "FROBNICATE", "Get"])
def test_4_4_and_by_a_method_whose_safety_is_unknown(method: str) -> None:
    assert uris(method=method) == (TARGET,)


@pytest.mark.parametrize("status", [100, 400, 404, 412, 500, 503, 599])
def test_4_4_an_error_invalidates_nothing(status: int) -> None:
    assert uris("Location: /b", status=status) == ()


@pytest.mark.parametrize("method", sorted(SAFE))
def test_4_4_a_safe_method_invalidates_nothing(method: str) -> None:
    assert uris("Location: /b", method=method) == ()


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize(
    ("reference", "uri"),
    [
        ("/b", b"http://shop.example.com/b"),
        ("b", b"http://shop.example.com/a/b"),
        ("../b?x=1#frag", b"http://shop.example.com/b?x=1"),
        ("?q=2", b"http://shop.example.com/a/page?q=2"),
        ("http://shop.example.com", b"http://shop.example.com/"),
        ("HTTP://Shop.Example.com:80/%7eb", b"http://shop.example.com/~b"),
        ("//shop.example.com/b", b"http://shop.example.com/b"),
    ],
)
def test_4_4_so_may_be_what_location_and_content_location_say(name: str, reference: str, uri: bytes) -> None:
    assert uris(f"{name}: {reference}") == (TARGET, uri)


def test_4_4_both_and_each_once() -> None:
    assert uris("Location: /b", "Content-Location: /c") == (
        TARGET,
        b"http://shop.example.com/b",
        b"http://shop.example.com/c",
    )
    assert uris("Location: /a/page?q=1") == (TARGET,)


@pytest.mark.parametrize(
    "reference",
    [
        "http://other.example.com/b",
        "http://shop.example.com:8080/b",
        "https://shop.example.com/b",
        "//other.example.com/b",
        "http://shop.example.com@other.example.com/b",
        "http://other.example.com\\@shop.example.com/b",
        "ftp://shop.example.com/b",
        "mailto:shop@example.com",
    ],
)
def test_4_4_must_not_invalidate_another_origin(reference: str) -> None:
    assert uris(f"Location: {reference}") == (TARGET,)


@pytest.mark.parametrize("reference", ["http://[/", "/%zz", "/\xe4", "http://a:99999/", "/%2f/..%5c..", ""])
def test_4_4_what_cannot_be_read_invalidates_the_target_alone(reference: str) -> None:
    assert uris(f"Location: {reference}") == (TARGET,)


def test_4_4_ports_that_are_said_are_compared() -> None:
    assert uris("Location: http://shop.example.com/b", authority="shop.example.com:80")[1:] == (
        b"http://shop.example.com/b",
    )
    assert uris("Location: http://shop.example.com:8080/b", authority="shop.example.com:8080")[1:] == (
        b"http://shop.example.com:8080/b",
    )


def test_the_target_is_the_normalised_one() -> None:
    assert target_uri(request(target="/a?")) == b"http://shop.example.com/a"
    assert target_uri(request(target="/a", authority="shop.example.com:80")) == b"http://shop.example.com/a"
    assert target_uri(request(target="/a", authority="shop.example.com:8080")) == b"http://shop.example.com:8080/a"


# -- RFC 9875


def test_groups_are_a_list_of_strings() -> None:
    assert groups(fields('Cache-Groups: "scripts", "Images";x=1, "scripts"')) == (b"scripts", b"Images")
    assert groups(fields('Cache-Groups: "a"', 'Cache-Groups: "b"')) == (b"a", b"b")
    assert groups(fields("A: 1")) == ()


@pytest.mark.parametrize("value", ['scripts, "a"', "scripts", '"a', '"a" "b"', "1", '("a")', '"\xe4"', '"a",'])
def test_groups_that_are_none_are_ignored(value: str) -> None:
    assert groups(fields(f"Cache-Groups: {value}")) == ()


def test_at_least_32_groups_of_32_bytes_are_kept() -> None:
    names = [f"{i:032}" for i in range(32)]
    value = ", ".join(f'"{name}"' for name in names)
    assert groups(fields(f"Cache-Groups: {value}")) == tuple(name.encode() for name in names)
    assert invalidated_groups(request(method="POST"), 200, fields(f"Cache-Group-Invalidation: {value}")) == tuple(
        name.encode() for name in names
    )


def test_groups_are_invalidated_by_an_unsafe_method_that_does_not_fail() -> None:
    lines = fields('Cache-Group-Invalidation: "a", "b"')
    assert invalidated_groups(request(method="POST"), 200, lines) == (b"a", b"b")
    assert invalidated_groups(request(method="GET"), 200, lines) == ()
    assert invalidated_groups(request(method="POST"), 500, lines) == ()


# -- tags


def test_tags() -> None:
    assert tags(fields("Surrogate-Key: a b  c", "Cache-Tag: d, e f,,a", "Edge-Cache-Tag: g", "Surrogate-Key: h")) == (
        b"a", b"b", b"c", b"h", b"d", b"e f", b"g",
    )  # fmt: skip
    assert tags(fields("A: 1")) == ()


def test_more_tags_than_are_kept_would_be_missed_by_a_purge() -> None:
    assert len(tags(fields("Cache-Tag: " + ",".join(map(str, range(MAX_TAGS))))) or ()) == MAX_TAGS
    assert tags(fields("Cache-Tag: " + ",".join(map(str, range(MAX_TAGS + 1))))) is None
    assert tags(fields("Cache-Tag: " + "x" * MAX_TAG)) == (b"x" * MAX_TAG,)
    assert tags(fields("Cache-Tag: " + "x" * (MAX_TAG + 1))) is None
    assert groups(fields('Cache-Groups: "' + "x" * (MAX_TAG + 1) + '"')) is None
