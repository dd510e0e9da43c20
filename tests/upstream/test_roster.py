"""Who joins, who leaves, and who stays the same object with its state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enfilade.upstream.addresses import Wanted, parse_address
from enfilade.upstream.peer import Peer
from enfilade.upstream.roster import merge


def wanted(*hosts: str, weight: int = 1) -> list[Wanted]:
    return [Wanted(parse_address(f"http://{host}"), weight) for host in hosts]


def names(peers: list[Peer]) -> list[str]:
    return [peer.name.removeprefix("http://").removesuffix(":80") for peer in peers]


def test_the_first_list_joins_in_its_order() -> None:
    change = merge({}, wanted("b", "a"))
    assert names(change.joined) == ["b", "a"]
    assert change.left == change.kept == []
    assert change.addresses == {"http://b:80": parse_address("http://b"), "http://a:80": parse_address("http://a")}


def test_who_stays_keeps_its_state_and_takes_its_new_settings() -> None:
    before = merge({}, wanted("a", "b")).peers
    peer = before["http://b:80"]
    peer.in_flight, peer.latency, peer.up, peer.share = 3, 0.5, False, 0.1
    change = merge(before, [Wanted(parse_address("http://b"), 5, 1, 7)])
    assert change.kept == [peer] and change.joined == []
    assert names(change.left) == ["a"]
    assert (peer.in_flight, peer.latency, peer.up, peer.share) == (3, 0.5, False, 0.1)
    assert (peer.weight, peer.tier, peer.limit) == (5, 1, 7)


def test_the_new_list_decides_the_order_whatever_was_there_before() -> None:
    one = merge(merge({}, wanted("a", "b", "c")).peers, wanted("d", "c", "a")).peers
    other = merge({}, wanted("d", "c", "a")).peers
    assert list(one) == list(other) == ["http://d:80", "http://c:80", "http://a:80"]


def test_of_two_with_one_name_the_first_counts() -> None:
    change = merge({}, [*wanted("a", weight=2), *wanted("a", "b", weight=3)])
    assert [(peer.name, peer.weight) for peer in change.joined] == [("http://a:80", 2), ("http://b:80", 3)]


_HOSTS = st.lists(st.sampled_from("abcdef"))


@given(_HOSTS, _HOSTS)
def test_everybody_has_joined_or_stays_and_who_is_not_wanted_has_left(first: list[str], second: list[str]) -> None:
    old = merge({}, wanted(*first)).peers
    change = merge(old, wanted(*second))
    assert names(list(change.peers.values())) == list(dict.fromkeys(second))
    assert {*change.joined, *change.kept} == {*change.peers.values()}
    assert {*change.kept, *change.left} == {*old.values()}
    assert set(change.addresses) == set(change.peers)
    assert all(change.peers[peer.name] is old[peer.name] for peer in change.kept)
