"""The chain compiler: order of hooks, short circuits, the escape from sync to async, and handlers that raise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from itertools import product

import pytest

from enfilade.exchange.bodies import BodyAborted
from enfilade.exchange.chain import compile_chain, done_hooks
from enfilade.exchange.exchange import Exchange, Filter, Handler, Outcome
from enfilade.exchange.response import Response
from enfilade.http.reasons import reason
from enfilade.testing.exchange import make_exchange

X = make_exchange("GET", "/a")


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


def test_the_first_filter_is_the_outermost_around_the_handler_and_all_are_behind_the_hooks() -> None:
    log: list[str] = []

    class Around(Recording):
        def around(self, handler: Handler) -> Handler:
            def around(x: Exchange) -> Response | Awaitable[Response]:
                log.append(f"{self.name}(")
                answer = handler(x)
                log.append(f"){self.name}")
                return answer

            return around

    run(compile_chain([Around("a", log), Around("b", log)], handler))
    assert log == ["a>", "b>", "a(", "b(", ")b", ")a", "<b", "<a"]


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


def broken_handler(x: Exchange) -> Response:
    raise ZeroDivisionError("secret")


async def slow_broken_handler(x: Exchange) -> Response:
    await asyncio.sleep(0)
    raise ZeroDivisionError("secret")


async def left_handler(x: Exchange) -> Response:
    raise BodyAborted(reason("body_timeout"))


async def cancelled_handler(x: Exchange) -> Response:
    raise asyncio.CancelledError


@pytest.mark.parametrize("waits", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("broken", [broken_handler, slow_broken_handler])
def test_a_handler_that_raises_is_answered_for_before_the_filters_look(
    waits: tuple[bool, bool], broken: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    response = run(compile_chain([Recording(n, log, waits=w) for n, w in zip("ab", waits, strict=True)], broken))
    assert log == ["a>", "b>", "<b", "<a"]
    assert (response.status, response.reason) == (500, reason("internal"))
    assert isinstance(response.body, bytes) and b"secret" not in response.body
    assert [(r.levelno, r.getMessage(), r.exc_info is not None) for r in caplog.records] == [
        (logging.ERROR, "GET /a failed", True)
    ]


@pytest.mark.parametrize("broken", [broken_handler, slow_broken_handler])
def test_response_hooks_alone_see_the_error_answer(broken: Handler) -> None:
    assert run(compile_chain([OnlyResponse()], broken)).status == 501


def test_a_body_that_was_cut_is_answered_with_its_own_reason_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert run(compile_chain([OnlyResponse()], left_handler)).status == 409
    assert not caplog.records


def test_a_handler_that_is_cancelled_stays_cancelled() -> None:
    for filters in ([OnlyResponse()], [Recording("a", [])], [Recording("a", [], waits=True)]):
        with pytest.raises(asyncio.CancelledError):
            run(compile_chain(filters, cancelled_handler))
