"""What is done to values before they are looked at: never an exception, whatever a stranger sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.rules.shipped.making import PLAIN, SHELL
from enfilade.rules.transform import TRANSFORMS, is_untouched, percent_decoded, transformed


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"a%20b", "a b"), (b"%C3%A9", "é"), (b"\xc3\xa9", "é"), (b"%c0%ae", r"\xc0\xae"), (b"%zz%", "%zz%"),
     (b"", ""), (b"%00", "\0")],
)  # fmt: skip
def test_no_byte_hides(raw: bytes, text: str) -> None:
    assert percent_decoded(raw) == text


@pytest.mark.parametrize(
    ("word", "text", "becomes"),
    [
        ("decode", "%27%u0027%2527", "''%27"), ("decode", "%uD800", r"\ud800"), ("decode", "é%41", "éA"), ("decode", "+", "+"),
        ("entities", "&lt;&#39;&#x27;&#00000000039;&quot", "<'''\""), ("entities", "&#99999999999;x", ";x"),
        ("entities", f"&#{'9' * 9000};", ";"), ("entities", f"&#x{'0' * 9000}41;", "A"), ("entities", "a & b", "a & b"),
        ("no_nul", "a\0b", "ab"),
        ("no_comments", "union/**/select", "union  select"), ("no_comments", "/*!50000union*/", " union "),
        ("no_quotes", "c'a\"t\\ ^x", "cat x"),
        ("squeeze", " a\t\n\v\f\r b\xa0c ", "a b c"),
        ("lowercase", "SeLeCT", "select"),
    ],
)  # fmt: skip
def test_words(word: str, text: str, becomes: str) -> None:
    assert transformed(text, [word]) == becomes


def test_they_are_done_in_order() -> None:
    assert transformed("%253Cscript%253E", ["decode", "decode"]) == "<script>"
    assert transformed("UN%2F**%2FION", PLAIN) == "un ion"
    assert transformed("C%27A%27T", SHELL) == "cat"


@given(st.text(st.sampled_from("aZ09_-./:;=,()[]{}<>|$#@!?~+` \t\n\x1c\xa0%&*\0\"'\\^é")))
def test_what_is_untouched_is_left_as_it_is_by_all_but_lowercase(text: str) -> None:
    if is_untouched(text):
        assert all(transformed(text, [word]) == text for word in TRANSFORMS if word != "lowercase")


@pytest.mark.parametrize(
    "text", ["", "a", "Mozilla/5.0 (X11; Linux x86_64)", "8f14e45fceea167a5a36dedd4bea2543", "/a/b-c.d", "a+b=c"]
)
def test_what_most_people_send_is_untouched(text: str) -> None:
    assert is_untouched(text)


@given(st.binary(), st.lists(st.sampled_from(sorted(TRANSFORMS))))
def test_anything_can_be_transformed_and_encoded(raw: bytes, words: list[str]) -> None:
    transformed(percent_decoded(raw), words).encode()
