"""Which connection carries a call, and when another one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from enfilade.exchange.bodies import empty_body
from enfilade.exchange.call import Call, Home
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason, reason
from enfilade.testing.exchange import make_request
from enfilade.upstream.pool import Pool

FAILED = reason("connect_failed")
GONE = reason("client_gone")


class Caller:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def informed(self, call: Call, status: int, fields: Fields) -> None: ...
    def answered(self, call: Call, response: Response) -> None: ...

    def over(self, call: Call, why: Reason | None) -> None:
        self.ended.append(why.name if why else "")


class Channel:
    def __init__(self, home: Home, *, most: int = 1, shared: bool = False) -> None:
        self.home = home
        self.most = most
        self.shared = shared
        self.calls: list[Call] = []
        self.carried = 0
        self.retired = False

    @property
    def room(self) -> int:
        return 0 if self.retired else self.most - len(self.calls)

    @property
    def idle(self) -> bool:
        return not self.calls

    def carry(self, call: Call) -> None:
        assert self.room, "only calls that it has room for"
        call.channel = self
        self.carried += 1
        self.calls.append(call)

    def cancel(self, call: Call, why: Reason) -> None:
        self.calls.remove(call)
        call.caller.over(call, why)
        self.home.freed(self)

    def retire(self) -> None:
        self.retired = True
        self.home.lost(self)

    def finish(self, call: Call | None = None) -> None:
        self.calls.remove(call or self.calls[0])
        self.home.freed(self)

    def lose(self) -> None:
        self.retired = True
        self.home.lost(self)


class Bench:
    def __init__(self, **options: Any) -> None:
        self.dialed: list[Home] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.pool = Pool(self.dialed.append, self.later, **options)

    def later(self, seconds: float, what: Callable[[], None]) -> Any:
        self.timers.append((seconds, what))

    def call(self) -> Call:
        call = Call(make_request(), empty_body(), Caller())
        self.pool.carry(call)
        return call

    def open(self, **options: Any) -> Channel:
        channel = Channel(self.dialed.pop(0), **options)
        channel.home.opened(channel)
        return channel


def ended(*calls: Call) -> list[list[str]]:
    return [call.caller.ended for call in calls]  # type: ignore[attr-defined]


def test_a_connection_for_each_call_at_once() -> None:
    b = Bench()
    calls = [b.call(), b.call()]
    assert len(b.dialed) == 2
    one, two = b.open(), b.open()
    assert (one.calls, two.calls) == ([calls[0]], [calls[1]])


def test_the_connection_used_last_is_used_next() -> None:
    """So that those that are not needed become idle for long enough to be closed."""
    b = Bench()
    b.call(), b.call()
    one, two = b.open(), b.open()
    two.finish()
    one.finish()
    for _ in range(3):
        b.call()
        one.finish()
    assert (one.carried, two.carried) == (4, 1) and not b.dialed


def test_whoever_has_room_first_takes_who_waits() -> None:
    b = Bench()
    first = b.call()
    one = b.open()
    second = b.call()
    one.finish(first)
    assert one.calls == [second]
    two = b.open()
    assert two.idle and not b.pool.idle
    one.finish()
    assert b.pool.idle


def test_no_more_connections_than_allowed() -> None:
    b = Bench(most=2)
    calls = [b.call() for _ in range(5)]
    assert len(b.dialed) == 2
    one, two = b.open(), b.open()
    one.finish()
    assert one.calls == [calls[2]] and not b.dialed
    one.finish()
    two.finish()
    assert (one.calls, two.calls) == ([calls[3]], [calls[4]]) and not b.dialed


def test_who_waits_beyond_waits_so_many_and_so_long() -> None:
    b = Bench(most=1, length=2, patience=7.0)
    carried = b.call()
    waiting = [b.call(), b.call()]
    assert ended(b.call()) == [["upstream_busy"]]
    one = b.open()
    assert [seconds for seconds, _ in b.timers] == [7.0, 7.0] and ended(carried, *waiting) == [[], [], []]
    one.finish()
    for _, expire in b.timers:
        expire()
    assert ended(*waiting) == [[], ["upstream_busy"]] and one.calls == [waiting[0]]


def test_a_lost_connection_is_replaced_for_those_who_wait() -> None:
    b = Bench(most=1)
    b.call()
    one = b.open()
    waiting = b.call()
    one.lose()
    assert b.open().calls == [waiting]


def test_an_idle_connection_that_is_lost_is_not_used() -> None:
    b = Bench()
    b.call()
    one = b.open()
    one.finish()
    one.lose()
    call = b.call()
    assert b.open().calls == [call]


def test_more_idle_connections_than_are_kept_are_too_many() -> None:
    """They are let go when nothing has come for them for a while: requests that come in bursts must not dial each time."""
    b = Bench(keep=1)
    b.call(), b.call()
    one, two = b.open(), b.open()
    one.finish()
    assert not b.pool.crowded
    two.finish()
    assert b.pool.crowded and not one.retired and not two.retired
    one.lose()
    assert not b.pool.crowded


def test_who_keeps_none_closes_each_after_its_call() -> None:
    b = Bench(keep=0)
    b.call()
    one = b.open()
    one.finish()
    assert one.retired and b.pool.idle


def test_a_refused_connection_fails_one_call_as_long_as_there_are_others() -> None:
    b = Bench()
    calls = [b.call(), b.call(), b.call()]
    b.dialed.pop().refused(FAILED)
    assert ended(*calls) == [["connect_failed"], [], []]
    assert b.open().calls == [calls[1]]
    b.dialed.pop().refused(FAILED)
    assert ended(*calls) == [["connect_failed"], [], ["connect_failed"]]


def test_without_any_connection_all_fail() -> None:
    b = Bench(most=1)
    calls = [b.call(), b.call(), b.call()]
    b.dialed.pop().refused(FAILED)
    assert ended(*calls) == [["connect_failed"]] * 3
    b.call()
    assert len(b.dialed) == 1


def test_a_call_that_is_tried_again_at_once_is_not_failed_by_the_same_refusal() -> None:
    b = Bench()
    again: list[Call] = []

    class Stubborn(Caller):
        def over(self, call: Call, why: Reason | None) -> None:
            again.append(Call(call.request, call.body, Caller()))
            b.pool.carry(again[-1])

    b.pool.carry(Call(make_request(), empty_body(), Stubborn()))
    b.dialed.pop().refused(FAILED)
    assert ended(*again) == [[]] and b.open().calls == again


def test_cancelling() -> None:
    b = Bench()
    waiting = b.call()
    b.pool.cancel(waiting, GONE)
    one = b.open()
    assert ended(waiting) == [["client_gone"]] and one.idle
    carried = b.call()
    b.pool.cancel(carried, GONE)
    assert ended(carried) == [["client_gone"]] and b.pool.idle
    over = Call(make_request(), empty_body(), Caller())
    b.pool.cancel(over, GONE)
    assert ended(over) == [[]], "it was over already"


# -- connections that are shared


def test_one_connection_carries_all() -> None:
    b = Bench(shared=True)
    calls = [b.call() for _ in range(5)]
    assert len(b.dialed) == 1
    one = b.open(most=100, shared=True)
    calls += [b.call(), b.call()]
    assert one.calls == calls and not b.dialed


def test_another_one_where_the_first_is_full() -> None:
    b = Bench(shared=True)
    calls = [b.call() for _ in range(5)]
    one = b.open(most=2, shared=True)
    two = b.open(most=2, shared=True)
    three = b.open(most=2, shared=True)
    assert [c.calls for c in (one, two, three)] == [calls[:2], calls[2:4], calls[4:]]
    calls += [b.call(), b.call()]
    assert three.calls == calls[4:6]
    two.finish()
    assert two.calls == [calls[3], calls[6]]


def test_a_peer_that_takes_fewer_than_before() -> None:
    b = Bench(shared=True)
    b.call()
    one = b.open(most=5, shared=True)
    one.most = 1
    waiting = b.call()
    assert len(one.calls) == 1 and len(b.dialed) == 1
    one.finish()
    assert one.calls == [waiting]


def test_that_connections_are_shared_is_learnt_from_the_first() -> None:
    """TLS tells only then what its peer speaks."""
    b = Bench()
    b.call()
    one = b.open(most=100, shared=True)
    assert len([b.call() for _ in range(5)]) == 5
    assert len(one.calls) == 6 and not b.dialed


# -- the end


@pytest.mark.parametrize("shared", [False, True])
def test_retiring_lets_go_of_what_has_nothing_to_do(shared: bool) -> None:
    b = Bench(shared=shared)
    b.call()
    one = b.open(shared=shared)
    one.finish()
    b.pool.retire()
    assert one.retired and b.pool.idle


def test_a_retired_pool_still_carries_and_keeps_nothing() -> None:
    b = Bench()
    b.call(), b.call()
    one = b.open()
    b.pool.retire()
    assert one.retired and not one.idle, "what it carries is seen through"
    two = b.open()
    assert not two.retired
    two.finish()
    assert two.retired
    late = b.call()
    three = b.open()
    assert three.calls == [late]
    three.finish()
    assert three.retired and b.pool.idle
