"""Request ids: unique, the same everywhere, and never what a stranger says."""

from __future__ import annotations

import os

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.filters.request_id import IdSource, RequestId
from enfilade.http.fields import Fields

NAME = b"x-request-id"


def answer(x: Exchange) -> Response:
    return Response(200, Fields([(b"seen", x.request.fields.get(NAME) or b"none")]))


def run(f: RequestId, x: Exchange) -> Response:
    r = compile_chain([f], answer)(x)
    assert isinstance(r, Response)
    return r


def test_the_same_id_in_log_request_and_answer() -> None:
    x = exchange((b"accept", b"*/*"))
    r = run(RequestId(), x)
    assert r.fields.get(b"seen") == r.fields.get(NAME) == str(x.id).encode()
    assert x.request.fields.get(b"accept") == b"*/*"


def test_each_request_has_its_own() -> None:
    f = RequestId()
    assert len({run(f, exchange()).fields.get(NAME) for _ in range(100)}) == 100


def test_the_request_of_the_engine_is_not_changed_and_its_route_goes_along() -> None:
    x = exchange()
    before = x.request
    before.route = route = object()
    run(RequestId(), x)
    assert before.fields.get(NAME) is None
    assert x.request is not before and x.request.route is route
    assert x.request.target == before.target and x.request.version == before.version


def test_an_id_from_a_stranger_is_replaced() -> None:
    r = run(RequestId(), exchange((NAME, b"theirs"), (NAME, b"twice")))
    assert b"theirs" not in (r.fields.get(b"seen") or b"")
    assert r.fields.get(b"seen") == r.fields.get(NAME)


@pytest.mark.parametrize("claims", [(b"connection", b"close, X-Request-Id"), (b"x_request_id", b"theirs")])
def test_a_stranger_neither_takes_it_away_nor_puts_another_beside_it(claims: tuple[bytes, bytes]) -> None:
    """What Connection names is taken off by a proxy (FAILURES 17), and many applications take `_` for `-` (14)."""
    x = exchange(claims)
    r = run(RequestId(), x)
    assert r.fields.get(b"seen") == str(x.id).encode()
    assert x.request.fields.get(b"x_request_id") is None
    assert (x.request.fields.get(b"connection") or b"close") == b"close"


def test_an_id_from_a_trusted_proxy_is_kept() -> None:
    x = exchange((NAME, b"abc-123"))
    assert run(RequestId(trust=True), x).fields.get(NAME) == b"abc-123"
    assert x.id == "abc-123"


@pytest.mark.parametrize("bad", [b"", b"a b", b'a"b', b"a\x1bb", b"-x", b"a" * 129, b"a, b"])
def test_even_from_a_trusted_proxy_it_must_look_like_an_id(bad: bytes) -> None:
    assert run(RequestId(trust=True), exchange((NAME, bad))).fields.get(NAME) != bad


def test_an_id_that_the_application_sets_is_replaced() -> None:
    r = compile_chain([RequestId()], lambda x: Response(200, Fields([(NAME, b"app")])))(exchange())
    assert isinstance(r, Response)
    assert len(r.fields.all(NAME)) == 1 and r.fields.get(NAME) != b"app"


def test_the_name_can_be_chosen_and_must_be_one() -> None:
    assert b"trace-id" in run(RequestId("Trace-Id"), exchange()).fields
    with pytest.raises(ValueError, match="not the name"):
        RequestId("a b")


def test_a_forked_worker_goes_on_with_other_ids() -> None:
    new_id = IdSource()
    mine = new_id()
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, new_id().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    child = os.read(ours, 100).decode()
    os.close(ours)
    os.close(theirs)
    assert len(child) == len(mine) == 24
    assert child[:16] != mine[:16]


def test_a_handler_that_need_not_be_told_gets_the_request_of_the_engine() -> None:
    x = exchange()
    before = x.request
    assert run(RequestId(tell=False), x).fields.get(NAME) == str(x.id).encode()
    assert x.request is before
