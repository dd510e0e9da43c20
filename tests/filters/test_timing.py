"""Server-Timing: from a clock that the test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange, Filter, Handler
from enfilade.exchange.response import Response
from enfilade.filters.timing import Timing


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Slow(Filter):
    """A filter that takes a quarter of a second each way; it answers itself with the status `answer`."""

    def __init__(self, clock: Clock, answer: int = 0) -> None:
        self.clock = clock
        self.answer = answer

    def on_request(self, x: Exchange) -> Response | None:
        self.clock.now += 0.25
        return Response(self.answer) if self.answer else None

    def on_response(self, x: Exchange, r: Response) -> Response:
        self.clock.now += 0.25
        return r


def told(filters: list[Filter], handler: Handler, x: Exchange) -> dict[str, float]:
    answer = compile_chain(filters, handler)(x)
    r = answer if isinstance(answer, Response) else asyncio.run(awaited(answer))
    value = (r.fields.get(b"server-timing") or b"").decode()
    return {name: float(dur) for name, dur in (entry.split(";dur=") for entry in value.split(", "))}


async def awaited(answer: Awaitable[Response]) -> Response:
    return await answer


@pytest.mark.parametrize("waits", [False, True])
def test_each_room_has_its_time_and_they_add_up(waits: bool) -> None:
    clock = Clock(100.25)

    def handler(x: Exchange) -> Response | Awaitable[Response]:
        clock.now += 2
        return later() if waits else Response(200)

    async def later() -> Response:
        clock.now += 1
        return Response(200)

    x = exchange(started=100.0)
    work = 3000.0 if waits else 2000.0
    assert told([Timing(clock), Slow(clock)], handler, x) == {
        "wire": 250.0, "filters": 500.0, "handler": work, "total": 750.0 + work,
    }  # fmt: skip


def test_a_filter_that_answers_leaves_the_handler_out() -> None:
    clock = Clock(100.0)
    rooms = told([Timing(clock), Slow(clock, answer=413)], lambda x: Response(200), exchange(started=100.0))
    assert rooms == {"wire": 0.0, "filters": 500.0, "total": 500.0}


@pytest.mark.parametrize("waits", [False, True])
def test_a_handler_that_raises_was_in_its_room(waits: bool) -> None:
    clock = Clock(100.0)

    def handler(x: Exchange) -> Response | Awaitable[Response]:
        clock.now += 2
        if waits:
            return later()
        raise OSError

    async def later() -> Response:
        clock.now += 1
        raise OSError

    rooms = told([Timing(clock)], handler, exchange(started=100.0))
    assert rooms == {
        "wire": 0.0,
        "filters": 0.0,
        "handler": 3000.0 if waits else 2000.0,
        "total": 3000.0 if waits else 2000.0,
    }
