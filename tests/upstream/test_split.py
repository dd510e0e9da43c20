"""Splits: who asks for a branch gets it; all others are dealt by weight, each to the same one for good."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.key import parse_key
from enfilade.http.fields import Pair
from enfilade.testing.exchange import make_exchange
from enfilade.upstream import split
from enfilade.upstream.split import Branch, Split, sample


def client(i: int, *fields: Pair) -> Exchange:
    return make_exchange(fields=fields, client=(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 50000))


def dealt(weights: list[float], clients: int = 2000) -> list[int]:
    s = Split([Branch(weight) for weight in weights])
    return [s.choose(client(i)) for i in range(clients)]


def test_each_branch_gets_its_part_of_the_clients() -> None:
    got = dealt([95, 4, 1], 5000)
    for branch, expected in enumerate([4750, 200, 50]):
        assert abs(got.count(branch) - expected) < 5 * expected**0.5  # five standard deviations at least


def test_a_client_always_sees_the_same_branch() -> None:
    assert dealt([9, 1]) == dealt([9, 1])  # two workers
    s = Split([Branch(9), Branch(1)])
    assert [s.choose(client(i)) for i in range(50)] == [s.choose(client(i)) for i in range(50)]


def test_a_canary_that_grows_keeps_its_clients_and_takes_from_all_others() -> None:
    before, after = dealt([60, 30, 10]), dealt([60, 30, 30])
    moved = [(b, a) for b, a in zip(before, after, strict=True) if b != a]
    assert {b for b, _ in moved} == {0, 1}
    assert {a for _, a in moved} == {2}


def test_nobody_is_dealt_to_a_branch_without_weight() -> None:
    assert set(dealt([0, 1, 0])) == {1}


CANARY = Split(
    [
        Branch(1, [(parse_key("header x-stay"), b"yes")]),
        Branch(0, [(parse_key("header x-canary"), b"yes"), (parse_key("cookie canary"), b"1")]),
    ]
)


@pytest.mark.parametrize(
    ("fields", "branch"),
    [
        ([], 0),
        ([(b"x-canary", b"yes")], 1),
        ([(b"x-canary", b"no")], 0),
        ([(b"x-canary", b"yes, yes")], 0),
        ([(b"cookie", b"a=b; canary=1")], 1),
        ([(b"cookie", b"canary=10")], 0),
        ([(b"x-canary", b"yes"), (b"x-stay", b"yes")], 0),  # the first branch that is asked for
    ],
)
def test_who_asks_for_a_branch_gets_it(fields: list[Pair], branch: int) -> None:
    assert CANARY.choose(client(1, *fields)) == branch


def test_a_key_says_who_is_the_same_and_its_absence_leaves_the_address() -> None:
    s = Split([Branch(1), Branch(1)], parse_key("cookie user"))
    of_alice = {s.choose(client(i, (b"cookie", b"user=alice"))) for i in range(64)}
    assert len(of_alice) == 1
    assert [s.choose(client(i)) for i in range(64)] == dealt([1, 1], 64)


def test_strangers_cannot_make_it_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MEMORY", 16)
    s = Split([Branch(1), Branch(1)], parse_key("header x"))
    for i in range(200):
        s.choose(client(1, (b"x", b"%d" % i * 100)))
        assert len(s._memory) <= 16


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [1, -1]])
def test_weights_that_say_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights of a split"):
        Split([Branch(weight) for weight in weights])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), st.text(max_size=20))
def test_there_is_always_a_branch_with_weight(weights: list[float], name: str) -> None:
    s = Split([Branch(weight) for weight in weights], lambda x: name.encode())
    assert weights[s.choose(client(1))]


def test_a_sample_is_as_large_as_it_says() -> None:
    said = sample(0.1, Random(1).random)
    assert abs(sum([said() for _ in range(10_000)]) - 1000) < 150  # five standard deviations
    assert not any(sample(0, lambda: 0.0)() for _ in range(3))
    assert sample(1, lambda: 1 - 2**-53)()


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_sample_that_is_no_part_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="number from 0 to 1"):
        sample(fraction, lambda: 0.0)
