"""The sliding window decides by what was counted in two windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.limits.kit import tables

from enfilade.limits.table import WAYS, Windows
from enfilade.limits.window import Window

WINDOW = Window(10, 100)


def windows(workers: int, sets: int = 16) -> list[Windows]:
    return [both.windows for both in tables(workers, sets)]


def take(table: Windows, whose: int, now: int, window: Window = WINDOW) -> bool:
    place, free, _ = table.look(window, table.spot(whose), now)
    if free:
        table.count(place)
    return bool(free)


def test_all_at_once_and_then_none_before_the_window_ends() -> None:
    assert WINDOW.look(0, 0, 0) == (10, 100)
    assert [WINDOW.look(10, 0, elapsed) for elapsed in (0, 50, 99)] == [(0, 110), (0, 60), (0, 11)]


def test_the_last_window_counts_for_what_it_has_in_common() -> None:
    assert [WINDOW.look(0, 10, elapsed)[0] for elapsed in (0, 9, 10, 50, 100)] == [0, 0, 1, 5, 10]
    assert WINDOW.look(5, 10, 50) == (0, 10)


@given(st.integers(1, 50), st.integers(1, 10**14), st.integers(0, 60), st.integers(0, 60), st.data())
def test_after_the_wait_there_is_one_more_and_not_before(
    size: int, length: int, current: int, last: int, data: st.DataObject
) -> None:
    window = Window(size, length)

    def free(elapsed: int) -> int:
        """Where nobody comes meanwhile."""
        if elapsed < length:
            return window.look(current, last, elapsed)[0]
        return window.look(0, current if elapsed < 2 * length else 0, elapsed % length)[0]

    elapsed = data.draw(st.integers(0, length - 1))
    now, wait = window.look(current, last, elapsed)
    assert 0 <= now <= size and wait > 0
    if now < size:
        assert free(elapsed + wait) > now
        assert free(elapsed + wait - 1) == now


def test_one_window_for_all_workers() -> None:
    workers = windows(3)
    assert sum(take(workers[i % 3], 7, 1000) for i in range(30)) == 10
    assert sum(take(workers[i % 3], 7, 1099) for i in range(30)) == 0
    assert sum(take(workers[i % 3], 7, 1150) for i in range(30)) == 5
    assert sum(take(workers[i % 3], 8, 1150) for i in range(30)) == 10


def test_who_was_away_for_two_windows_owes_nothing() -> None:
    (table,) = windows(1)
    assert [sum(take(table, 7, now) for _ in range(30)) for now in (1000, 1200, 5000)] == [10, 10, 10]


def test_it_forgets_who_has_been_away() -> None:
    (table,) = windows(1, sets=1)
    for whose in range(1, WAYS + 1):
        for _ in range(10):
            take(table, whose, 1000 if whose != 3 else 700)
    assert take(table, 99, 1000), "for whom there is no place"
    assert not any(take(table, whose, 1000) for whose in range(1, WAYS + 1) if whose != 3)


@given(st.lists(st.integers(0, 40), max_size=200))
def test_even_traffic_never_gets_more_than_its_size_in_a_window(gaps: list[int]) -> None:
    """However requests come: in two windows that follow each other, at most as many as the estimate lets through."""
    (table,) = windows(1)
    now, passed = 1000, []
    for gap in gaps:
        now += gap
        if take(table, 7, now):
            passed.append(now)
    for start in range(1000, now + 1, WINDOW.length):
        assert sum(start <= at < start + WINDOW.length for at in passed) <= WINDOW.size
