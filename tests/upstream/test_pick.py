"""Load balancing: who gets how much, how evenly, and what moves when peers come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import (
    BALANCE,
    BALANCERS,
    BUCKETS,
    Balancer,
    Hash,
    LeastConnections,
    RoundRobin,
    TwoChoices,
    candidates,
    expected_wait,
    tiers,
)

WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=6)
WEIGHING = sorted(BALANCERS.keys() - {"first"})


def group(*weights: int) -> list[Peer]:
    return [Peer(f"http://10.0.0.{i}:80", weight=weight) for i, weight in enumerate(weights, 1)]


def balancer(name: str, seed: int = 1) -> Balancer:
    return BALANCERS[name](Random(seed).random)


def picked(b: Balancer, peers: Sequence[Peer], times: int) -> list[int]:
    """Which of `peers`, by index, for so many keys."""
    return [peers.index(b.pick(peers, b"key %d" % i)) for i in range(times)]


def near(count: int, expected: float) -> bool:
    """Within five standard deviations of a binomial distribution, at least."""
    return abs(count - expected) <= 5 * expected**0.5


# What holds for all of them


@pytest.mark.parametrize("name", BALANCERS)
def test_one_peer_gets_everything(name: str) -> None:
    peers = group(3)
    assert set(picked(balancer(name), peers, 20)) == {0}


@pytest.mark.parametrize("name", WEIGHING)
def test_each_gets_its_part_by_weight_and_share_while_nothing_is_in_flight(name: str) -> None:
    peers = group(1, 4, 5, 2)
    peers[2].share = 0.2 if name not in ("hash", "ip_hash") else 1  # see below: keys do not move for it
    for peer in peers:
        peer.latency = 0.125 * peer.weight * peer.share  # so that all are worth the same to `ewma`
    times = 8000
    got = Counter(picked(balancer(name), peers, times))
    whole = sum(peer.weight * peer.share for peer in peers)
    for i, peer in enumerate(peers):
        assert near(got[i], times * peer.weight * peer.share / whole)


@pytest.mark.parametrize("name", WEIGHING)
@pytest.mark.parametrize(("in_flight", "its_own"), [(0, 0), (3, 3), (3, 0)])
def test_a_peer_without_weight_or_share_gets_nothing_as_long_as_there_is_another(
    name: str, in_flight: int, its_own: int
) -> None:
    for nothing in range(3):
        peers = group(2, 2, 2)
        for peer in peers:
            peer.in_flight = in_flight
        peers[nothing].in_flight = its_own
        peers[nothing].share = 0
        assert nothing not in picked(balancer(name), peers, 200)
        peers[nothing].share = 1
        peers[nothing].weight = 0
        assert nothing not in picked(balancer(name), peers, 200)


@pytest.mark.parametrize("name", BALANCERS)
@pytest.mark.parametrize("in_flight", [0, 3])
def test_where_nobody_has_weight_somebody_is_picked(name: str, in_flight: int) -> None:
    peers = group(0, 0)
    for peer in peers:
        peer.in_flight = in_flight
    assert picked(balancer(name), peers, 20)


# Who can be used


def test_only_peers_that_are_up_and_not_full_can_be_used() -> None:
    up, down, full, free = Peer("up"), Peer("down"), Peer("full", limit=2), Peer("free", limit=2)
    down.up = False
    full.in_flight, free.in_flight = 2, 1
    assert candidates(tiers([up, down, full, free])) == [up, free]


def test_loads_of_other_workers_make_a_peer_full() -> None:
    peer = Peer("a", limit=3)
    mine, other = memoryview(bytearray(16)).cast("q"), memoryview(bytearray(16)).cast("q")
    peer.share_counts(mine, 0, 1, [other])
    peer.took()
    assert candidates(tiers([peer])) == [peer]
    other[0] = 2
    assert candidates(tiers([peer])) == ()
    assert mine.tolist() == [1, 1], "in flight, and ever"


def test_the_lowest_tier_that_can_be_used_is_used() -> None:
    spare, first, second = Peer("spare", tier=9), Peer("first"), Peer("second")
    group = tiers([spare, first, second])
    assert group == [[first, second], [spare]]
    assert candidates(group) == [first, second]
    first.up = False
    assert candidates(group) == [second]
    second.up = False
    assert candidates(group) == [spare]
    spare.up = False
    assert candidates(group) == ()


def test_who_was_tried_before_is_left_out() -> None:
    one, two, spare = Peer("one"), Peer("two"), Peer("spare", tier=1)
    group = tiers([one, two, spare])
    assert candidates(group, {one}) == [two]
    assert candidates(group, {one, two}) == [spare]
    assert candidates(group, {one, two, spare}) == ()


# Round robin


def test_turns_of_heavy_peers_are_spread_as_nginx_spreads_them() -> None:
    assert picked(RoundRobin(), group(5, 1, 1), 14) == [0, 0, 1, 0, 2, 0, 0] * 2


@given(WEIGHTS)
def test_round_robin_is_exact_over_each_cycle(weights: list[int]) -> None:
    peers, b = group(*weights), RoundRobin()
    for _ in range(3):
        got = Counter(picked(b, peers, sum(weights)))
        assert [got[i] for i in range(len(weights))] == weights


@given(WEIGHTS)
def test_round_robin_never_runs_ahead_of_the_weights_by_a_turn(weights: list[int]) -> None:
    turns = picked(RoundRobin(), group(*weights), 2 * sum(weights))
    for at in range(len(turns)):
        for i, count in Counter(turns[: at + 1]).items():
            assert count < (at + 1) * weights[i] / sum(weights) + 1


def test_a_peer_that_comes_back_does_not_get_what_it_missed() -> None:
    peers, b = group(1, 1, 1), RoundRobin()
    picked(b, peers, 7)
    picked(b, peers[:2], 100)
    assert Counter(picked(b, peers, 6)) == {0: 2, 1: 2, 2: 2}


def test_a_peer_that_starts_slowly_gets_its_share() -> None:
    peers = group(2, 2)
    peers[1].share = 0.25
    assert Counter(picked(RoundRobin(), peers, 50)) == {0: 40, 1: 10}


# Least connections


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, max_size=6), st.integers(0, 99))
def test_nobody_has_less_to_do_for_its_weight(loads: list[tuple[int, int]], seed: int) -> None:
    peers = group(*[weight for weight, _ in loads])
    for peer, (_, in_flight) in zip(peers, loads, strict=True):
        peer.in_flight = in_flight
    best = LeastConnections(Random(seed).random).pick(peers, b"")
    assert best.load / best.weight == min(peer.load / peer.weight for peer in peers)


def test_long_exchanges_fill_peers_by_weight() -> None:
    peers, b = group(1, 2, 3), balancer("least_connections")
    for _ in range(60):
        b.pick(peers, b"").took()
    assert [peer.in_flight for peer in peers] == [10, 20, 30]


def test_ties_are_fair_even_behind_busy_peers() -> None:
    peers, b = group(1, 1, 1, 1), balancer("least_connections")
    peers[0].in_flight = peers[2].in_flight = 1
    got = Counter(picked(b, peers, 2000))
    assert got.keys() == {1, 3}
    assert near(got[1], 1000)


# Two random choices


def test_the_busiest_of_several_is_never_the_better_of_two() -> None:
    peers, b = group(1, 1, 1), balancer("random_two")
    peers[0].in_flight, peers[1].in_flight, peers[2].in_flight = 5, 9, 1
    got = Counter(picked(b, peers, 3000))
    assert got.keys() == {0, 2}
    assert near(got[0], 1000)  # it wins one pair of three
    peers[1].weight = 10  # 0.9 for its weight
    assert picked(b, peers, 300).count(1) > 150


@given(WEIGHTS, st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_two_different_ones_are_compared_whatever_is_drawn(weights: list[int], one: float, other: float) -> None:
    draws = iter([one, other])
    compared: list[Peer] = []
    peers = group(*weights)

    def cost(peer: Peer) -> float:
        compared.append(peer)
        return 0.0

    first = TwoChoices(lambda: next(draws), cost).pick(peers, b"")
    if len(peers) == 1:
        assert first is peers[0]
    else:
        assert len({peer.name for peer in compared}) == 2


def test_both_draws_are_by_weight() -> None:
    seen: Counter[str] = Counter()
    peers = group(1, 2, 3)

    def cost(peer: Peer) -> float:
        seen[peer.name] += 1
        return 0.0

    picked(TwoChoices(Random(3).random, cost), peers, 6000)
    # The chance to be in a pair: 1/6 + 2/6 * 1/4 + 3/6 * 1/3 and so on.
    for peer, part in zip(peers, (25 / 60, 44 / 60, 51 / 60), strict=True):
        assert near(seen[peer.name], 6000 * part)


# Latency


def test_a_slow_peer_gets_something_only_when_the_fast_ones_are_as_busy_as_it_is_slow() -> None:
    peers, b = group(1, 1), balancer("ewma")
    peers[0].latency, peers[1].latency = 0.010, 0.095
    for _ in range(10):
        b.pick(peers, b"").took()
    assert [peer.in_flight for peer in peers] == [9, 1]


def test_an_unknown_peer_is_tried_at_once_but_only_once_before_it_has_answered() -> None:
    peers, b = group(1, 1), balancer("ewma")
    peers[0].latency = 0.5
    for _ in range(50):
        b.pick(peers, b"").took()
    assert [peer.in_flight for peer in peers] == [49, 1]


def test_where_all_are_unknown_they_fill_evenly() -> None:
    peers, b = group(1, 1), balancer("ewma")
    for _ in range(50):
        b.pick(peers, b"").took()
    assert [peer.in_flight for peer in peers] == [25, 25]


def test_expected_wait_counts_who_is_waiting_and_the_weight() -> None:
    peer = Peer("a", weight=4)
    peer.latency, peer.in_flight, peer.share = 0.2, 9, 0.5
    assert expected_wait(peer) == pytest.approx(1.0)


# Consistent hashing

NUMBERS = st.lists(st.integers(0, 999), min_size=2, max_size=8, unique=True)


def members(numbers: Sequence[int]) -> list[Peer]:
    return [Peer(f"http://peer{n}:80", weight=1 + n % 3) for n in numbers]


def homes(b: Balancer, peers: Sequence[Peer]) -> list[str]:
    return [b.pick(peers, b"key %d" % i).name for i in range(50)]


@given(NUMBERS)
def test_only_the_keys_of_a_peer_that_goes_move_and_only_they_come_back(numbers: list[int]) -> None:
    peers, b = members(numbers), Hash()
    before, after = homes(b, peers), homes(b, peers[1:])
    assert all(old == new for old, new in zip(before, after, strict=True) if old != peers[0].name)
    assert peers[0].name not in after
    assert homes(b, peers) == before


@given(NUMBERS)
def test_a_peer_that_comes_takes_keys_but_moves_none_between_others(numbers: list[int]) -> None:
    peers, b = members(numbers), Hash()
    before, after = homes(b, peers[1:]), homes(b, peers)
    assert all(new in (old, peers[0].name) for old, new in zip(before, after, strict=True))


@given(NUMBERS, st.randoms(use_true_random=False))
def test_workers_agree_whatever_they_saw_before(numbers: list[int], random: Random) -> None:
    peers, shuffled, b = members(numbers), members(numbers), Hash()
    random.shuffle(shuffled)
    homes(b, shuffled[1:])
    assert homes(b, shuffled) == homes(Hash(), peers)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([0.1, 0.5, 1.0])), min_size=1, max_size=6),
       st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=200))  # fmt: skip
def test_nobody_gets_more_than_a_quarter_above_its_part(
    peers_of: list[tuple[int, float]], keys: list[tuple[int, bool]]
) -> None:
    peers, b = group(*[weight for weight, _ in peers_of]), Hash()
    for peer, (_, share) in zip(peers, peers_of, strict=True):
        peer.share = share
    whole = sum(peer.weight * peer.share for peer in peers)
    for key, stays in keys:
        peer = b.pick(peers, b"%d" % key)
        peer.took()
        total = sum(p.load for p in peers)
        assert peer.load < BALANCE * total * peer.weight * peer.share / whole + 1
        if not stays:
            peer.let_go()


def test_one_key_that_everybody_asks_for_spreads_over_all_in_its_order() -> None:
    peers, b = group(1, 1, 1, 1), Hash()
    for _ in range(100):
        b.pick(peers, b"hot").took()
    assert sum(peer.in_flight for peer in peers) == 100
    assert max(peer.in_flight for peer in peers) <= 100 * BALANCE / 4 + 1


def test_a_share_bounds_the_load_and_moves_no_keys() -> None:
    peers = group(1, 1)
    before = homes(Hash(), peers)
    peers[0].share = 0.1
    assert homes(Hash(), peers) == before
    b = Hash()
    for i in range(100):
        b.pick(peers, b"key %d" % i).took()
    assert peers[0].in_flight <= 0.1 / 1.1 * 100 * BALANCE + 1


def test_without_a_key_turns_are_taken() -> None:
    peers, b = group(1, 1, 1), Hash()
    assert [peers.index(b.pick(peers, b"")) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_strangers_keys_do_not_make_it_grow() -> None:
    peers, b = group(1, 1), Hash()
    picked(b, peers, 4 * BUCKETS)
    assert len(b._orders) <= BUCKETS


def test_peers_that_come_and_go_leave_nothing_behind() -> None:
    b = Hash()
    for n in range(50):
        picked(b, members([n, n + 1]), 20)
    assert len(b._known) == 2
    assert all(len(order) == 2 for order in b._orders.values())


# First


def test_the_first_gets_everything_as_long_as_it_can_be_used() -> None:
    peers, b = group(1, 9, 9), balancer("first")
    assert set(picked(b, peers, 5)) == {0}
    assert b.pick(peers[1:], b"") is peers[1]
