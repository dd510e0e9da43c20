"""Connections that come, with a clock that stands still unless it is told."""

from __future__ import annotations

import pytest

from enfilade.http.addresses import Networks
from enfilade.http.reasons import Reason
from enfilade.limits.arrivals import Arrivals, Leave, Rates
from enfilade.limits.bucket import Bucket
from enfilade.limits.sketch import SIZE, Sketch
from enfilade.limits.table import Buckets, table_size

SECOND = 1_000_000_000
PROXY = "198.51.100.1"


class World:
    def __init__(self, most: int = 0, address: Bucket | None = None, total: Bucket | None = None) -> None:
        self.now = SECOND
        cells = memoryview(bytearray(SIZE * 8)).cast("q")
        table = Buckets(memoryview(bytearray(table_size(1, 16))).cast("q"), 1, 0)
        self.arrivals = Arrivals(
            most,
            Sketch(cells, lambda: [cells]) if most else None,
            Rates(address, total, table) if address or total else None,
            Networks([PROXY]),
            lambda: self.now,
        )

    def come(self, client: str = "192.0.2.1") -> str | Leave | None:
        found = self.arrivals.come(client)
        return found.name if isinstance(found, Reason) else found

    def names(self, number: int, client: str = "192.0.2.1") -> list[str]:
        """What so many hear: a reason, or nothing."""
        return [found if isinstance(found, str) else "" for found in (self.come(client) for _ in range(number))]


def test_so_many_of_one_address_are_open_at_once_and_no_more() -> None:
    world = World(most=2)
    leave = world.come()
    assert callable(leave)
    assert world.names(2) == ["", "address_connection_limit"]
    assert world.names(1, "192.0.2.2") == [""], "another address has its own"
    leave()
    assert world.names(2) == ["", "address_connection_limit"]


def test_who_has_a_network_of_64_bits_is_one() -> None:
    world = World(most=1)
    assert world.names(1, "2001:db8::1") == [""]
    assert world.names(1, "2001:db8::ffff:1") == ["address_connection_limit"]
    assert world.names(1, "2001:db8:0:1::1") == [""]


@pytest.mark.parametrize("client", ["", PROXY])
def test_unix_sockets_and_who_brings_many_others_are_not_counted(client: str) -> None:
    world = World(most=1, address=Bucket(1, SECOND), total=Bucket(1, SECOND))
    assert [world.come(client) for _ in range(3)] == [None, None, None]
    assert world.names(1) == [""], "nor do they take anything of the total"


def test_new_ones_of_one_address_and_of_all() -> None:
    world = World(address=Bucket(2, SECOND), total=Bucket(3, SECOND))
    assert world.names(3) == ["", "", "address_connection_rate"]
    assert world.names(2, "192.0.2.2") == ["", "connection_rate"], "who was refused has taken nothing of the total"
    world.now += SECOND
    assert world.names(2, "192.0.2.2") == ["", "connection_rate"]


def test_who_has_too_many_open_takes_nothing_of_the_rates() -> None:
    world = World(most=1, total=Bucket(2, SECOND))
    assert world.names(3) == ["", "address_connection_limit", "address_connection_limit"]
    assert world.names(1, "192.0.2.2") == [""]
