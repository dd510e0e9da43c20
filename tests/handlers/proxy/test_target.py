"""The path that a peer is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.exchange.exchange import Exchange
from enfilade.handlers.proxy.target import rewrite, strip
from enfilade.http.uri import UriError, split_target
from enfilade.testing.exchange import make_exchange


def asking(target: str, mount: str = "", **params: str) -> Exchange:
    """The target as an engine and the router would have it."""
    path, raw_path, _ = split_target(target.encode())
    x = make_exchange("GET", raw_path.decode(), path=path, mount=mount, params=params)
    assert not mount or path == mount or path.startswith(mount + "/")
    return x


@pytest.mark.parametrize(
    ("target", "mount", "expected"),
    [
        ("/api/x", "/api", b"/x"),
        ("/api/", "/api", b"/"),
        ("/api", "/api", b"/"),
        ("/api//x", "/api", b"//x"),
        ("/api/x//y/", "/api", b"/x//y/"),
        ("/%61pi/x", "/api", b"/x"),
        ("/api/a%2Fb", "/api", b"/a%2Fb"),
        ("/api/%C3%B6", "/api", b"/%C3%B6"),
        ("/%C3%B6/x", "/ö", b"/x"),
        ("/a%20b/c/x", "/a b/c", b"/x"),
        ("/api/api/x", "/api", b"/api/x"),
        ("/api/x/../y", "/api", b"/y"),
        ("/x/y", "", b"/x/y"),
        ("/a/b/c", "/a/b", b"/c"),
    ],
)
def test_strip(target: str, mount: str, expected: bytes) -> None:
    assert strip(asking(target, mount)) == expected


@given(st.text(alphabet="ab/%2Fö ", max_size=12))
def test_what_is_stripped_is_what_the_path_says(rest: str) -> None:
    """Decoding what is left gives what stands behind the prefix in THE path."""
    target = "/p/" + rest.replace("ö", "%C3%B6").replace(" ", "%20")
    try:
        path, _, _ = split_target(target.encode())
    except UriError:
        return
    if path.startswith("/p/"):
        left = strip(asking(target, "/p"))
        assert split_target(left)[0] == path[2:] and left.startswith(b"/")


@pytest.mark.parametrize(
    ("to", "target", "mount", "expected"),
    [
        ("/v2/{path}", "/api/x", "/api", b"/v2/x"),
        ("/v2{path}", "/api/x", "/api", b"/v2/x"),
        ("/{path}", "/api/x", "/api", b"/x"),
        ("{path}", "/api/x", "/api", b"/x"),
        ("/v2/{path}", "/api/a%2Fb%20c", "/api", b"/v2/a%2Fb%20c"),
        ("/fixed", "/api/x", "/api", b"/fixed"),
        ("/ä b?", "/x", "", b"/%C3%A4%20b%3F"),
        ("/v2/{path}", "/api", "/api", b"/v2/"),
    ],
)
def test_rewrite(to: str, target: str, mount: str, expected: bytes) -> None:
    if not to.startswith("/"):
        with pytest.raises(ValueError, match="not a path"):
            rewrite(to)
        return
    assert rewrite(to)(asking(target, mount)) == expected


def test_segments_of_the_pattern_stay_segments() -> None:
    assert rewrite("/u/{name}/x", ["name"])(asking("/a", name="a/../b ö%?")) == b"/u/a%2F..%2Fb%20%C3%B6%25%3F/x"


def test_a_placeholder_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"no \{other\}"):
        rewrite("/{other}", ["name"])
