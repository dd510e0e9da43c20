"""The filter that asks somebody else: who comes in, what others get, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.identity import Identity
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response
from enfilade.handlers.proxy.asking import Question
from enfilade.http.fields import Fields, Pair
from enfilade.http.request import Request
from enfilade.identity.forward import ForwardAuth

IN = Response(
    204, Fields([(b"remote-user", b"ada"), (b"remote-groups", b"a"), (b"remote-groups", b"b"), (b"x-other", b"1")])
)
COPY = [b"remote-user", b"remote-groups", b"remote-email"]


class Gate:
    """Answers with `answer`, at once or `later`; `asked` are the questions."""

    def __init__(self, answer: Response, *, later: bool = False, copy: list[bytes] = COPY) -> None:
        self.answer = answer
        self.later = later
        self.asked: list[Exchange] = []
        self.filter = ForwardAuth(self._ask, lambda request: Question.on(request, "/auth", b"/auth", b"a=b"), copy)

    def _ask(self, x: Exchange) -> Response | Awaitable[Response]:
        self.asked.append(x)
        if not self.later:
            return self.answer
        pending = Pending()
        pending.resolve(self.answer)
        return pending

    def lets(self, x: Exchange) -> Response | None:
        early = self.filter.on_request(x)
        return early if early is None or isinstance(early, Response) else asyncio.run(_await(early))


async def _await(early: Awaitable[Response | None]) -> Response | None:
    return await early


def told(x: Exchange) -> list[Pair]:
    return [pair for pair in x.request.fields if pair[0].startswith(b"remote")]


@pytest.mark.parametrize("later", [False, True])
def test_2xx_comes_in_and_whoever_answers_is_told(later: bool) -> None:
    """And not by the client (FAILURES 17)."""
    x = exchange(
        (b"remote-user", b"root"), (b"remote_user", b"root"), (b"remote-email", b"r@x"), (b"connection", b"remote-user")
    )
    gate = Gate(IN, later=later)
    assert gate.lets(x) is None
    assert told(x) == [(b"remote-user", b"ada"), (b"remote-groups", b"a"), (b"remote-groups", b"b")]
    assert x.kept(Identity) == ("ada", {"remote-user": "ada", "remote-groups": "a, b"})
    assert not told(gate.asked[0]) and x.request.fields.get(b"connection") == b""
    kept = Response(200)
    assert gate.filter.on_response(x, kept) is kept


@pytest.mark.parametrize("status", [302, 304, 401, 403, 404, 500, 502])
@pytest.mark.parametrize("later", [False, True])
def test_every_other_answer_is_the_clients(status: int, later: bool) -> None:
    answer = Response(status, Fields([(b"location", b"/login"), (b"set-cookie", b"a=b")]), b"text")
    x = exchange((b"remote-user", b"root"))
    gate = Gate(answer, later=later)
    assert gate.lets(x) is answer and x.kept(Identity) is None and not told(x)
    assert gate.filter.on_response(x, answer) is answer


def test_without_a_name_somebody_comes_in_nevertheless() -> None:
    for copy in ([], [b"x-none"]):
        x = exchange()
        assert Gate(IN, copy=copy).lets(x) is None
        assert x.kept(Identity) == ("", {})


def test_new_cookies_go_to_the_client() -> None:
    x = exchange()
    gate = Gate(Response(200, Fields([(b"set-cookie", b"s=1"), (b"set-cookie", b"t=2")])))
    assert gate.lets(x) is None
    answer = gate.filter.on_response(x, Response(200, Fields([(b"set-cookie", b"own=1")])))
    assert answer.fields.all(b"set-cookie") == [b"own=1", b"s=1", b"t=2"]


def test_what_is_read_of_an_answer_that_lets_in_is_its_head() -> None:
    body = Stream()
    body.write(b"welcome")
    assert Gate(Response(200, Fields(), body)).lets(exchange()) is None
    assert body.failure is not None, "nobody reads it"


def test_the_question_is_about_the_request_and_has_no_body() -> None:
    fields = [
        (b"content-length", b"5"), (b"content-encoding", b"gzip"), (b"expect", b"100-continue"), (b"if-none-match", b'"a"'),
        (b"range", b"bytes=0-1"), (b"te", b"trailers"), (b"cookie", b"s=1"), (b"authorization", b"Bearer x"),
    ]  # fmt: skip
    x = exchange(*fields, method="POST", path="/shop", query=b"x=1", body=Stream())
    gate = Gate(IN)
    gate.lets(x)
    (asked,) = gate.asked
    request: Any = asked.request
    assert (request.method, request.path, request.raw_path, request.query) == ("GET", "/auth", b"/auth", b"a=b")
    assert request.fields.pairs == ((b"cookie", b"s=1"), (b"authorization", b"Bearer x"))
    assert request.about.method == "POST" and request.about.target == "/shop?x=1"
    assert asked.body.whole == b"" and x.body.whole is None
    asked.inform(103, Fields())  # the carrier of these tests takes none
    assert asked.carrier.now() == x.carrier.now()


def test_a_client_that_leaves_ends_the_question() -> None:
    left: list[bool] = []

    def ask(x: Exchange) -> Pending:
        return Pending(lambda: left.append(True))

    async def main() -> None:
        early = ForwardAuth(ask, _same, []).on_request(exchange())
        assert early is not None and not isinstance(early, Response)
        task = asyncio.ensure_future(early)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert left == [True]


def _same(request: Request) -> Request:
    return request
