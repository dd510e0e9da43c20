"""Structured Fields: RFC 9651 sections 3 and 4.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.structured import Date, Member, Token, parse_dictionary, parse_list


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"", []),
        (b"  ", []),
        (b" sugar, tea ,\trum ", [Token("sugar"), Token("tea"), Token("rum")]),
        (b'"a \\" \\\\ b", "c"', ['a " \\ b', "c"]),
        (b"1, -2, 3.5, -0.25", [1, -2, 3.5, -0.25]),
        (b"?1, ?0", [True, False]),
        (b":aGk=:, ::", [b"hi", b""]),
        (b":aGk:", [b"hi"]),
        (b"@1659578233", [Date(1659578233)]),
        (b'%"f%c3%bc"', ["f\xfc"]),
        (b"*a/b:c", [Token("*a/b:c")]),
        (b'a;b;c=1; d="x", e', [Token("a"), Token("e")]),
        (b'("a" b), ( c ), ();x', [("a", Token("b")), (Token("c"),), ()]),
        (b'("a";q=1 "b");r', [("a", "b")]),
        (b"999999999999999", [999999999999999]),
    ],
)
def test_lists(value: bytes, members: list[Member]) -> None:
    assert parse_list(value) == members


@pytest.mark.parametrize(
    "value",
    [
        b"a,", b",a", b"a,,b", b"a b", b"a, ", b"a,\t", b'"a', b'"a\\b"', b'"\xc3\xa4"', b"'a'", b"1.", b"1.2345",
        b".5", b"--1", b"1000000000000000",
        b"1234567890123.5", b"?2", b"?", b":a b:", b"(a", b"a)", b"(a,b)", b'("a""b")',
        b"a;B=1", b"a;=1", b"a ;b", b"@1.5", b'%"%C3"', b'%"%zz"', b"&",
        b"\ta", b"a;b=", b"(a);b=(c)",
    ],
)  # fmt: skip
def test_a_list_that_is_malformed_is_none(value: bytes) -> None:
    assert parse_list(value) is None


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"", {}),
        (b"a=1, b, c=?0;x, d;y=2", {b"a": 1, b"b": True, b"c": False, b"d": True}),
        (b"a=1,a=2", {b"a": 2}),
        (b"*a.b-c_d=(1 2)", {b"*a.b-c_d": (1, 2)}),
    ],
)
def test_dictionaries(value: bytes, members: dict[bytes, Member]) -> None:
    assert parse_dictionary(value) == members


@pytest.mark.parametrize(
    "value", [b"A=1", b"a =1", b"a= 1", b"a=", b"a=1,", b"a=1 b=2", b"=1", b"a=1, &&&", b'"a"=1', b"1=a"]
)
def test_a_dictionary_that_is_malformed_is_none(value: bytes) -> None:
    assert parse_dictionary(value) is None


def test_a_token_is_no_string() -> None:
    assert [type(member) for member in parse_list(b'a, "a", 1, ?1, 1.0') or ()] == [Token, str, int, bool, float]


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_read(value: bytes, plain: bool) -> None:
    read = parse_list if plain else parse_dictionary
    members = read(value)
    assert members is None or len(members) <= len(value)
