"""Connections that serve one client each: whose requests go where, how many there are, and what becomes of idle ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.upstream.test_pool import FAILED, GONE, Caller, Channel, ended

from enfilade.exchange.bodies import empty_body
from enfilade.exchange.call import Call, Home
from enfilade.http.announced import AnnouncedRequest
from enfilade.testing.exchange import make_request
from enfilade.upstream.private import PrivatePools

OWN = b"ours"


class Bench:
    def __init__(self, **options: Any) -> None:
        self.dialed: list[tuple[bytes, Home]] = []
        self.timers: list[Callable[[], None]] = []
        self.pools = PrivatePools(lambda home, said: self.dialed.append((said, home)), OWN, self.later, **options)

    def later(self, seconds: float, what: Callable[[], None]) -> Any:
        self.timers.append(what)

    def call(self, client: bytes) -> Call:
        """A request of this client; of our own if it is OWN."""
        request = make_request()
        call = Call(request if client == OWN else AnnouncedRequest.of(request, client), empty_body(), Caller())
        self.pools.carry(call)
        return call

    def open(self, client: bytes, **options: Any) -> Channel:
        """The connection that was dialed next is there, and begins with what names this client."""
        said, home = self.dialed.pop(0)
        assert said == client
        channel = Channel(home, **options)
        home.opened(channel)
        return channel


def test_a_connection_carries_requests_of_one_client_only() -> None:
    b = Bench()
    b.call(b"a")
    one = b.open(b"a")
    one.finish()
    b.call(b"b")
    other = b.open(b"b")
    assert (one.carried, other.carried) == (1, 1), "an idle connection of another client is none"
    b.call(b"a")
    assert (one.carried, b.dialed) == (2, [])


def test_requests_of_our_own_have_connections_of_their_own() -> None:
    b = Bench()
    b.call(b"a")
    b.open(b"a").finish()
    b.call(OWN)
    assert b.open(OWN).carried == 1


def test_one_that_is_shared_is_shared_by_its_client_alone() -> None:
    b = Bench(shared=True)
    b.call(b"a"), b.call(b"a"), b.call(b"b")
    one, other = b.open(b"a", most=100, shared=True), b.open(b"b", most=100, shared=True)
    b.call(b"a")
    assert (one.carried, other.carried, b.dialed) == (3, 1, [])


def test_a_client_that_is_gone_is_forgotten() -> None:
    """Or strangers could fill the memory by coming again and again."""
    b = Bench()
    b.call(b"a")
    one = b.open(b"a")
    b.call(b"b")
    b.dialed.pop()[1].refused(FAILED)
    one.finish()
    one.lose()
    assert not b.pools._pools and not b.pools._rested and not b.pools._connections


def test_idle_ones_beyond_keep_are_closed_the_oldest_first() -> None:
    b = Bench(keep=2)
    channels = []
    for client in (b"a", b"b", b"c"):
        b.call(client)
        channels.append(b.open(client))
    for channel in channels:
        channel.finish()
    assert [channel.retired for channel in channels] == [True, False, False]
    b.call(b"b")
    channels[1].finish()
    b.call(b"d")
    b.open(b"d").finish()
    assert [channel.retired for channel in channels] == [True, False, True], "b was idle for less long than c"


def test_where_no_more_connections_may_be_had_an_idle_one_makes_room() -> None:
    b = Bench(most=2)
    b.call(b"a"), b.call(b"b")
    one, two = b.open(b"a"), b.open(b"b")
    two.finish()
    third = b.call(b"c")
    assert two.retired and not one.retired
    assert b.open(b"c").calls == [third]


def test_who_waits_for_room_gets_it_when_a_request_ends() -> None:
    b = Bench(most=1)
    b.call(b"a")
    one = b.open(b"a")
    waiting = b.call(b"b")
    assert not b.dialed
    one.finish()
    assert one.retired
    assert b.open(b"b").calls == [waiting]
    b.timers[0]()
    assert ended(waiting) == [[]], "its time-out is none of a request that was sent"


def test_who_waits_for_too_long_or_behind_too_many_is_refused() -> None:
    b = Bench(most=1, length=1)
    b.call(b"a")
    waiting, beyond = b.call(b"b"), b.call(b"c")
    assert ended(waiting, beyond) == [[], ["upstream_busy"]]
    b.timers[0]()
    assert ended(waiting) == [["upstream_busy"]]
    assert list(b.pools._pools) == [b"a"]


def test_a_connection_that_cannot_be_had_makes_room_too() -> None:
    b = Bench(most=1)
    first, second = b.call(b"a"), b.call(b"b")
    b.dialed.pop()[1].refused(FAILED)
    assert ended(first, second) == [["connect_failed"], []]
    assert b.open(b"b").calls == [second]


def test_a_call_is_cancelled_where_it_is() -> None:
    b = Bench()
    waiting = b.call(b"a")
    b.pools.cancel(waiting, GONE)
    carried = b.call(b"b")
    b.dialed.pop(0)
    channel = b.open(b"b")
    b.pools.cancel(carried, GONE)
    assert ended(waiting, carried) == [["client_gone"]] * 2 and channel.idle


def test_all_are_let_go_of_at_the_end() -> None:
    b = Bench()
    b.call(b"a"), b.call(b"b")
    one, two = b.open(b"a"), b.open(b"b")
    b.pools.retire()
    assert one.retired and two.retired
    b.call(b"c")
    three = b.open(b"c")
    three.finish()
    assert three.retired, "what comes in between is not kept either"


def test_who_is_gone_leaves_nothing_behind() -> None:
    b = Bench()
    b.call(b"a"), b.call(b"a"), b.call(b"b")
    idle, busy, other = b.open(b"a"), b.open(b"a"), b.open(b"b")
    idle.finish()
    other.finish()
    b.pools.dismiss(b"a")
    b.pools.dismiss(b"nobody")
    assert (idle.retired, busy.retired, other.retired) == (True, True, False), "which ends when it has nothing to do"
    assert list(b.pools._pools) == [b"b"]
