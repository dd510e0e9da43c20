"""What names expand to, and how long to wait before they are looked up again."""

from __future__ import annotations

import pytest

from enfilade.upstream.addresses import Wanted, parse_address
from enfilade.upstream.names import MAX_RETRY, MAX_TTL, MIN_TTL, Known, Question, Record, Waits, expand


def peers(known: Known, *urls: str, weight: int = 1, tier: int = 0, limit: int = 0) -> list[tuple[str, int, int, int]]:
    wanted = [Wanted(parse_address(url), weight, tier, limit) for url in urls]
    return [(one.address.name, one.weight, one.tier, one.limit) for one in expand(wanted, known).peers]


def test_what_needs_no_look_stays_as_it_is() -> None:
    urls = ("http://10.0.0.1:80", "unix:/run/app.sock", "http://[::1]:80")
    wanted = [Wanted(parse_address(url), 2, 1, 3) for url in urls]
    assert expand(wanted, {}) == (wanted, set())


def test_all_addresses_of_a_name_are_peers_and_their_order_is_not_that_of_the_answer() -> None:
    known: Known = {Question("api"): (Record("10.0.0.2"), Record("10.0.0.1"))}
    assert peers(known, "https://api", weight=2, tier=1, limit=9) == [
        ("https://api:443@10.0.0.1", 2, 1, 9),
        ("https://api:443@10.0.0.2", 2, 1, 9),
    ]


def test_a_name_of_which_nothing_is_known_has_no_peers_but_is_asked_for() -> None:
    wanted = [Wanted(parse_address("http://api")), Wanted(parse_address("srv+http://_api._tcp.example.com"))]
    assert expand(wanted, {}) == ([], {Question("api"), Question("_api._tcp.example.com", srv=True)})


def test_services_have_their_ports_and_each_priority_is_a_tier() -> None:
    known: Known = {
        Question("_api._tcp", srv=True): (Record("c", 82, 20, 1), Record("b", 81, 10, 3), Record("a", 80, 10, 0)),
        Question("a"): (Record("10.0.0.1"),),
        Question("b"): (Record("10.0.0.2"), Record("10.0.0.3")),
        Question("c"): (Record("10.0.0.4"),),
    }
    assert peers(known, "srv+http://_api._tcp", weight=2, tier=1) == [
        ("http://a:80@10.0.0.1", 2, 1, 0),
        ("http://b:81@10.0.0.2", 6, 1, 0),
        ("http://b:81@10.0.0.3", 6, 1, 0),
        ("http://c:82@10.0.0.4", 2, 2, 0),
    ]


def test_the_targets_of_services_are_asked_for_as_soon_as_they_are_known() -> None:
    service = Question("_api._tcp", srv=True)
    wanted = [Wanted(parse_address("srv+http://_api._tcp"))]
    assert expand(wanted, {service: (Record("a", 80), Record("10.0.0.9", 81))}) == (
        [Wanted(parse_address("http://10.0.0.9:81"))],
        {service, Question("a")},
    )


@pytest.mark.parametrize(("ttl", "wait"), [(0, MIN_TTL), (0.5, MIN_TTL), (30, 30), (86400, MAX_TTL), (-1, MIN_TTL)])
def test_a_time_to_live_is_held_between_bounds(ttl: float, wait: float) -> None:
    assert Waits(lambda: 0.0).after_answer(ttl) == wait


def test_failures_are_waited_for_longer_and_longer_until_an_answer() -> None:
    waits = Waits(lambda: 0.0)
    assert [waits.after_failure() for _ in range(7)] == [1, 2, 4, 8, 16, MAX_RETRY, MAX_RETRY]
    waits.after_answer(60)
    assert waits.after_failure() == 1


def test_a_thousand_failures_are_no_overflow() -> None:
    waits = Waits(lambda: 0.0)
    assert {waits.after_failure() for _ in range(2000)} == {1, 2, 4, 8, 16, MAX_RETRY}


def test_chance_makes_waits_longer_by_a_tenth_at_most() -> None:
    chances = iter([0.0, 0.5, 1.0])
    waits = Waits(lambda: next(chances))
    assert [round(waits.after_answer(100), 6) for _ in range(3)] == [100, 105, 110]
