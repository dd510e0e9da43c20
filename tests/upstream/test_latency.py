"""The 95th percentile: near the truth on known distributions, and following it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import mean

import pytest

from enfilade.upstream.latency import Percentile

# name: (how a duration is drawn, the true 95th percentile)
DISTRIBUTIONS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "constant": (lambda r: 0.02, 0.02),
    "uniform": (lambda r: r.uniform(0.0, 1.0), 0.95),
    "exponential": (lambda r: r.expovariate(10.0), math.log(20.0) / 10.0),
    "lognormal": (lambda r: r.lognormvariate(-3.0, 0.5), math.exp(-3.0 + 0.5 * 1.6449)),
    "two humps": (lambda r: 1.0 if r.random() < 0.1 else 0.01, 1.0),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_it_is_near_the_true_percentile(name: str) -> None:
    draw, true = DISTRIBUTIONS[name]
    chance, p95, seen = random.Random(7), Percentile(), []
    for n in range(20_000):
        p95.add(draw(chance))
        if n >= 256:
            assert p95.value is not None
            seen.append(p95.value)
    assert mean(seen) == pytest.approx(true, rel=0.1)
    assert sum(abs(value - true) <= 0.35 * true for value in seen) > 0.95 * len(seen)


def test_nothing_is_known_of_few() -> None:
    p95 = Percentile()
    for _ in range(31):
        p95.add(1.0)
    assert p95.value is None
    p95.add(1.0)
    assert p95.value == 1.0


def test_what_was_is_forgotten_after_256() -> None:
    p95 = Percentile()
    for _ in range(1000):
        p95.add(5.0)
    for _ in range(288):
        p95.add(0.1)
    assert p95.value == 0.1


def test_memory_is_bounded() -> None:
    p95 = Percentile()
    for n in range(10_000):
        p95.add(float(n))
    assert len(p95._durations) == 256


@pytest.mark.parametrize(("share", "value"), [(0.0, 0.0), (0.5, 128.0), (0.95, 243.0), (0.99, 253.0)])
def test_any_share_can_be_asked_for(share: float, value: float) -> None:
    percentile = Percentile(share)
    for n in random.Random(1).sample(range(256), 256):
        percentile.add(float(n))
    assert percentile.value == value
