"""Rendezvous hashing: agreed on by all who ask, in proportion, and steady."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.upstream.rendezvous import arrival, spot


def winner(at: int, weights: dict[bytes, float]) -> bytes:
    return min(weights, key=lambda name: arrival(at, name, weights[name]))


def test_it_is_the_same_on_every_machine_and_for_good() -> None:
    assert spot(b"192.0.2.1") == 3_680_567_351
    assert arrival(7, b"http://10.0.0.1:80", 2) == pytest.approx(0.31105336831002)


def test_each_comes_first_as_often_as_its_weight_says() -> None:
    weights = {b"a": 1.0, b"b": 2.0, b"c": 5.0}
    won = [winner(at, weights) for at in range(8000)]
    for name, weight in weights.items():
        assert abs(won.count(name) - weight * 1000) < 150  # five standard deviations are at most 225


def test_who_weighs_nothing_never_arrives() -> None:
    assert arrival(1, b"a", 0) == inf


@given(st.dictionaries(st.binary(max_size=8), st.integers(1, 9), min_size=2, max_size=8), st.data())
def test_a_change_of_one_moves_only_what_it_wins_or_loses(weights: dict[bytes, float], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(weights)))
    heavier = weights | {name: weights[name] + data.draw(st.integers(1, 9))}
    for at in range(50):
        before, after = winner(at, weights), winner(at, heavier)
        assert after in (before, name)
