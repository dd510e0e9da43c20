"""Which exchanges count, and when it is enough."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from tests.limits.test_bans import World as Banned

from enfilade.exchange.exchange import Outcome
from enfilade.http.addresses import Networks
from enfilade.http.reasons import Reason, reason
from enfilade.limits.bans import Ban
from enfilade.limits.offences import Offences
from enfilade.limits.table import Windows, table_size
from enfilade.limits.window import Window
from enfilade.testing.exchange import make_exchange

SECOND = 1_000_000_000
CLIENT = "192.0.2.1"


class World(Banned):
    """More than two offences in thirty seconds are too many."""

    def __init__(self, weights: Mapping[Reason | int | None, int] | None = None, **options: Any) -> None:
        super().__init__()
        self.told: list[Ban] = []
        table = Windows(memoryview(bytearray(table_size(1, 16))).cast("q"), 1, 0)
        self.offences = Offences(
            {404: 1, 401: 1} if weights is None else weights,
            Window(2, 30 * SECOND),
            table,
            self.bans,
            Networks(["198.51.100.0/24"]),
            self.told.append,
            clock=lambda: int(self.now * SECOND),
            **options,
        )

    def ends(self, status: int, why: str | None = None, client: str = CLIENT) -> bool:
        """An exchange; whether its client is banned now."""
        x = make_exchange()
        x.ends.client_ip = client
        self.offences.on_done(x, Outcome(status, 0, 0.1, None if why is None else reason(why)))
        return client in self.bans


def test_too_many_in_the_time_are_a_ban() -> None:
    world = World()
    assert [world.ends(404) for _ in range(3)] == [False, False, True]
    assert world.told == [Ban(CLIENT, 1600, 1, "404")]


def test_what_was_long_ago_is_forgotten() -> None:
    world = World()
    for _ in range(20):
        assert not world.ends(404)
        world.now += 30


def test_what_does_not_count_is_not_counted() -> None:
    world = World()
    assert not any(world.ends(status) for status in (200, 304, 400, 403, 500) * 9)


def test_a_reason_goes_before_its_status() -> None:
    world = World({reason("password_wanted"): 3, 401: 1, 404: 1})
    assert not world.ends(401)
    world = World({reason("password_wanted"): 3, 401: 1})
    assert world.ends(401, "password_wanted")
    assert world.told[0].cause == "password_wanted"
    world = World()
    assert [world.ends(401, "password_wanted") for _ in range(3)] == [False, False, True]
    assert world.told[0].cause == "401"


def test_each_address_is_counted_by_itself_and_of_ipv6_each_network() -> None:
    world = World()
    assert [world.ends(404, client=f"192.0.2.{number}") for number in range(9)] == [False] * 9
    assert [world.ends(404, client=f"2001:db8::{number}") for number in range(1, 4)] == [False, False, True]


@pytest.mark.parametrize("client", ["", "198.51.100.7"])
def test_some_are_never_banned(client: str) -> None:
    world = World()
    assert not any(world.ends(404, client=client) for _ in range(9))


def test_refusals_of_who_is_banned_do_not_count() -> None:
    world = World({403: 1})
    assert not any(world.ends(403, "banned") for _ in range(9))


def test_it_is_said_once_and_of_a_dry_run_that_it_is_one(caplog: pytest.LogCaptureFixture) -> None:
    for dry_run, words in ((False, "192.0.2.1 is banned until"), (True, "192.0.2.1 would be banned until")):
        caplog.clear()
        world = World(dry_run=dry_run)
        for _ in range(9):
            world.ends(404)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING and record.message.startswith(words)
        assert record.message.endswith(": 404, ban 1")
