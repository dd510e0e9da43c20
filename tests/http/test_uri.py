"""One path for everybody: what `split_target` and `parse_authority` promise."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.http import uri
from enfilade.http.uri import UriError, normalise_path, parse_authority, parse_url, split_target


@pytest.mark.parametrize(
    ("raw", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/?", "/", b"/", b""),
        (b"/a?b?c=/../%zz", "/a", b"/a", b"b?c=/../%zz"),
        (b"/%7euser/a%20b", "/~user/a b", b"/~user/a%20b", b""),
        (b"/%c3%a9", "/é", b"/%C3%A9", b""),
        (b"/%e9", "/\ufffd", b"/%E9", b""),
        (b"/a%2fb", "/a/b", b"/a%2Fb", b""),
        (b"/a%2Bb+c", "/a+b+c", b"/a%2Bb+c", b""),
        (b"/a\\b|[c]", "/a\\b|[c]", b"/a%5Cb%7C%5Bc%5D", b""),
        (b"/%252e%252e/x", "/%2e%2e/x", b"/%252e%252e/x", b""),
        (b"//a//b/", "//a//b/", b"//a//b/", b""),
        (b"/...", "/...", b"/...", b""),
        (b"/.well-known/x", "/.well-known/x", b"/.well-known/x", b""),
    ],
)
def test_split_target(raw: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    assert split_target(raw) == (path, raw_path, query)
    assert split_target(raw) == (path, raw_path, query), "the same from memory"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/a/b/c/./../../g", "/a/g"),  # the example of RFC 3986 section 5.2.4
        (b"/../x", "/x"),
        (b"/../../..", "/"),
        (b"/a/..", "/"),
        (b"/a/.", "/a/"),
        (b"/a/%2e%2e/b", "/b"),
        (b"/a/.%2E", "/"),
        (b"/%2e", "/"),
        (b"/a//../b", "/a/b"),
    ],
)
def test_dot_segments_are_removed_after_decoding(raw: bytes, path: str) -> None:
    assert split_target(raw)[0] == path


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"a", b"*", b"?a", b"/a b", b"/a\tb", b"/\x00", b"/\x7f", b"/\xe9", b"/a?b c", b"/a?\xe9", b"/a#b", b"/a?b#c",
        b"/%", b"/%4", b"/%zz", b"/%00", b"/%0a", b"/%1F", b"/%7f",
    ],
)  # fmt: skip
def test_malformed_targets_are_refused(raw: bytes) -> None:
    with pytest.raises(UriError) as refused:
        split_target(raw)
    assert refused.value.reason.name == "bad_target"


@pytest.mark.parametrize(
    "raw",
    [
        b"/..%2fx", b"/%2f..", b"/a%2F..%2Fb", b"/%5c..", b"/..%5c", b"/..\\x", b"/\\.", b"/.%2f", b"/a%5c%2e%2e%5cb",
        b"/a%2Fb/../c", b"/a\\b/../c",
    ],
)  # fmt: skip
def test_dots_beside_hidden_separators_are_refused(raw: bytes) -> None:
    with pytest.raises(UriError):
        split_target(raw)


PIECES = st.sampled_from(
    [
        b"/",
        b".",
        b"..",
        b"a",
        b"%2e",
        b"%2E",
        b"%2f",
        b"%5C",
        b"\\",
        b"%41",
        b"%c3%a9",
        b"%ff",
        b"%25",
        b"%",
        b"|",
        b"~",
        b"+",
    ]
)
PATHS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


@given(PATHS)
@settings(max_examples=400, deadline=None)
def test_normal_forms_are_stable_and_hold_no_dot_segments(raw: bytes) -> None:
    try:
        path, raw_path, _ = split_target(raw)
    except UriError:
        with pytest.raises(UriError):
            normalise_path(raw)
        return
    assert normalise_path(raw) == (path, raw_path), "short cut and long way agree"
    assert split_target(raw_path) == (path, raw_path, b""), "normalising again changes nothing"
    assert unquote_to_bytes(raw_path).decode("utf-8", "replace") == path
    for readers_view in (path, path.replace("\\", "/")):
        assert not {".", ".."} & set(readers_view.split("/"))


def test_the_memory_is_bounded() -> None:
    for i in range(uri._MEMORY_ENTRIES + 10):
        split_target(b"/%d" % i)
        parse_authority(b"h%d" % i)
    split_target(b"/" + b"x" * 2000)
    assert len(uri._paths) <= uri._MEMORY_ENTRIES
    assert len(uri._authorities) <= uri._MEMORY_ENTRIES
    assert max(map(len, uri._paths)) <= uri._MEMORY_KEY_BYTES


@pytest.mark.parametrize(
    ("raw", "authority", "host"),
    [
        (b"Example.COM", "example.com", "example.com"),
        (b"example.com:8443", "example.com:8443", "example.com"),
        (b"example.com:", "example.com", "example.com"),
        (b"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1"),
        (b"[::1]", "[::1]", "::1"),
        (b"[2001:DB8::1]:65535", "[2001:db8::1]:65535", "2001:db8::1"),
        (b"under_score.local", "under_score.local", "under_score.local"),
    ],
)
def test_parse_authority(raw: bytes, authority: str, host: str) -> None:
    assert parse_authority(raw) == (authority, host)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b":80", b"a/b?x", b"user@host", b"a b", b"host:65536", b"host:-1", b"host:+1", b"host:8a", b"a:1:2", b"::1",
        b"[::1", b"[]", b"[::1%25eth0]", b"[v1.x]", b"[::g]", b"a\x00", b"a\xe9", b"a%zz", b"a#b", b"a\n", b"[::1]x", b"http://a",
    ],
)  # fmt: skip
def test_failures_8_what_is_no_host_is_refused(raw: bytes) -> None:
    with pytest.raises(UriError) as refused:
        parse_authority(raw)
    assert refused.value.reason.name == "bad_host"


@pytest.mark.parametrize(
    ("text", "host", "port", "again"),
    [
        ("https://id.example", "id.example", 443, "https://id.example/"),
        ("HTTP://ID.example:8080/a/../b%7e?x=1#y", "id.example", 8080, "http://id.example:8080/b~"),
        ("https://[2001:db8::1]/", "2001:db8::1", 443, "https://[2001:db8::1]/"),
        ("https://[2001:db8::1]:8443?x", "2001:db8::1", 8443, "https://[2001:db8::1]:8443/"),
    ],
)
def test_urls_to_fetch(text: str, host: str, port: int, again: str) -> None:
    url = parse_url(text)
    assert (url.host, url.port, str(url)) == (host, port, again)


@pytest.mark.parametrize(
    "text", ["", "id.example", "ftp://x/", "https:///x", "https://me:pw@x/", "https://x/%zz", "https://é/", "//x/"]
)  # fmt: skip
def test_what_is_no_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_url(text)
    assert "pw" not in str(refused.value)
