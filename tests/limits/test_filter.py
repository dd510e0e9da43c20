"""What limits refuse, whom they count, and what clients are told (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.limits.kit import Limited, tables

from enfilade.config.schema import RateLimit
from enfilade.exchange.identity import Identity
from enfilade.http.structured import parse_list
from enfilade.limits.key import parse_key
from enfilade.testing.exchange import make_exchange


def limit(rate: str, **more: Any) -> RateLimit:
    return RateLimit(rate=rate, **more)


def test_as_many_at_once_as_the_rate_names_and_then_at_its_pace() -> None:
    route = Limited(limit("60/m"))
    assert [route.status() for _ in range(62)] == [200] * 60 + [429] * 2
    route.time += 0.99
    assert route.status() == 429
    route.time += 0.02
    assert [route.status() for _ in range(2)] == [200, 429]
    assert route.counted == [4, 0]


def test_a_burst_of_its_own() -> None:
    route = Limited(limit("10/s", burst=20))
    assert [route.status() for _ in range(21)] == [200] * 20 + [429]
    route.time += 1.0
    assert [route.status() for _ in range(11)] == [200] * 10 + [429]


def test_a_sliding_window_gives_nothing_between_the_windows() -> None:
    route = Limited(limit("60/m", algorithm="sliding_window"))
    route.time = 6000.0  # windows begin with the minutes of the clock
    answers = [route.ask() for _ in range(61)]
    assert [r.status for r in answers] == [200] * 60 + [429]
    assert answers[0].fields.get(b"ratelimit") == b'"60/m";r=59;t=60'
    assert answers[60].fields.get(b"retry-after") == b"61"
    route.time += 59.0
    assert route.status() == 429
    route.time += 16.0
    assert [route.status() for _ in range(16)] == [200] * 15 + [429]


def test_who_is_refused_is_told_when_to_come_back() -> None:
    route = Limited(limit("2/m"))
    told = [route.ask() for _ in range(3)]
    assert [r.fields.get(b"ratelimit") for r in told] == [b'"2/m";r=1;t=30', b'"2/m";r=0;t=30', b'"2/m";r=0;t=30']
    assert [r.fields.get(b"ratelimit-policy") for r in told] == [b'"2/m";q=2;w=60'] * 3
    assert [r.fields.get(b"retry-after") for r in told] == [None, None, b"30"]
    assert told[2].reason is not None and told[2].reason.name == "rate_limited"
    route.time += 29.5
    assert route.ask().fields.get(b"retry-after") == b"1", "never 0"


def test_the_fields_are_structured_lists() -> None:
    route = Limited(limit("2/m"), limit("2/m", by="route"), limit("9/h"), limit("8/h", fields=False))
    answer = route.ask()
    for name in (b"ratelimit", b"ratelimit-policy"):
        assert parse_list(answer.fields.get(name) or b"") == ["2/m", "2/m 2", "9/h"]


def test_they_can_be_switched_off() -> None:
    assert b"ratelimit" not in Limited(limit("2/m", fields=False)).ask().fields


def test_all_limits_must_let_it_through_and_who_is_refused_costs_none() -> None:
    route = Limited(limit("1/s"), limit("3/m"))
    assert [route.status() for _ in range(5)] == [200] + [429] * 4
    for _ in range(2):
        route.time += 1.0
        assert route.status() == 200
    route.time += 1.0
    answer = route.ask()
    assert (answer.status, answer.fields.get(b"ratelimit")) == (429, b'"1/s";r=1;t=1, "3/m";r=0;t=17')
    assert answer.fields.get(b"retry-after") == b"17"


def test_heads_options_and_errors_count() -> None:
    route = Limited(limit("3/m"))
    assert [route.status(method) for method in ("HEAD", "OPTIONS", "NONE", "GET")] == [200, 200, 200, 429]


def test_ipv6_counts_by_its_network_and_ipv4_by_its_address() -> None:
    route = Limited(limit("1/m"))
    assert [route.status(client=ip) for ip in ("2001:db8::1", "2001:db8:0:0:9::7", "2001:db8:0:1::1")] == [
        200,
        429,
        200,
    ]
    assert [route.status(client=ip) for ip in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1")] == [200, 200, 429]


def test_what_a_client_says_of_its_address_changes_nothing() -> None:
    route = Limited(limit("1/m"))
    assert [
        route.status(fields=[(b"x-forwarded-for", b"192.0.2.%d" % i), (b"forwarded", b"for=192.0.2.%d" % i)])
        for i in range(2)
    ] == [200, 429]


@pytest.mark.parametrize(
    ("by", "first", "second"),
    [
        ("header X-Key", {"fields": [(b"x-key", b"1")]}, {"fields": [(b"x-key", b"2")]}),
        ("cookie k", {"fields": [(b"cookie", b"k=1")]}, {"fields": [(b"cookie", b"k=2")]}),
        ("query k", {"target": "/x?k=1"}, {"target": "/x?a=1&k=2"}),
        ("user", {"fields": [(b"x-user", b"ada")]}, {"fields": [(b"x-user", b"bob")]}),
        ("claim plan", {"fields": [(b"x-plan", b"free")]}, {"fields": [(b"x-plan", b"paid")]}),
        (["user", "address"], {"client": "192.0.2.1"}, {"client": "192.0.2.2"}),
        ("route", {"pattern": "/a"}, {"pattern": "/b"}),
        (["address", "route"], {"client": "192.0.2.1"}, {"client": "192.0.2.2"}),
        (["address", "route"], {"pattern": "/a"}, {"pattern": "/b"}),
    ],
)
def test_each_is_counted_by_itself(by: str | list[str], first: dict[str, str], second: dict[str, str]) -> None:
    route = Limited(limit("1/m", by=by))
    assert [route.status(**one) for one in (first, first, second, second)] == [200, 429, 200, 429]


def test_everything_together() -> None:
    route = Limited(limit("1/m", by=[]))
    assert [route.status(client=ip) for ip in ("192.0.2.1", "192.0.2.2")] == [200, 429]


def test_who_says_nothing_is_counted_with_all_who_say_nothing() -> None:
    route = Limited(limit("1/m", by="header X-Key"))
    assert [route.status(client=ip) for ip in ("192.0.2.1", "192.0.2.2")] == [200, 429]


def test_users_without_a_name_are_counted_by_their_addresses() -> None:
    """Not together, or one of them could use up the limit of all; nor with a user who is called as an address is."""
    route = Limited(limit("1/m", by="user"))

    def ask(name: bytes, client: str) -> int:
        return route.status(fields=[(b"x-user", name)], client=client)

    asked = [(b"nobody", "192.0.2.1"), (b"nobody", "192.0.2.1"), (b"nobody", "192.0.2.2"), (b"192.0.2.1", "192.0.2.3")]
    assert [ask(*one) for one in asked] == [200, 429, 200, 200]


def test_a_name_that_cannot_be_encoded_is_counted() -> None:
    """JSON can say half of a surrogate pair."""
    x = make_exchange()
    x.keep(Identity, Identity("\ud800"))
    assert parse_key("user")(x) == b"name ?"


def test_clients_are_told_of_users_limits_beside_the_others() -> None:
    told = Limited(limit("2/m"), limit("9/m", by="user")).ask().fields
    assert told.all(b"ratelimit") == [b'"9/m";r=8;t=7', b'"2/m";r=1;t=30']


def test_a_limit_is_its_owners() -> None:
    (table,) = tables(1)
    one, two = (Limited(limit("1/m"), table=table, owner=("e.com", pattern)) for pattern in ("/a", "/b"))
    again = Limited(limit("1/m"), table=table, owner=("e.com", "/a"))
    assert [route.status() for route in (one, two, again)] == [200, 200, 429]


def test_a_shadow_refuses_nothing_and_tells_nobody_but_us(caplog: pytest.LogCaptureFixture) -> None:
    route = Limited(limit("1/m", shadow=True))
    with caplog.at_level(logging.INFO, "enfilade.limits"):
        answers = [route.ask() for _ in range(4)]
        assert [r.status for r in answers] == [200] * 4
        assert route.counted == [0, 3]
        assert [record.getMessage() for record in caplog.records] == ["1/m would refuse GET /x of 192.0.2.1"]
        route.time += 1.0
        route.ask()
    assert len(caplog.records) == 2, "a line a second"
    assert not any(b"ratelimit" in r.fields for r in answers)
