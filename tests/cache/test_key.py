"""The key: no two requests that may have different answers share one (FAILURES 27)."""

from __future__ import annotations

import pytest

from enfilade.cache.key import KeyRules, directories, make_key, origin_host, purge_names, url_name
from enfilade.http.cookies import cookie_reader
from enfilade.testing.exchange import make_request

PLAIN = KeyRules()


def key(target: str = "/", rules: KeyRules = PLAIN, **options: object) -> bytes:
    return make_key(make_request("GET", target, **options), rules)  # type: ignore[arg-type]


def test_scheme_host_path_and_query_are_always_part_of_it() -> None:
    one = key("/a?b=1")
    assert one == b"http\0example.com\0/a\0b=1"
    others = [key("/a?b=1", scheme="https"), key("/a?b=1", authority="x.com"), key("/b?b=1"), key("/a?b=2"), key("/a")]
    assert len({one, *others}) == 6


def test_the_port_that_the_scheme_implies_makes_no_other_key() -> None:
    assert key(authority="example.com:80") == key()
    assert key(authority="example.com:443", scheme="https") == key(scheme="https")
    assert key(authority="example.com:443") != key()
    assert origin_host(make_request(authority="[::1]:80")) == b"[::1]"


@pytest.mark.parametrize(
    ("rules", "query", "kept"),
    [
        (KeyRules(), "b=1&a=2", b"b=1&a=2"),
        (KeyRules(query=("a",)), "b=1&a=2&a=3", b"a=2&a=3"),
        (KeyRules(query=()), "b=1", b""),
        (KeyRules(ignore_query=("utm_*",)), "utm_source=x&a=1&utm_=&utm", b"a=1&utm"),
        (KeyRules(ignore_query=("utm_*",)), "%75tm_source=x&a=1", b"a=1"),
        (KeyRules(sort_query=True), "b=1&a=2&b=0", b"a=2&b=1&b=0"),
        (KeyRules(query=("a", "b"), ignore_query=("b",), sort_query=True), "b=1&a=2&c=3", b"a=2"),
        (KeyRules(query=("a",)), "a=1;b=2", b"a=1;b=2"),  # no origin of today parts parameters there
    ],
)
def test_parameters_are_kept_as_the_rules_say(rules: KeyRules, query: str, kept: bytes) -> None:
    assert key(f"/?{query}", rules).split(b"\0")[3] == kept


def test_further_parts_are_told_apart_also_where_they_are_missing_or_empty() -> None:
    rules = KeyRules(parts=(lambda fields: fields.get(b"x-currency"), cookie_reader("lang")))

    def of(*fields: tuple[bytes, bytes]) -> bytes:
        return key("/", rules, fields=fields)

    keys = [
        of(),
        of((b"x-currency", b"")),
        of((b"x-currency", b"eur")),
        of((b"cookie", b"lang=eur")),
        of((b"cookie", b"lang=")),
        of((b"x-currency", b"eur"), (b"cookie", b"lang=eur")),
    ]
    assert len(set(keys)) == len(keys)
    assert of((b"cookie", b"session=1; lang=en")) == of((b"cookie", b"lang=en; session=2"))


def test_what_a_request_says_of_its_own_address_is_part_of_it() -> None:
    def of(*fields: tuple[bytes, bytes]) -> bytes:
        return key("/", fields=fields)

    keys = [
        of(),
        of((b"x-forwarded-host", b"evil.example")),
        of((b"x-forwarded-proto", b"https")),
        of((b"x-forwarded-prefix", b"/evil")),
        of((b"x-script-name", b"/evil")),
        of((b"forwarded", b"for=192.0.2.1;host=evil.example;proto=https")),
        of((b"forwarded", b'for=192.0.2.1;HOST="evil.example"')),
    ]
    assert len(set(keys)) == len(keys)
    assert of((b"x-forwarded-for", b"192.0.2.1")) == of((b"forwarded", b"for=192.0.2.1")) == of()
    assert of((b"forwarded", b"for=192.0.2.1;host=a")) == of((b"forwarded", b"for=192.0.2.2;by=x;host=a"))


def test_what_an_answer_can_be_purged_by() -> None:
    names = list(purge_names(key("/a/b/c.html?x=1"), [b"user:7"], [b"news"]))
    assert names == [
        b"all",
        b"host:example.com",
        b"url:example.com/a/b/c.html",
        b"url:example.com/a/b/c.html?x=1",
        b"path:example.com/",
        b"path:example.com/a/",
        b"path:example.com/a/b/",
        b"tag:user:7",
        b"group:http://example.com news",
    ]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (b"http://example.com/a?b", b"url:example.com/a?b"),
        (b"https://EXAMPLE.com:443/A", b"url:example.com/A"),
        (b"http://example.com:8080", b"url:example.com:8080/"),
    ],
)
def test_an_address_is_purged_by_the_name_that_its_answers_have(uri: bytes, name: bytes) -> None:
    assert url_name(uri) == name


def test_directories_are_bounded() -> None:
    assert directories(b"/") == [b"/"]
    assert directories(b"/a/b") == [b"/", b"/a/"]
    assert len(directories(b"/x" * 100)) == 16
