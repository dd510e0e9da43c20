"""RFC 9111 sections 3.3 and 3.4: incomplete responses, and how they are combined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.making import NOW, RULES, at, fields, request

from enfilade.cache.combine import (
    Part,
    combine,
    completing_fields,
    read_part,
    span_within,
    store_part,
    strong_validator,
)
from enfilade.cache.decide import read_request
from enfilade.cache.reasons import CacheReason
from enfilade.cache.stored import Terms
from enfilade.http.fields import Fields

ETAG = 'ETag: "a"'
MINUTE = "Cache-Control: max-age=60"
WHOLE = b"0123456789"


def stored(*lines: str, size: int = 5) -> Terms | CacheReason:
    asking = request("Range: bytes=0-4")
    return store_part(asking, read_request(asking), fields(*lines), size, NOW, NOW, RULES)


def part(start: int, stop: int, *lines: str, size: int = 10) -> Fields:
    return fields(f"Content-Range: bytes {start}-{stop - 1}/{size}", *(lines or (ETAG,)))


# -- 3.3


def test_3_3_a_206_may_be_stored_like_a_200() -> None:
    assert stored(MINUTE, "Content-Range: bytes 0-4/10") == Terms(NOW, NOW + 60, NOW + 60, NOW + 60)


@pytest.mark.parametrize(
    "value",
    [
        "bytes 0-4/*",
        "bytes */10",
        "pages 0-4/10",
        "bytes 4-0/10",
        "bytes 0-10/10",
        "0-4/10",
        "bytes=0-4/10",
        "",
        "bytes 0-4/10, x",
    ],
)
def test_3_3_must_not_be_stored_where_the_range_is_not_understood(value: str) -> None:
    assert getattr(stored(MINUTE, ETAG, f"Content-Range: {value}"), "name", None) == "partial_answer"


def test_3_3_parts_in_several_pieces_are_not_stored() -> None:
    assert (
        getattr(stored(MINUTE, ETAG, "Content-Type: multipart/byteranges; boundary=x"), "name", None)
        == "partial_answer"
    )


@pytest.mark.parametrize("size", [0, 4, 6, 10])
def test_3_3_a_part_of_another_length_than_it_says_is_not_stored(size: int) -> None:
    assert getattr(stored(MINUTE, ETAG, "Content-Range: bytes 0-4/10", size=size), "name", None) == "partial_answer"


def test_3_3_what_forbids_to_store_a_200_forbids_it_here() -> None:
    assert getattr(stored("Cache-Control: no-store", ETAG, "Content-Range: bytes 0-4/10"), "name", None) == "no_store"


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("bytes=4-8", (4, 9)), ("bytes=5-6", (5, 7)), ("bytes=-2", None), ("bytes=3-5", None), ("bytes=8-9", None),
        ("bytes=4-", None),        ("bytes=4-4,6-6", None), ("bytes=4-5,6-6", (4, 7)), ("bytes=20-", None), ("pages=4-5", None),
    ],
)  # fmt: skip
def test_3_3_must_not_answer_but_with_a_range_wholly_within(value: str, span: tuple[int, int] | None) -> None:
    assert span_within(Part(4, 9, 10), value.encode()) == span


def test_3_3_the_end_is_within_a_part_that_has_it() -> None:
    assert span_within(Part(4, 10, 10), b"bytes=-2") == (8, 10)
    assert span_within(Part(4, 10, 10), b"bytes=6-") == (6, 10)


def test_3_3_may_be_completed_by_a_range_request() -> None:
    asked = fields("Accept: a/b", "If-None-Match: *", "Range: bytes=0-")
    assert completing_fields(asked, fields(ETAG), Part(0, 5, 10)) == fields(
        "Accept: a/b", "Range: bytes=5-", 'If-Range: "a"'
    )
    assert completing_fields(asked, fields(ETAG), Part(5, 10, 10)) == fields(
        "Accept: a/b", "Range: bytes=0-4", 'If-Range: "a"'
    )


@pytest.mark.parametrize("lacking", [Part(2, 5, 10), Part(0, 10, 10)])
def test_3_3_but_not_by_two_or_none(lacking: Part) -> None:
    assert completing_fields(fields(), fields(ETAG), lacking) is None


def test_3_3_nor_without_a_strong_validator() -> None:
    assert completing_fields(fields(), fields('ETag: W/"a"'), Part(0, 5, 10)) is None


# -- 3.4


@pytest.mark.parametrize(
    ("lines", "validator"),
    [
        ((ETAG,), b'"a"'),
        (('ETag: W/"a"',), None),
        (('ETag: W/"a"', f"Last-Modified: {at(-5)}", f"Date: {at(0)}"), None),
        ((f"Last-Modified: {at(-1)}", f"Date: {at(0)}"), at(-1).encode()),
        ((f"Last-Modified: {at(0)}", f"Date: {at(0)}"), None),
        ((f"Last-Modified: {at(-1)}",), None),
        (("Last-Modified: x", f"Date: {at(0)}"), None),
        ((), None),
    ],
)
def test_3_4_which_validators_are_strong(lines: tuple[str, ...], validator: bytes | None) -> None:
    assert strong_validator(fields(*lines)) == validator


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_3_4_parts_that_touch_become_one(a: int, b: int, c: int, d: int) -> None:
    one, other = sorted((a, b)), sorted((c, d))
    one[1] += 1
    other[1] += 1
    made = combine(part(*one), WHOLE[slice(*one)], part(*other), WHOLE[slice(*other)], RULES)
    if one[1] < other[0] or other[1] < one[0]:
        assert made is None
        return
    assert made is not None
    start, stop = min(one[0], other[0]), max(one[1], other[1])
    assert made[1:] == (Part(start, stop, 10), WHOLE[start:stop])
    assert read_part(made[0]) == (None if stop - start == 10 else made[1])


def test_3_4_the_new_part_counts_where_both_have_the_same_bytes() -> None:
    made = combine(part(0, 6), b"aaaaaa", part(2, 4), b"bb", RULES)
    assert made is not None
    assert made[2] == b"aabbaa"


@pytest.mark.parametrize("new", ['ETag: "b"', 'ETag: W/"a"', f"Last-Modified: {at(-5)}"])
def test_3_4_they_must_share_a_strong_validator(new: str) -> None:
    assert combine(part(0, 5), WHOLE[:5], part(5, 10, new, f"Date: {at(0)}"), WHOLE[5:], RULES) is None


def test_3_4_parts_of_another_size_or_length_are_not_combined() -> None:
    assert combine(part(0, 5), WHOLE[:5], part(5, 10, size=11), WHOLE[5:], RULES) is None
    assert combine(part(0, 5), WHOLE[:4], part(5, 10), WHOLE[5:], RULES) is None
    assert combine(part(0, 5), WHOLE[:5], part(5, 10), WHOLE[5:9], RULES) is None


def test_3_4_what_is_no_part_is_not_combined() -> None:
    assert combine(fields(ETAG), WHOLE[:5], part(5, 10), WHOLE[5:], RULES) is None
    assert combine(part(0, 5), WHOLE[:5], fields(ETAG), WHOLE[5:], RULES) is None
    weak = 'ETag: W/"a"'
    assert combine(part(0, 5, weak), WHOLE[:5], part(5, 10, weak), WHOLE[5:], RULES) is None


def test_3_4_the_fields_of_the_new_response_must_be_used_but_content_range() -> None:
    made = combine(
        part(0, 4, ETAG, "A: 1", "B: 1"), WHOLE[:4], part(4, 8, ETAG, "A: 2", "Connection: close"), WHOLE[4:8], RULES
    )
    assert made is not None
    assert made[0] == fields("B: 1", ETAG, "A: 2", "Content-Range: bytes 0-7/10")


def test_3_4_what_is_whole_has_no_content_range() -> None:
    made = combine(part(0, 4), WHOLE[:4], part(4, 10), WHOLE[4:], RULES)
    assert made is not None
    assert made[0] == fields(ETAG)
