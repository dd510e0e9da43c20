"""One grammar for what is purged, and that the names it gives are those that answers are stored with."""

from __future__ import annotations

import pytest
from tests.pythons import VERSIONS, run

from enfilade.cache.key import KeyRules, make_key, purge_names
from enfilade.cache.purge_text import purge_name, tag_value
from enfilade.testing.exchange import make_request


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("*", b"all"),
        ("user:7", b"tag:user:7"),
        ("größe", "tag:größe".encode()),
        ("https://shop.example/", b"url:shop.example/"),
        ("https://shop.example", b"url:shop.example/"),
        ("HTTP://Shop.Example:80/a", b"url:shop.example/a"),
        ("https://shop.example:8443/a", b"url:shop.example:8443/a"),
        ("https://[::1]:443/a", b"url:[::1]/a"),
        ("http://h/%7euser/../a%2fb", b"url:h/a%2Fb"),
        ("http://h/a?b=1&c=%20", b"url:h/a?b=1&c=%20"),
        ("http://h/a?x=*", b"url:h/a?x=*"),
        ("http://h/a/b/*", b"path:h/a/b/"),
        ("https://h:443/*", b"host:h"),
    ],
)
def test_what_a_text_means(text: str, name: bytes) -> None:
    assert purge_name(text) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no tag"),
        ("a b", "is no tag"),
        ("a,b", "is no tag"),
        ("user:*", "is no tag"),
        ("x" * 257, "is no tag"),
        ("/products/7", "begins with http"),
        ("ftp://h/a", "begins with http"),
        ("http://h/a*", "begins at a /"),
        ("http://ho st/", "is no address"),
        ("http://h/ö", "is no address"),
        ("http://h/a#b", "is no address"),
        ("http:///a", "begins with http"),
        ("http://h/" + "d/" * 16 + "*", "16 directories"),
    ],
)
def test_what_it_cannot_mean(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        purge_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "*", "https://shop.example/*", "https://shop.example/a/*", "https://shop.example/a/b", "user:7",
        "https://shop.example/a/b?c=d",
    ],
)  # fmt: skip
def test_an_answer_has_the_names_that_it_is_purged_by(text: str) -> None:
    request = make_request("GET", "/a/b?c=d", authority="shop.example", scheme="https")
    names = list(purge_names(make_key(request, KeyRules()), [tag_value("user:7")], []))
    assert purge_name(text) in names


@pytest.mark.parametrize("version", VERSIONS)
def test_an_applications_process_can_read_it(version: str) -> None:
    program = "from enfilade.cache.purge_text import purge_name; print(purge_name('https://h/a/*').decode())"
    assert run(version, program).strip() == "path:h/a/"
