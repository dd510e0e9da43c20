"""Byte ranges (RFC 9110 section 14, FAILURES 26)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.http.ranges import MAX_RANGES, content_range, parse_content_range, parse_range, unsatisfied_range


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=0-0", [(0, 1)]),
        (b"bytes=2-", [(2, 10)]),
        (b"bytes=-3", [(7, 10)]),
        (b"bytes=-99", [(0, 10)]),
        (b"Bytes = 0-99", [(0, 10)]),
        (b"bytes=9-9999999999999999999999999999", [(9, 10)]),
        (b"bytes=0-1, 4-5\t,8-", [(0, 2), (4, 6), (8, 10)]),
        (b"bytes=0-1,20-30", [(0, 2)]),
        # merged: overlapping, adjacent, contained
        (b"bytes=0-3,2-5", [(0, 6)]),
        (b"bytes=0-3,4-5", [(0, 6)]),
        (b"bytes=0-8,1-2", [(0, 9)]),
        # not satisfiable
        (b"bytes=10-", []),
        (b"bytes=-0", []),
        (b"bytes=10-11,99-", []),
        # ignored: another unit, malformed, backward
        (b"lines=0-1", None),
        (b"bytes", None),
        (b"bytes=", None),
        (b"bytes=-", None),
        (b"bytes=a-b", None),
        (b"bytes=1_0-", None),
        (b"bytes=+1-2", None),
        (b"bytes=1-2-3", None),
        (b"bytes=5-4", None),
        (b"bytes=0-1,5-4", None),
        (b"bytes=0-1,,2-3", None),
        (b"bytes=\xb2-", None),
        (b"bytes=4-5,0-1", None),
        (b"bytes=-1,0-0", None),
    ],
)
def test_rfc9110_14_1_2(value: bytes, spans: list[tuple[int, int]] | None) -> None:
    assert parse_range(value, 10) == spans


def test_failures_26_at_most_so_many() -> None:
    def value(count: int) -> bytes:
        return b"bytes=" + b",".join(b"%d-%d" % (i * 2, i * 2) for i in range(count))

    assert len(parse_range(value(MAX_RANGES), 1000) or []) == MAX_RANGES
    assert parse_range(value(MAX_RANGES + 1), 1000) is None


def test_an_empty_representation() -> None:
    assert parse_range(b"bytes=0-", 0) == []
    assert parse_range(b"bytes=-5", 0) == []


def test_content_range() -> None:
    assert content_range((0, 5), 10) == b"bytes 0-4/10"
    assert unsatisfied_range(10) == b"bytes */10"


SPEC = st.tuples(
    st.one_of(st.just(""), st.integers(0, 40).map(str)), st.one_of(st.just(""), st.integers(0, 40).map(str))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(SPEC.map("-".join), min_size=1, max_size=40), st.integers(0, 30))
def test_failures_26_never_more_bytes_than_the_file(specs: list[str], size: int) -> None:
    spans = parse_range(("bytes=" + ",".join(specs)).encode(), size)
    at = -1
    for start, stop in spans or []:
        assert at < start < stop <= size
        at = stop


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes 0-4/10", ((0, 5), 10)),
        (b"BYTES 9-9/10", ((9, 10), 10)),
        (b"bytes 0-4/*", None),
        (b"bytes */10", None),
        (b"bytes 4-0/10", None),
        (b"bytes 0-10/10", None),
        (b"pages 0-4/10", None),
        (b"bytes=0-4/10", None),
        (b"bytes 0-4/10, bytes 5-9/10", None),
        (b"bytes 0-" + b"9" * 5000 + b"/10", None),
        (b"", None),
    ],
)
def test_what_part_a_206_has(value: bytes, expected: object) -> None:
    assert parse_content_range(value) == expected
