"""The token bucket decides by its debt alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enfilade.limits.bucket import Bucket


def test_a_bucket_without_debt_is_full() -> None:
    assert Bucket(3, 10).look(0) == (3, 10)


def test_each_request_takes_one_and_time_gives_back() -> None:
    bucket = Bucket(3, 10)
    assert [bucket.look(debt) for debt in (10, 20, 30)] == [(2, 10), (1, 10), (0, 10)]
    assert [bucket.look(30 - passed) for passed in (1, 9, 10, 11)] == [(0, 9), (0, 1), (1, 10), (1, 9)]


@given(st.integers(1, 50), st.integers(1, 10**14), st.integers(0, 10**16))
def test_after_the_wait_there_is_one_more_and_not_before(size: int, interval: int, debt: int) -> None:
    bucket = Bucket(size, interval)
    free, wait = bucket.look(debt)
    assert 0 <= free <= size
    if debt >= wait:
        assert bucket.look(debt - wait)[0] == free + 1
        assert bucket.look(debt - wait + 1)[0] == free


@given(st.integers(1, 20), st.integers(1, 1000), st.lists(st.integers(0, 3000), max_size=200))
def test_no_span_of_time_lets_more_through_than_size_and_rate(size: int, interval: int, gaps: list[int]) -> None:
    bucket, now, until, passed = Bucket(size, interval), 0, 0, []
    for gap in gaps:
        now += gap
        if bucket.look(max(until - now, 0))[0]:
            until = max(until, now) + interval
            passed.append(now)
    for i, first in enumerate(passed):
        for j, last in enumerate(passed[i:], i):
            assert j - i + 1 <= size + (last - first) / interval
