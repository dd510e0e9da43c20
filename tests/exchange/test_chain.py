"""The chain compiler: order of hooks, short circuits, and the escape from sync to async."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import product

import pytest

from enfilade.exchange.chain import compile_chain, done_hooks
from enfilade.exchange.exchange import Exchange, Filter, Outcome
from enfilade.exchange.response import Response

X: Exchange = None  # type: ignore[assignment]  # the chain hands it on and never looks at it


class Recording(Filter):
    """Notes its calls in `log`; answers at `on_request` if `answers`; waits first if `waits`."""

    def __init__(self, name: str, log: list[str], *, waits: bool = False, answers: bool = False) -> None:
        self.name, self.log, self.waits, self.answers = name, log, waits, answers

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        self.log.append(f"{self.name}>")
        early = Response(299) if self.answers else None
        return self.later(early) if self.waits else early

    async def later(self, early: Response | None) -> Response | None:
        await asyncio.sleep(0)
        return early

    def on_response(self, x: Exchange, r: Response) -> Response:
        self.log.append(f"<{self.name}")
        return r


class OnlyResponse(Filter):
    def on_response(self, x: Exchange, r: Response) -> Response:
        return Response(r.status + 1)


class OnlyDone(Filter):
    def on_done(self, x: Exchange, outcome: Outcome) -> None: ...


def run(chain: object) -> Response:
    answer = chain(X)  # type: ignore[operator]
    if isinstance(answer, Response):
        return answer

    async def wait() -> Response:
        return await answer

    return asyncio.run(wait())


def handler(x: Exchange) -> Response:
    return Response(200)


async def slow_handler(x: Exchange) -> Response:
    await asyncio.sleep(0)
    return Response(200)


def test_without_hooks_the_handler_itself_is_the_chain() -> None:
    assert compile_chain([], handler) is handler
    assert compile_chain([Filter(), OnlyDone()], handler) is handler


def test_response_hooks_alone_run_last_in_first_out() -> None:
    class Double(Filter):
        def on_response(self, x: Exchange, r: Response) -> Response:
            return Response(r.status * 2)

    assert run(compile_chain([OnlyResponse(), Double()], handler)).status == 401
    assert run(compile_chain([OnlyResponse(), Double()], slow_handler)).status == 401


@pytest.mark.parametrize("answering", [None, 0, 1, 2])
@pytest.mark.parametrize("waits", list(product([False, True], repeat=4)))
def test_hooks_run_in_order_and_unwind_from_where_it_was_answered(
    waits: tuple[bool, ...], answering: int | None
) -> None:
    log: list[str] = []
    filters = [Recording(n, log, waits=waits[i], answers=i == answering) for i, n in enumerate("abc")]
    chain = compile_chain(filters, slow_handler if waits[3] else handler)
    assert run(chain).status == (200 if answering is None else 299)
    seen = "abc" if answering is None else "abc"[: answering + 1]
    assert log == [f"{n}>" for n in seen] + [f"<{n}" for n in reversed(seen)]


def test_a_chain_that_nobody_makes_wait_answers_within_the_call() -> None:
    chain = compile_chain([Recording("a", []), OnlyResponse()], handler)
    assert isinstance(chain(X), Response)


def test_a_filter_without_on_request_still_sees_the_response_of_an_earlier_answer_behind_it() -> None:
    chain = compile_chain([OnlyResponse(), Recording("b", [], answers=True)], handler)
    assert run(chain).status == 300


def test_only_overridden_done_hooks_are_called() -> None:
    assert len(done_hooks([Filter(), OnlyDone(), OnlyResponse()])) == 1
