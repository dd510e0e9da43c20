"""The circuit breaker: every state x every input, its rate of failures, and how long it stays open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enfilade.upstream.breaker import Breaker, State, Tolerance

CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
NOW = 1000.0


def closed() -> Breaker:
    return Breaker(Tolerance(failures=3, base=10.0, longest=35.0))


def worn() -> Breaker:
    """One failure more is one too many."""
    breaker = closed()
    breaker.failed(NOW)
    breaker.failed(NOW)
    return breaker


def opened() -> Breaker:
    breaker = worn()
    breaker.failed(NOW)
    return breaker


def due() -> Breaker:
    breaker = opened()
    breaker.until = NOW
    return breaker


def half_open() -> Breaker:
    breaker = due()
    assert breaker.admits(NOW)
    return breaker


INPUTS: dict[str, Callable[[Breaker], object]] = {
    "admits": lambda b: b.admits(NOW),
    "succeeded": lambda b: b.succeeded(NOW),
    "failed": lambda b: b.failed(NOW),
    "abandoned": lambda b: b.abandoned(NOW),
    "tick": lambda b: b.tick(NOW),
}

# (the state before, the input) -> (the state after, whether the next exchange may be made)
TABLE = {
    (closed, "admits"): (CLOSED, True),
    (closed, "succeeded"): (CLOSED, True),
    (closed, "failed"): (CLOSED, True),
    (closed, "abandoned"): (CLOSED, True),
    (closed, "tick"): (CLOSED, True),
    (worn, "admits"): (CLOSED, True),
    (worn, "succeeded"): (CLOSED, True),
    (worn, "failed"): (OPEN, False),
    (worn, "abandoned"): (CLOSED, True),
    (worn, "tick"): (CLOSED, True),
    (opened, "admits"): (OPEN, False),
    (opened, "succeeded"): (OPEN, False),  # of an exchange that began before
    (opened, "failed"): (OPEN, False),
    (opened, "abandoned"): (OPEN, False),
    (opened, "tick"): (OPEN, False),
    (due, "admits"): (HALF_OPEN, False),
    (due, "succeeded"): (OPEN, True),
    (due, "failed"): (OPEN, True),
    (due, "abandoned"): (OPEN, True),
    (due, "tick"): (OPEN, True),
    (half_open, "admits"): (HALF_OPEN, False),
    (half_open, "succeeded"): (CLOSED, True),
    (half_open, "failed"): (OPEN, False),
    (half_open, "abandoned"): (OPEN, True),
    (half_open, "tick"): (HALF_OPEN, False),
}


def test_the_table_is_complete() -> None:
    assert TABLE.keys() == {(make, name) for make in (closed, worn, opened, due, half_open) for name in INPUTS}


@pytest.mark.parametrize(("make", "name"), TABLE, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_every_state_and_every_input(make: Callable[[], Breaker], name: str) -> None:
    breaker = make()
    INPUTS[name](breaker)
    refuses = breaker.refuses(NOW)
    assert (breaker.state, breaker.admits(NOW)) == TABLE[make, name]
    assert refuses is not TABLE[make, name][1], "asked without being told"


def test_only_failures_in_a_row_count() -> None:
    breaker = closed()
    for _ in range(100):
        breaker.failed(NOW)
        breaker.failed(NOW)
        breaker.succeeded(NOW)
    assert breaker.state is CLOSED


def test_half_open_lets_one_pass_until_it_is_known_how_it_went() -> None:
    breaker = due()
    assert [breaker.admits(NOW + t) for t in range(50)] == [True] + [False] * 49


def test_each_opening_lasts_longer_up_to_a_longest() -> None:
    breaker, now, lasted = opened(), NOW, []
    for _ in range(5):
        lasted.append(breaker.until - now)
        assert not breaker.admits(breaker.until - 0.001)
        now = breaker.until
        assert breaker.admits(now)
        breaker.failed(now)
    assert lasted == [10.0, 20.0, 30.0, 35.0, 35.0]


def test_openings_are_forgotten_one_for_each_base_that_it_stays_closed() -> None:
    breaker = half_open()
    breaker.failed(NOW)
    assert breaker.times == 2
    assert breaker.admits(NOW + 20)
    breaker.succeeded(NOW + 20)
    seen = []
    for second in range(20, 45):
        breaker.tick(NOW + second)
        seen.append(breaker.times)
    assert seen == [2] * 10 + [1] * 10 + [0] * 5


def test_a_veto_keeps_it_closed_until_the_next_failure_is_let() -> None:
    may_open = False
    breaker = Breaker(Tolerance(failures=2), lambda: may_open)
    for _ in range(10):
        breaker.failed(NOW)
    assert breaker.state is CLOSED
    may_open = True
    breaker.failed(NOW)
    assert breaker.state is OPEN


def test_none_in_a_row_is_too_many_where_they_are_not_counted() -> None:
    breaker = Breaker(Tolerance(failures=0))
    for _ in range(1000):
        breaker.failed(NOW)
    assert breaker.state is CLOSED


# -- the rate of failures


def fed(breaker: Breaker, now: float, seconds: int, successes: int, failures: int) -> float:
    """So many of each in every second."""
    for _ in range(seconds):
        for _ in range(max(successes, failures)):
            if failures:
                breaker.failed(now)
            if successes:
                breaker.succeeded(now)
        now += 1.0
        breaker.tick(now)
    return now


RATE = Tolerance(failures=0, failure_rate=0.5, window=10.0, volume=20)


def test_it_opens_at_the_rate_of_failures_within_the_window() -> None:
    breaker = Breaker(RATE)
    now = fed(breaker, NOW, 100, 10, 0)
    now = fed(breaker, now, 4, 0, 10)  # 40 of the last 100
    assert breaker.state is CLOSED
    fed(breaker, now, 2, 0, 10)
    assert breaker.state is OPEN


def test_what_has_left_the_window_does_not_count() -> None:
    breaker = Breaker(RATE)
    now = fed(breaker, NOW, 10, 10, 0)
    for _ in range(20):  # a third of the exchanges in any eleven seconds, half of them in some single seconds
        now = fed(breaker, now, 2, 0, 10)
        now = fed(breaker, now, 7, 10, 0)
    assert breaker.state is CLOSED


def test_few_exchanges_say_nothing() -> None:
    breaker = Breaker(RATE)
    fed(breaker, NOW, 100, 0, 1)
    assert breaker.state is CLOSED


def test_failures_before_the_first_tick_count() -> None:
    breaker = Breaker(RATE)
    fed(breaker, NOW, 1, 0, 20)
    assert breaker.state is OPEN


def test_the_failures_of_an_opening_are_not_held_against_it_twice() -> None:
    breaker = Breaker(Tolerance(failures=0, failure_rate=0.5, window=60.0, volume=20, base=10.0))
    fed(breaker, NOW, 1, 0, 20)
    assert breaker.admits(breaker.until)
    breaker.succeeded(breaker.until)
    breaker.tick(breaker.until + 1)
    assert breaker.state is CLOSED


def test_who_is_trusted_again_begins_at_no_failures() -> None:
    breaker = opened()
    breaker.close(NOW)
    breaker.failed(NOW)
    breaker.failed(NOW)
    assert breaker.state is CLOSED


def test_the_memory_of_a_window_is_bounded_however_often_it_is_asked() -> None:
    breaker = Breaker(RATE)
    for n in range(10_000):
        breaker.succeeded(NOW)
        breaker.tick(NOW + n / 100)
    assert len(breaker._samples) <= 12
