"""Cache-Control as it comes: RFC 9111 section 5.2, RFC 9110 section 5.6, RFC 9213."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.cache_control import MOST_SECONDS, delta_seconds, field_names, parse_cache_control, targeted


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        (None, {}),
        (b"", {}),
        (b" , ,", {}),
        (b"no-store", {b"no-store": None}),
        (b"Max-Age=60 ,\tPUBLIC", {b"max-age": b"60", b"public": None}),
        (b'max-age="60"', {b"max-age": b"60"}),
        (b'a="b, no-store", c', {b"a": b"b, no-store", b"c": None}),
        (b'a="b\\", no-store", c', {b"a": b'b", no-store', b"c": None}),
        (b"a=", {b"a": b""}),
        (b"=a, b", {b"b": None}),
        (b"a=b=c", {b"a": b"b=c"}),
        # the first counts
        (b"a=1, a=2, A", {b"a": b"1"}),
        # but lists of names are joined, and no list stands for all
        (b'private="a", private="b"', {b"private": b"a,b"}),
        (b'no-cache="a", no-cache', {b"no-cache": None}),
        (b'no-cache, no-cache="a"', {b"no-cache": None}),
        # a quote that is never closed quotes nothing
        (b'private="a, no-store', {b"private": b'"a', b"no-store": None}),
        (b'a="b", private="c, no-store', {b"a": b"b", b"private": b'"c', b"no-store": None}),
        (b'a="b\\", no-store', {b"a": b"b\\", b"no-store": None}),
        # what the grammar does not allow is no valid argument
        (b"max-age = 60", {b"max-age": b"  60"}),
        (b"max-age= 60", {b"max-age": b" 60"}),
        (b"no-store =", {b"no-store": b" "}),
    ],
)
def test_directives(value: bytes | None, directives: dict[bytes, bytes | None]) -> None:
    assert parse_cache_control(value) == directives


def test_a_long_value_is_read_as_a_short_one() -> None:
    assert parse_cache_control(b"max-age=60, x=" + b"y" * 10_000) == {b"max-age": b"60", b"x": b"y" * 10_000}


@given(st.binary(max_size=60))
def test_any_bytes_are_read(value: bytes) -> None:
    for name, argument in parse_cache_control(value).items():
        assert name == name.lower()
        delta_seconds(argument)


@given(st.text('\\,=a "', max_size=40))
def test_no_quote_that_is_left_open_hides_what_stands_behind_it(text: str) -> None:
    opened = text.replace('"', "").encode() + b',a="b,no-store'
    assert b"no-store" in parse_cache_control(opened)


@pytest.mark.parametrize(
    ("argument", "seconds"),
    [
        (b"0", 0), (b"60", 60), (b"0060", 60), (b"2147483647", MOST_SECONDS - 1), (b"2147483648", MOST_SECONDS),
        pytest.param(b"9" * 5000, MOST_SECONDS, id="nines"), pytest.param(b"0" * 5000, 0, id="noughts"),
        (None, 0), (b"", 0), (b"-1", 0), (b"1.0", 0), (b" 1", 0), (b"1_0", 0), (b"\xb2", 0),
    ],
)  # fmt: skip
def test_seconds(argument: bytes | None, seconds: int) -> None:
    assert delta_seconds(argument) == seconds


def test_field_names() -> None:
    assert field_names(b" A,b ,, c") == [b"a", b"b", b"c"]
    assert field_names(b"") == []


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        (b"max-age=60, must-revalidate", {b"max-age": b"60", b"must-revalidate": None}),
        (b"max-age=-60", {b"max-age": b"-60"}),
        (b"private=?0, no-store=?1", {b"no-store": None}),
        (b'no-cache="a, b", x=y;z', {b"no-cache": b"a, b", b"x": b"y"}),
        (b'private=("a" b)', {b"private": b"a,b"}),
        (b"x=:YQ==:, y=1.5", {b"x": b"a", b"y": b"1.5"}),
        (b"max-age=1, max-age=2", {b"max-age": b"2"}),
        (b"", None),
        (b"max-age", None),
        (b'max-age="60"', None),
        (b"max-age=60.0", None),
        (b"stale-if-error=?1", None),
        (b"Max-Age=60", None),
        (b"max-age=60,", None),
    ],
)
def test_targeted_fields(value: bytes, directives: dict[bytes, bytes | None] | None) -> None:
    assert targeted(value) == directives
