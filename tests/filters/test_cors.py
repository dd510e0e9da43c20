"""Cross-origin resource sharing: who is told that their scripts may read an answer, and how a preflight is answered."""

from __future__ import annotations

import asyncio

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.filters.cors import Cors
from enfilade.filters.remade import MEMORY
from enfilade.http.fields import Fields
from enfilade.http.origins import Origins

ALLOW = b"access-control-allow-origin"
OURS = (b"origin", b"https://app.example")
OTHERS = (b"origin", b"https://evil.example")
ASKS = (b"access-control-request-method", b"PUT")
SOME = Cors(
    Origins(["https://app.example"]), ["GET", "PUT"], ["Content-Type", "X-A"], ["X-Total"], credentials=True, max_age=60
)
EVERYBODY = Cors(None, ["GET"])


def run(cors: Cors, x: Exchange, answer: Response | None = None) -> Response:
    def handler(x: Exchange) -> Response:
        if answer is None:
            raise RuntimeError("on purpose")
        return answer

    made = compile_chain([cors], handler)(x)
    assert isinstance(made, Response)
    return made


def test_an_answer_names_the_origin_that_may_read_it() -> None:
    answer = run(SOME, exchange(OURS), Response(200, Fields([(b"vary", b"accept")]), b"x"))
    assert dict(answer.fields) == {
        ALLOW: OURS[1],
        b"access-control-allow-credentials": b"true",
        b"access-control-expose-headers": b"X-Total",
        b"vary": b"accept, origin",
    }
    assert (answer.status, answer.body) == (200, b"x")


@pytest.mark.parametrize("fields", [[OTHERS], [(b"origin", b"null")], []])
def test_others_may_not_read_it_but_caches_are_told(fields: list[tuple[bytes, bytes]]) -> None:
    """Vary in either case, or a cache would give one origin's answer to another (fetch.spec.whatwg.org, section 3.3.3)."""
    assert dict(run(SOME, exchange(*fields), Response(200)).fields) == {b"vary": b"origin"}


def test_everybody_is_one_answer_for_all() -> None:
    for fields in ([], [OTHERS], [(b"origin", b"null")]):
        assert dict(run(EVERYBODY, exchange(*fields), Response(200)).fields) == {ALLOW: b"*"}


def test_what_the_handler_says_of_it_is_replaced() -> None:
    own = Fields([(ALLOW, b"*"), (b"access-control-allow-credentials", b"true"), (b"a", b"1")])
    assert run(SOME, exchange(OURS), Response(200, own)).fields.all(ALLOW) == [OURS[1]]
    assert dict(run(SOME, exchange(OTHERS), Response(200, own)).fields) == {b"a": b"1", b"vary": b"origin"}


def test_an_error_can_be_read_too() -> None:
    answer = run(SOME, exchange(OURS))
    assert (answer.status, answer.fields.get(ALLOW)) == (500, OURS[1])


def test_a_preflight_is_answered_before_the_handler() -> None:
    answer = run(SOME, exchange(OURS, ASKS, method="OPTIONS"))
    assert answer.status == 204
    assert dict(answer.fields) == {
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": b"Content-Type, X-A",
        b"access-control-max-age": b"60",
        ALLOW: OURS[1],
        b"access-control-allow-credentials": b"true",
        b"access-control-expose-headers": b"X-Total",
        b"vary": b"origin",
    }


def test_a_preflight_of_another_origin_is_refused() -> None:
    answer = run(SOME, exchange(OTHERS, ASKS, method="OPTIONS"))
    assert answer.status == 403 and ALLOW not in answer.fields and b"origin" in (answer.fields.get(b"vary") or b"")
    assert answer.reason is not None and answer.reason.name == "origin_refused"


@pytest.mark.parametrize("fields", [[OURS], [ASKS], []])
def test_other_options_requests_are_the_handlers(fields: list[tuple[bytes, bytes]]) -> None:
    assert run(SOME, exchange(*fields, method="OPTIONS"), Response(299)).status == 299


def test_the_same_fields_for_the_same_origin_give_the_same_fields_and_the_memory_is_bounded() -> None:
    cors = Cors(Origins(["https://*.example"]))
    given = Response(200, Fields([(b"a", b"1")]))
    assert run(cors, exchange(OURS), given).fields is run(cors, exchange(OURS), given).fields
    for i in range(3 * MEMORY):
        origin = b"https://a%d.example" % i
        assert run(cors, exchange((b"origin", origin)), given).fields.get(ALLOW) == origin
    assert len(cors._remade.memory) <= MEMORY


def test_a_handler_that_waits_is_answered_alike() -> None:
    async def handler(x: Exchange) -> Response:
        return Response(200)

    async def main() -> Response:
        waiting = compile_chain([SOME], handler)(exchange(OURS))
        assert not isinstance(waiting, Response)
        return await waiting

    assert asyncio.run(main()).fields.get(ALLOW) == OURS[1]
