"""Times are counted in bounded memory, and percentiles are right within a bucket."""

from __future__ import annotations

import pytest

from enfilade.measure.histogram import LONGEST, STEP, Histogram


def filled(times: list[int]) -> Histogram:
    histogram = Histogram()
    for time in times:
        histogram.add(time)
    return histogram


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 100])
def test_a_percentile_is_right_within_one_bucket(percent: int) -> None:
    histogram = filled([i * 1_000_000 for i in range(1, 101)])
    assert histogram.percentile(percent) == pytest.approx(percent / 1000, rel=STEP - 1)


def test_no_percentile_is_beyond_the_longest_time() -> None:
    assert filled([1_000_000]).percentile(99) <= 0.001


def test_nothing_was_counted() -> None:
    assert Histogram().percentile(50) == 0.0


def test_the_shortest_and_the_longest_times_have_their_places() -> None:
    histogram = filled([0, -5, LONGEST, LONGEST * 10])
    assert histogram.count == 4
    assert histogram.percentile(100) == pytest.approx(LONGEST / 1e9, rel=STEP - 1)


def test_merged_histograms_are_one_of_all_times() -> None:
    one, other, both = filled([5, 10, 20]), filled([7, 500]), filled([5, 10, 20, 7, 500])
    one.merge(other)
    assert (one.buckets, one.count, one.longest) == (both.buckets, 5, 500)
