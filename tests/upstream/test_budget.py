"""Retries: which requests may be made again at all, and how many."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.upstream.budget import RetryBudget, may_retry

NOW = 1000.0


def empty() -> RetryBudget:
    return RetryBudget(NOW, floor=0.0)


@pytest.mark.parametrize(
    ("method", "sent", "answered", "replayable", "attempts", "paid"),
    list(
        product(
            ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", "CONNECT", "get", "BREW"),
            (False, True), (False, True), (False, True), (0, 1), (False, True),
        )
    ),
)  # fmt: skip
def test_failures_19_what_may_be_tried_again(
    method: str, sent: bool, answered: bool, replayable: bool, attempts: int, paid: bool
) -> None:
    idempotent = method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
    budget = RetryBudget(NOW) if paid else empty()
    allowed = may_retry(
        method, sent=sent, answered=answered, replayable=replayable, attempts=attempts, budget=budget, now=NOW
    )
    assert allowed == ((idempotent or not sent) and not answered and replayable and attempts > 0 and paid)
    assert budget.left(NOW) == (99.0 if allowed else 100.0 if paid else 0.0), "what is not retried is not paid for"


def test_a_fifth_of_the_requests_can_be_retried() -> None:
    budget = empty()
    for n in range(1000):
        assert budget.take(NOW) == (n > 0), "each five requests pay for one retry"
        for _ in range(5):
            budget.requests += 1
    assert budget.take(NOW)
    assert not budget.take(NOW)


def test_without_requests_there_are_some_retries_a_second() -> None:
    budget = RetryBudget(NOW, floor=10.0)
    while budget.take(NOW):
        pass
    taken = 0
    for tenth in range(1, 11):
        while budget.take(NOW + tenth / 10):
            taken += 1
    assert taken == 9, "ten less what leaks within the second"


def test_a_storm_is_paid_by_the_requests_of_the_last_seconds_not_of_the_day() -> None:
    budget = RetryBudget(NOW, floor=0.0)
    for second in range(3600):
        for _ in range(100):
            budget.requests += 1
        budget.left(NOW + second + 1)
    assert budget.left(NOW + 3600) == pytest.approx(0.2 * 100 * 10)
    assert budget.left(NOW + 3700) < 0.01


def test_it_does_not_matter_when_the_bucket_is_looked_at() -> None:
    often, once = empty(), empty()
    for second in range(20):
        for _ in range(50):
            often.requests += 1
            once.requests += 1
        often.left(NOW + second + 1)
    assert once.left(NOW + 20) == pytest.approx(often.left(NOW + 20), rel=0.05)


def test_looking_makes_no_tokens() -> None:
    budget = RetryBudget(NOW)
    assert [budget.left(NOW) for _ in range(10)] == [100.0] * 10


BURST = st.tuples(st.integers(0, 400), st.integers(0, 400), st.floats(0, 30))


@given(st.lists(BURST, max_size=30), st.floats(0, 1), st.floats(0, 20))
def test_bursts_never_get_more_than_the_budget(
    bursts: list[tuple[int, int, float]], ratio: float, floor: float
) -> None:
    budget = RetryBudget(NOW, ratio=ratio, floor=floor)
    now, requests, retries = NOW, 0, 0
    held = budget.left(NOW)
    for asked, failed, pause in bursts:
        for _ in range(asked):
            budget.requests += 1
        requests += asked
        now += pause
        retries += sum(budget.take(now) for _ in range(failed))
        assert retries <= held + ratio * requests + floor * (now - NOW) + 1e-6
        assert budget.left(now) >= 0
