"""How many workers an application gets, and when one has served its time: decisions on a clock that stands where it is told."""

from __future__ import annotations

from itertools import pairwise

import pytest

from enfilade.process.scale import CALM, SPREAD, Scale, Work, request_limit, why_worn

QUIET = Work(in_flight=0, queued=0, served=0)


def looks(scale: Scale, *seen: tuple[float, Work], concurrency: int = 2) -> list[int]:
    """How many workers are wanted after each look."""
    wanted = []
    for now, work in seen:
        scale.look(now, work, concurrency)
        wanted.append(scale.wanted)
    return wanted


@pytest.mark.parametrize(
    ("work", "concurrency", "busy"),
    [
        (Work(3, 1, 0), 2, 2.0),
        (Work(3, 1, 0, cpu=1.5), 2, 2.0),
        (Work(100, 0, 0, cpu=0.5), 0, 0.5),  # it takes any number: only the processor says how busy it is
        (QUIET, 0, 0.0),
    ],
)
def test_how_many_workers_are_busy(work: Work, concurrency: int, busy: float) -> None:
    assert work.busy(concurrency) == busy


def test_it_grows_at_once_so_that_workers_are_three_quarters_busy() -> None:
    assert looks(Scale(1, 8, 0), (0, Work(1, 0, 0)), (1, Work(2, 1, 0)), (2, Work(2, 4, 0))) == [1, 2, 4]


def test_it_stays_between_its_ends() -> None:
    assert looks(Scale(2, 3, 0), (0, QUIET), (1, Work(2, 100, 0))) == [2, 3]


def test_it_shrinks_after_a_calm_minute_to_the_most_that_the_minute_needed() -> None:
    busy, some, none = Work(8, 0, 0), Work(3, 0, 0), QUIET
    assert looks(Scale(1, 8, 0), (0, busy), (1, some), (30, none), (CALM, none), (CALM + 1, none)) == [6, 6, 6, 6, 2]


def test_a_burst_begins_the_minute_anew() -> None:
    busy, none = Work(8, 0, 0), QUIET
    assert looks(Scale(1, 8, 0), (0, busy), (1, none), (50, busy), (70, none), (100, none)) == [6] * 5


def test_idle_is_nothing_served_in_flight_or_queued_for_so_long() -> None:
    scale = Scale(2, 4, idle_stop=10)
    assert looks(scale, (0, QUIET), (9, QUIET)) == [2, 2]
    assert looks(scale, (9.5, QUIET._replace(served=1)), (19, QUIET._replace(served=1))) == [2, 2]
    still = QUIET._replace(served=1)
    assert looks(scale, (19.4, still._replace(in_flight=1)), (29, still), (29.4, still)) == [2, 2, 0]


def test_who_sleeps_is_woken_with_its_smallest_number_and_has_its_whole_time_again() -> None:
    scale = Scale(2, 4, idle_stop=10)
    assert looks(scale, (0, QUIET), (10, QUIET), (50, QUIET)) == [2, 0, 0]
    scale.wake()
    assert looks(scale, (60, QUIET), (69, QUIET), (70, QUIET)) == [2, 2, 0]
    assert looks(scale, (71, QUIET._replace(queued=1))) == [2], "a request that waits wakes it too"


def test_waking_who_is_awake_changes_nothing() -> None:
    scale = Scale(1, 4, 0)
    looks(scale, (0, Work(6, 0, 0)))
    scale.wake()
    assert scale.wanted == 4


def test_workers_do_not_reach_max_requests_together_and_none_goes_beyond() -> None:
    limits = [request_limit(1000, number) for number in range(1, 9)]
    assert all(1000 * (1 - SPREAD) <= limit <= 1000 for limit in limits)
    ordered = sorted(limits)
    assert min(b - a for a, b in pairwise(ordered)) >= 5
    assert request_limit(0, 7) == 0
    assert request_limit(1, 7) == 1


@pytest.mark.parametrize(
    ("served", "limit", "memory", "most", "why"),
    [
        (9, 10, 5, 6, ""),
        (10, 10, 0, 0, "it has served 10 requests"),
        (10, 0, 3 << 20, 3 << 20, "it uses 3 MB of memory"),
        (10**9, 0, 10**12, 0, ""),
    ],
)
def test_a_worker_is_worn_at_its_limits(served: int, limit: int, memory: int, most: int, why: str) -> None:
    assert why_worn(served, limit, memory, most) == why
