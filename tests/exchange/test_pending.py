"""Pending: one answer, one waiter, no turn of the loop in between."""

from __future__ import annotations

import asyncio

import pytest

from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response

FIRST, SECOND = Response(200), Response(201)


def test_the_callback_is_called_within_resolve() -> None:
    pending, seen = Pending(), list[Response]()
    pending.then(seen.append)
    assert seen == []
    assert pending.resolve(FIRST)
    assert seen == [FIRST]


def test_the_callback_is_called_at_once_where_the_answer_is_there() -> None:
    pending, seen = Pending(), list[Response]()
    pending.resolve(FIRST)
    pending.then(seen.append)
    assert seen == [FIRST]


def test_the_first_answer_stays() -> None:
    pending, seen = Pending(), list[Response]()
    pending.then(seen.append)
    assert pending.resolve(FIRST) and not pending.resolve(SECOND)
    assert seen == [FIRST] and pending.response is FIRST


def test_a_coroutine_may_await_it_before_and_after() -> None:
    async def main() -> None:
        pending = Pending()
        asyncio.get_running_loop().call_soon(pending.resolve, FIRST)
        assert await pending is FIRST
        assert await pending is FIRST

    asyncio.run(main())


def test_a_cancelled_waiter_tells_and_may_be_answered_still() -> None:
    async def main() -> None:
        told: list[bool] = []
        pending = Pending(lambda: told.append(True))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await pending
        assert told == [True]
        assert pending.resolve(FIRST)

    asyncio.run(main())
