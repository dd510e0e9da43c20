"""Which part of a request tells clients apart."""

from __future__ import annotations

import pytest

from enfilade.exchange.key import parse_key
from enfilade.testing.exchange import make_exchange

X = make_exchange(
    target="/a%2Fb?tag=x%20y&utm=1&empty=",
    fields=[(b"x-tenant", b"blue"), (b"cookie", b"sid=42; a=b")],
    authority="shop.example.com:8080",
    client=("2001:db8::1", 50000),
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ip", b"2001:db8::1"),
        ("path", b"/a%2Fb"),
        ("host", b"shop.example.com"),
        ("header X-Tenant", b"blue"),
        ("header x-other", b""),
        ("cookie sid", b"42"),
        ("cookie other", b""),
        ("query tag", b"x%20y"),
        ("query utm", b"1"),
        ("query tm", b""),
        ("query empty", b""),
        ("query other", b""),
        (" header  X-Tenant ", b"blue"),
    ],
)
def test_each_reads_its_part_as_it_was_sent(text: str, key: bytes) -> None:
    assert parse_key(text)(X) == key


def test_the_address_is_that_of_the_client_behind_trusted_proxies() -> None:
    x = make_exchange()
    x.ends.client_ip = "198.51.100.7"
    assert parse_key("ip")(x) == b"198.51.100.7"


@pytest.mark.parametrize("text", ["", "IP", "ip 1", "header", "header a b", "cookie", "port", "path /a", "cookies a"])
def test_other_texts_are_refused_with_what_could_be_written(text: str) -> None:
    with pytest.raises(ValueError, match='is not a part of a request: write "ip", "path"'):
        parse_key(text)


@pytest.mark.parametrize("text", ["header a:b", "cookie a=b"])
def test_names_that_nothing_can_have_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a"):
        parse_key(text)
