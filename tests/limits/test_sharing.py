"""Limits of several servers: what they tell each other, and what each allows where nobody hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from tests.limits.kit import SECOND, tables

from enfilade.limits.bucket import Bucket
from enfilade.limits.sharing import MOST, Sharing, number_with, pack, unpack
from enfilade.limits.window import Window

BUCKET = Bucket(10, SECOND)
WINDOW = Window(10, 60 * SECOND)
NOW = 6000 * SECOND


class Hub:
    """Brings each message to all, once it is asked to."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.away = False
        self.told: list[bytes] = []

    async def tell(self, message: bytes) -> None:
        if self.away:
            raise OSError("it is away")
        self.told.append(message)
        for server in self.servers:
            server.sharing.heard(message)

    async def hear(self) -> bytes:
        raise AssertionError("nobody asks")

    async def close(self) -> None: ...


class Server:
    def __init__(self, hub: Hub, name: bytes) -> None:
        (both,) = tables(1)
        self.now = NOW
        self.turns: list[bool] = []
        self.sharing = Sharing(name, 2, hub, both.buckets, both.windows, self.turns.append, lambda: self.now)
        self.both = both
        hub.servers.append(self)

    def bucket(self, times: int, whose: int = 7) -> int:
        """How many of so many are let through."""
        table = self.both.buckets
        return self._ask(times, lambda: table.look(BUCKET, table.spot(whose), self.now), self.sharing.counter(table))

    def window(self, times: int, whose: int = 7) -> int:
        table = self.both.windows
        return self._ask(times, lambda: table.look(WINDOW, table.spot(whose), self.now), self.sharing.counter(table))

    @staticmethod
    def _ask(times: int, look: Any, count: Any) -> int:
        passed = 0
        for _ in range(times):
            place, free, _ = look()
            if free:
                count(place)
                passed += 1
        return passed

    def tell(self) -> None:
        run(self.sharing.tell())


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(what)


def servers() -> tuple[Hub, Server, Server]:
    hub = Hub()
    return hub, Server(hub, b"server 1"), Server(hub, b"server 2")


def test_what_one_lets_through_counts_for_the_other() -> None:
    _, one, other = servers()
    assert (one.bucket(4), one.window(7)) == (4, 7)
    one.tell()
    assert (other.bucket(30), other.window(30)) == (6, 3)
    other.tell()
    assert (one.bucket(30), one.window(30)) == (0, 0)
    assert one.bucket(30, whose=8) == 10, "somebody else"


def test_what_it_hears_of_itself_changes_nothing() -> None:
    _, one, _ = servers()
    one.bucket(4)
    one.tell()
    assert one.bucket(30) == 6


def test_what_was_too_much_is_missing_afterwards() -> None:
    _, one, other = servers()
    assert one.bucket(30) + other.bucket(30) == 20, "neither has heard of the other"
    one.tell()
    other.tell()
    one.now += 10 * SECOND
    assert one.bucket(30) == 0
    one.now += 10 * SECOND
    assert one.bucket(30) == 10


def test_whom_nobody_hears_allows_its_share_and_tells_it_later(caplog: pytest.LogCaptureFixture) -> None:
    hub, one, other = servers()
    hub.away = True
    for server in (one, other):
        server.bucket(1, whose=1)
        server.tell()
        server.tell()
    assert one.turns == [True]
    assert "each allows 1/2 of them (it is away)" in caplog.text
    assert one.bucket(30) + other.bucket(30) == 10, "together as many as the limit says"
    hub.away = False
    one.tell()
    assert one.turns == [True, False]
    assert other.bucket(30) == 0
    assert [entry for message in hub.told for entry in unpack(message)] == [(1, SECOND, 1), (7, SECOND, 5)]


def test_a_message_has_a_bounded_size() -> None:
    hub, one, _ = servers()
    for whose in range(1, MOST + 11):
        one.sharing._news[whose, 5] = 1
    one.tell()
    one.tell()
    assert [len([*unpack(message)]) for message in hub.told] == [MOST, 10]


@pytest.mark.parametrize(
    "message",
    [b"", b"x", b"server 9", b"server 9" + b"x" * 23, b"server 9" + bytes(24), pack(b"server 9", {(7, 5): -3})],
)
def test_a_message_that_is_none_of_ours_counts_nothing(message: bytes) -> None:
    _, one, _ = servers()
    one.sharing.heard(message)
    assert one.bucket(30) == 10


def test_a_number_is_the_same_for_who_has_the_secret() -> None:
    one, other, stranger = number_with(b"a"), number_with(b"a"), number_with(b"b")
    what = (("e.com", "/"), b"192.0.2.1")
    assert one(what) == other(what) != stranger(what)
    assert -(1 << 63) <= one(what) < 1 << 63
