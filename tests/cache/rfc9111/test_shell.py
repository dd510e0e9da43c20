"""Sentences of RFC 9111 that only the whole cache can keep: what is sent to the client, what to the origin, and what is left."""

from __future__ import annotations

import pytest
from tests.cache.kit import NOW, Stand, answer, status_of

from enfilade.exchange.response import Response
from enfilade.http.dates import format_date
from enfilade.http.fields import Fields, Pair

ETAG: Pair = (b"etag", b'"one"')


def cc(value: bytes) -> Pair:
    return b"cache-control", value


def numbered(*fields: Pair, status: int = 200) -> list[Response]:
    """Answers that can be told apart."""
    return [answer(*fields, status=status, body=b"%d" % i) for i in range(6)]


def not_modified(*fields: Pair) -> Response:
    return Response(304, Fields(fields), b"")


# -- 3: storing


@pytest.mark.parametrize(
    "stated", [cc(b"private, max-age=60"), cc(b"no-store"), (b"vary", b"*"), cc(b'private, no-cache="a"')]
)
def test_3_what_must_not_be_stored_is_asked_for_each_time(stated: Pair) -> None:
    stand = Stand(*numbered(stated))
    assert [stand.get().body for _ in range(3)] == [b"0", b"1", b"2"]
    assert not stand.memory.answers


def test_3_a_part_that_nobody_asked_for_is_handed_on_and_not_used_as_the_whole() -> None:
    part = answer((b"content-range", b"bytes 0-1/9"), ETAG, status=206, body=b"ab")
    stand = Stand(part, answer(body=b"all of it"))
    assert stand.get().status == 206
    assert (stand.get().status, stand.get().body) == (200, b"all of it")


def test_3_5_credentials_are_sent_on_and_what_is_public_serves_others() -> None:
    stand = Stand(*numbered(cc(b"public, max-age=60")))
    stand.get("/", (b"authorization", b"Basic YTpi"))
    assert stand.asked[0].request.fields.get(b"authorization") == b"Basic YTpi"
    assert stand.get("/", (b"authorization", b"Basic Yzpk")).body == stand.get().body == b"0"


def test_3_5_an_answer_to_credentials_that_does_not_say_so_serves_nobody_else() -> None:
    stand = Stand(*numbered(cc(b"max-age=60")))
    assert [stand.get("/", (b"authorization", who)).body for who in (b"a", b"b")] == [b"0", b"1"]
    assert stand.get().body == b"2"


# -- 4: constructing responses from caches


def test_4_must_generate_an_age_replacing_any_that_is_there() -> None:
    stand = Stand(answer((b"age", b"7")))
    stand.get()
    stand.pass_by(5)
    assert [value for name, value in stand.get().fields.pairs if name == b"age"] == [b"12"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROBNICATE"])
def test_4_must_write_through_unsafe_methods(method: str) -> None:
    """Nothing is answered before the origin has."""
    stand = Stand(answer(), None)
    stand.get()
    stand.send("/", method=method)
    assert len(stand.waiting) == 1 and stand.asked[-1].request.method == method


def test_4_must_use_the_most_recent_of_several() -> None:
    """Also where the newer one is stored under another variant's key."""
    stand = Stand(answer((b"vary", b"a"), body=b"old"), answer((b"vary", b"b"), body=b"new"))
    stand.get()
    stand.pass_by(1)
    stand.get("/", cc(b"no-cache"))
    assert stand.get().body == b"new"


def test_4_one_answer_may_serve_several_requests_at_once_if_it_may_be_reused_for_each() -> None:
    stand = Stand(None)
    waiting = [stand.send("/", (b"x-a", value)) for value in (b"1", b"1", b"2")]
    assert len(stand.asked) == 1
    stand.reply(answer((b"vary", b"x-a")))
    assert [w.response is not None for w in waiting] == [True, True, False]  # type: ignore[union-attr]
    assert len(stand.asked) == 2


# -- 4.1: Vary


def test_4_1_must_not_use_it_where_the_nominated_fields_differ() -> None:
    stand = Stand(*numbered((b"vary", b"accept-charset, x-a")))
    one, other = (b"x-a", b"1"), (b"x-a", b"2")
    assert [stand.get("/", *f).body for f in ((one,), (other,), (), (one,), (other,), ())] == [b"0", b"1", b"2"] * 2


def test_4_1_the_selecting_fields_are_sent_to_the_origin() -> None:
    stand = Stand(answer((b"vary", b"x-a")))
    stand.get("/", (b"x-a", b"1"))
    stand.get("/", (b"x-a", b"2"))
    assert [x.request.fields.get(b"x-a") for x in stand.asked] == [b"1", b"2"]


# -- 4.2: freshness


def test_4_2_3_the_time_in_the_cache_is_part_of_the_age() -> None:
    stand = Stand(answer((b"date", format_date(NOW - 20))))
    stand.get()
    stand.pass_by(39)
    assert stand.get().fields.get(b"age") == b"59"
    stand.pass_by(1)
    stand.get()
    assert len(stand.asked) == 2


@pytest.mark.parametrize("directive", [b"must-revalidate", b"proxy-revalidate", b"s-maxage=1", b"no-cache"])
def test_4_2_4_must_not_generate_a_stale_response_where_that_is_prohibited(directive: bytes) -> None:
    """5.2.2.2: but an error."""
    stand = Stand(answer(cc(b"max-age=1, " + directive), ETAG), answer(status=503))
    stand.get()
    stand.pass_by(10)
    assert stand.get().status == 503
    assert stand.get("/", cc(b"max-stale")).status == 503


def test_4_2_4_nor_without_permission() -> None:
    stand = Stand(answer(), answer(status=502, body=b"bad"))
    stand.get()
    stand.pass_by(61)
    assert stand.get().status == 502


# -- 4.3: validation


def test_4_3_3_a_304_says_that_the_stored_one_can_be_used() -> None:
    stand = Stand(answer(ETAG), not_modified(ETAG, cc(b"max-age=60")))
    stand.get()
    stand.pass_by(61)
    again = stand.get()
    assert (again.status, again.body) == (200, b"body")
    assert stand.get().body == b"body" and len(stand.asked) == 2, "it is fresh again"


def test_4_3_3_a_full_answer_must_satisfy_the_request_and_may_replace_the_stored_one() -> None:
    stand = Stand(answer(ETAG), answer((b"etag", b'"two"'), body=b"new"))
    stand.get()
    stand.pass_by(61)
    assert stand.get().body == b"new" == stand.get().body
    assert len(stand.asked) == 2


def test_4_3_3_an_error_of_the_origin_is_forwarded_and_the_stored_one_stays() -> None:
    stand = Stand(answer(ETAG), answer(cc(b"no-store"), status=500), not_modified(ETAG))
    stand.get()
    stand.pass_by(61)
    assert stand.get().status == 500
    assert stand.get().body == b"body"


def test_4_3_4_the_fields_of_the_304_are_sent_from_then_on() -> None:
    stand = Stand(answer(ETAG, (b"x-a", b"1")), not_modified(ETAG, (b"x-a", b"2"), cc(b"max-age=60")))
    stand.get()
    stand.pass_by(61)
    assert stand.get().fields.get(b"x-a") == b"2" == stand.get().fields.get(b"x-a")


def test_4_3_a_client_that_asked_whether_it_has_it_is_told_by_what_is_confirmed() -> None:
    stand = Stand(answer(ETAG), not_modified(ETAG, cc(b"max-age=60")))
    stand.get()
    stand.pass_by(61)
    told = stand.get("/", (b"if-none-match", b'"zero", "one"'))
    assert told.status == 304 and told.fields.get(b"etag") == b'"one"'
    assert stand.asked[-1].request.fields.get(b"if-none-match") is not None


# -- 4.4: invalidation


@pytest.mark.parametrize(("status", "left"), [(200, 0), (303, 0), (400, 1), (500, 1)])
def test_4_4_all_variants_of_the_target_must_be_invalidated(status: int, left: int) -> None:
    stand = Stand(answer((b"vary", b"x-a")))
    for value in (b"1", b"2"):
        stand.get("/", (b"x-a", value))
    stand.answers = [answer(status=status), answer((b"vary", b"x-a"))]
    stand.get("/", method="POST")
    for value in (b"1", b"2"):
        stand.get("/", (b"x-a", value))
    assert len(stand.asked) == (3 if left else 5)


def test_4_4_a_get_that_was_on_its_way_is_not_used_after_the_unsafe_request() -> None:
    stand = Stand(None, answer(status=204, body=b""), answer(body=b"new"))
    first = stand.send()
    stand.get("/", method="PUT")
    stand.reply(answer(body=b"old"))
    assert first.response.body == b"old"  # type: ignore[union-attr]
    assert stand.get().body == b"new"


# -- 5: fields


def test_5_1_what_comes_from_the_origin_itself_has_no_age_of_ours() -> None:
    assert b"age" not in Stand(answer()).get().fields


@pytest.mark.parametrize("asks", [cc(b"no-cache"), (b"pragma", b"no-cache"), cc(b"max-age=0"), cc(b"min-fresh=100")])
def test_5_2_1_what_the_request_wants_asked_is_asked(asks: Pair) -> None:
    stand = Stand(*numbered())
    stand.get()
    stand.pass_by(1)
    assert stand.get("/", asks).body == b"1"


def test_5_2_1_5_no_answer_to_a_request_with_no_store_is_stored() -> None:
    stand = Stand(*numbered())
    stand.get("/", cc(b"no-store"))
    assert not stand.memory.answers and stand.get().body == b"1"


@pytest.mark.parametrize("late", [False, True], ids=["nothing stored", "stale"])
def test_5_2_1_7_only_if_cached_is_answered_from_the_cache_or_by_504(late: bool) -> None:
    stand = Stand(answer())
    if late:
        stand.get()
        stand.pass_by(61)
    before = len(stand.asked)
    assert stand.get("/", cc(b"only-if-cached")).status == 504 and len(stand.asked) == before
    stand.get()
    assert stand.get("/", cc(b"only-if-cached")).status == 200


def test_5_2_2_4_a_field_that_no_cache_names_is_sent_once_and_not_again() -> None:
    stand = Stand(answer(cc(b'max-age=60, no-cache="x-a"'), (b"x-a", b"1"), (b"x-b", b"1")))
    assert stand.get().fields.get(b"x-a") == b"1"
    again = stand.get()
    assert b"hit" in status_of(again) and b"x-a" not in again.fields and again.fields.get(b"x-b") == b"1"
