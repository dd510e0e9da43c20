"""The cache in front of a handler: what is used, what is asked for, what is passed by."""

from __future__ import annotations

import asyncio
from itertools import count
from zlib import crc32

import pytest
from tests.cache.kit import Stand, answer, status_of

from enfilade.cache.decide import Rules
from enfilade.cache.key import KeyRules
from enfilade.cache.reasons import Kind
from enfilade.cache.stored import Stored
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields

ETAG = (b"etag", b'"one"')
OLD = (b"last-modified", b"Fri, 01 Jan 2021 00:00:00 GMT")


def test_a_fresh_answer_is_used_again_with_its_age() -> None:
    stand = Stand(answer((b"content-type", b"text/plain")))
    first = stand.get("/a")
    assert (first.status, first.body) == (200, b"body")
    assert status_of(first) == b"enfilade; fwd=uri-miss; stored" and b"age" not in first.fields
    stand.pass_by(10)
    second = stand.get("/a")
    assert second.body == b"body" and second.fields.get(b"age") == b"10"
    assert second.fields.get(b"content-type") == b"text/plain"
    assert status_of(second) == b"enfilade; hit; ttl=50"
    assert len(stand.asked) == 1
    assert stand.counts.kinds == [Kind.MISS, Kind.HIT]


def test_within_a_second_it_is_the_same_response() -> None:
    stand = Stand(answer())
    stand.get()
    once, again = stand.get(), stand.get()
    assert once is again
    stand.pass_by(0.999)
    assert stand.get() is once
    stand.pass_by(0.001)
    later = stand.get()
    assert later is not once and later.fields.get(b"age") == b"1"


def test_nothing_is_used_as_fresh_for_longer_than_it_is() -> None:
    stand = Stand(answer())
    stand.get()
    stand.pass_by(59.5)
    assert stand.get().fields.get(b"age") == b"59"
    stand.pass_by(0.49)
    stand.get()
    assert len(stand.asked) == 1
    stand.pass_by(0.02)
    stand.get()
    assert len(stand.asked) == 2


def test_other_addresses_and_hosts_are_others() -> None:
    stand = Stand(answer())
    stand.get("/a")
    for options in ({"target": "/b"}, {"target": "/a?x"}, {"target": "/a", "authority": "other.example"}):
        stand.get(**options)
    assert len(stand.asked) == 4


@pytest.mark.parametrize("validator", [ETAG, OLD])
def test_4_3_what_is_stale_is_confirmed_by_its_validator(validator: tuple[bytes, bytes]) -> None:
    stand = Stand(answer(validator), Response(304, Fields([validator, (b"cache-control", b"max-age=5")])))
    stand.get()
    stand.pass_by(61)
    again = stand.get()
    asked = stand.asked[1].request.fields
    assert asked.get(b"if-none-match" if validator is ETAG else b"if-modified-since") == validator[1]
    assert (again.status, again.body) == (200, b"body")
    assert status_of(again) == b"enfilade; hit; detail=revalidated" or b"fwd=stale" in status_of(again)
    stand.pass_by(4)
    assert b"hit; ttl=" in status_of(stand.get()) and len(stand.asked) == 2
    stand.pass_by(2)
    stand.get()
    assert len(stand.asked) == 3


def test_a_304_for_something_else_confirms_nothing() -> None:
    stand = Stand(
        answer(ETAG), Response(304, Fields([(b"etag", b'"other"')])), answer((b"etag", b'"other"'), body=b"new")
    )
    stand.get()
    stand.pass_by(61)
    assert stand.get().body == b"new"
    assert b"if-none-match" not in stand.asked[2].request.fields


def test_5_2_1_7_only_if_cached() -> None:
    stand = Stand(answer())
    only = (b"cache-control", b"only-if-cached")
    assert stand.get("/", only).status == 504 and not stand.asked
    stand.get()
    assert stand.get("/", only).status == 200 and len(stand.asked) == 1


def test_a_reload_asks_the_origin_and_renews_what_is_stored() -> None:
    stand = Stand(answer(body=b"one"), answer(body=b"two"))
    stand.get()
    assert stand.get("/", (b"cache-control", b"no-cache")).body == b"two"
    assert stand.get().body == b"two" and len(stand.asked) == 2


@pytest.mark.parametrize(("status", "fetched"), [(204, 2), (303, 2), (404, 1), (500, 1)])
def test_4_4_an_unsafe_method_that_went_through_invalidates(status: int, fetched: int) -> None:
    stand = Stand(answer(), Response(status), answer())
    stand.get("/a")
    posted = stand.get("/a", method="POST", body=b"x")
    assert posted.status == status and status_of(posted) == b"enfilade; fwd=method"
    stand.get("/a")
    assert len(stand.asked) == 1 + fetched


def test_4_4_location_and_content_location_of_the_same_origin_are_invalidated_too() -> None:
    said = Fields([(b"location", b"/b"), (b"content-location", b"http://example.com/c")])
    stand = Stand(answer())
    for target in ("/a", "/b", "/c", "/d"):
        stand.get(target)
    stand.answers = [Response(201, said), answer()]
    stand.get("/a", method="PUT")
    before = len(stand.asked)
    for target in ("/a", "/b", "/c", "/d"):
        stand.get(target)
    assert len(stand.asked) - before == 3


def test_head_is_answered_by_what_is_stored_for_get() -> None:
    stand = Stand(answer())
    stand.get()
    assert b"hit" in status_of(stand.get(method="HEAD")) and len(stand.asked) == 1


def test_head_alone_stores_nothing() -> None:
    stand = Stand(answer())
    assert status_of(stand.get(method="HEAD")) == b"enfilade; fwd=uri-miss"
    assert stand.asked[0].request.method == "HEAD"
    stand.get()
    assert len(stand.asked) == 2


def test_4_3_5_head_confirms_or_drops_what_is_stored() -> None:
    stand = Stand(answer(ETAG))
    stand.get()
    stand.pass_by(61)
    stand.get(method="HEAD")
    assert b"hit" in status_of(stand.get()) and len(stand.asked) == 2
    stand.pass_by(61)
    stand.answers = [answer((b"etag", b'"new"'))]
    stand.get(method="HEAD")
    assert b"uri-miss" in status_of(stand.get())


def test_parts_and_conditions_are_answered_from_what_is_stored() -> None:
    stand = Stand(answer(ETAG, body=b"0123456789"))
    stand.get()
    part = stand.get("/", (b"range", b"bytes=2-4"))
    assert (part.status, part.body, part.fields.get(b"content-range")) == (206, b"234", b"bytes 2-4/10")
    assert b"hit" in status_of(part)
    several = stand.get("/", (b"range", b"bytes=0-0,5-6"))
    assert several.status == 206 and b"multipart/byteranges" in (several.fields.get(b"content-type") or b"")
    assert stand.get("/", (b"range", b"bytes=20-")).status == 416
    assert stand.get("/", (b"if-none-match", b'"one"')).status == 304
    assert stand.get("/", (b"if-match", b'"two"')).status == 200, "not for caches (RFC 9111 section 4.3.2)"
    assert stand.get("/", (b"range", b"bytes=2-4"), (b"if-range", b'"two"')).status == 200
    assert len(stand.asked) == 1


def test_the_origin_is_asked_for_all_of_it_whatever_the_client_wants() -> None:
    stand = Stand(answer(ETAG, body=b"0123456789"))
    part = stand.get("/", (b"range", b"bytes=0-2"), (b"if-none-match", b'"x"'), (b"accept", b"*/*"))
    assert stand.asked[0].request.fields.pairs == ((b"accept", b"*/*"),)
    assert (part.status, part.body) == (206, b"012")
    assert stand.get().body == b"0123456789" and len(stand.asked) == 1


def test_a_condition_that_was_kept_from_the_origin_is_looked_at_also_where_nothing_is_stored() -> None:
    stand = Stand(answer(ETAG, (b"cache-control", b"no-store")))
    assert stand.get("/", (b"if-none-match", b'"one"')).status == 304


def test_a_client_that_forbids_to_store_is_served_from_what_others_stored() -> None:
    stand = Stand(answer())
    stand.get("/", (b"cache-control", b"no-store"))
    stand.get()
    stand.get("/", (b"cache-control", b"no-store"))
    assert len(stand.asked) == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [({"method": "OPTIONS"}, b"method"), ({"body": b"x"}, b"request_body"), ({"protocol": "websocket"}, b"upgrade")],
)
def test_what_is_none_for_a_cache_passes_by(options: dict[str, object], why: bytes) -> None:
    stand = Stand(answer())
    for _ in range(2):
        passed = stand.get("/", **options)  # type: ignore[arg-type]
        assert b"fwd=" in status_of(passed) and why in status_of(passed)
    assert len(stand.asked) == 2 and not stand.memory.answers
    assert stand.asked[0].request.fields.pairs == () and set(stand.counts.kinds) == {Kind.BYPASS}


def test_answers_that_vary_are_several_under_one_key() -> None:
    stand = Stand(
        lambda x: answer((b"vary", b"accept-language"), body=x.request.fields.get(b"accept-language") or b"-")
    )
    for _ in range(2):
        for language in (b"en", b"de", b"fr"):
            assert stand.get("/", (b"accept-language", language)).body == language
        assert stand.get().body == b"-"
    assert len(stand.asked) == 4
    assert b"vary-miss" in status_of(stand.get("/", (b"accept-language", b"it")))


def test_variants_of_one_key_are_bounded() -> None:
    stand = Stand(answer((b"vary", b"x-user")))
    for i in range(200):
        stand.get("/", (b"x-user", b"%d" % i))
    assert len(stand.memory.answers) <= 65
    assert b"hit" in status_of(stand.get("/", (b"x-user", b"199")))
    assert b"vary-miss" in status_of(stand.get("/", (b"x-user", b"0")))


def test_what_is_stale_is_served_while_it_is_refreshed() -> None:
    stand = Stand(answer((b"cache-control", b"max-age=10, stale-while-revalidate=30")), None)
    stand.get()
    stand.pass_by(20)
    for _ in range(3):
        stale = stand.get()
        assert stale.body == b"body" and stale.fields.get(b"age") == b"20"
    assert len(stand.waiting) == 1
    stand.reply(answer(body=b"new"))
    assert stand.get().body == b"new" and len(stand.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_is_stale_is_served_where_the_origin_fails(status: int) -> None:
    stand = Stand(answer((b"cache-control", b"max-age=10, stale-if-error=60")), Response(status))
    stand.get()
    stand.pass_by(20)
    stale = stand.get()
    assert (stale.status, stale.body) == (200, b"body")
    stand.pass_by(60)
    assert stand.get().status == status


def test_grace_is_for_answers_that_do_not_say_it() -> None:
    stand = Stand(answer(), Response(503), rules=Rules(grace=100))
    stand.get()
    stand.pass_by(100)
    assert stand.get().status == 200
    stand.pass_by(100)
    assert stand.get().status == 503


def test_an_origin_that_raises_fails() -> None:
    def raise_it(x: object) -> Response:
        raise RuntimeError("the application is broken")

    stand = Stand(answer((b"cache-control", b"max-age=1, stale-if-error=60")), raise_it)
    stand.get()
    stand.pass_by(5)
    assert stand.get().status == 200
    assert stand.get("/other").status == 500


def test_what_is_purged_is_fetched_anew() -> None:
    stand = Stand(answer((b"cache-tag", b"user:7")))
    for name in (b"all", b"host:example.com", b"url:example.com/a/b", b"path:example.com/a/", b"tag:user:7"):
        stand.get("/a/b")
        stand.get("/a/b")
        asked = len(stand.asked)
        stand.purges.purge(b"tag:other")
        stand.get("/a/b")
        assert len(stand.asked) == asked
        stand.purges.purge(name)
        stand.get("/a/b")
        assert len(stand.asked) == asked + 1, name


def test_what_is_purged_softly_is_confirmed() -> None:
    stand = Stand(answer(ETAG), Response(304, Fields([ETAG])))
    stand.get()
    stand.get()
    stand.purges.purge(b"all", soft=True)
    assert stand.get().body == b"body" and b"if-none-match" in stand.asked[1].request.fields
    assert b"hit" in status_of(stand.get()) and len(stand.asked) == 2


def test_what_was_asked_for_before_a_purge_is_not_used_after_it() -> None:
    stand = Stand(None)
    waiting = stand.send()
    stand.purges.purge(b"all")
    stand.reply(answer())
    assert isinstance(waiting, asyncio.Future) or waiting is not None
    stand.answers = [answer()]
    assert b"uri-miss" in status_of(stand.get()) and len(stand.asked) == 2


def test_requests_with_cookies_get_only_what_says_how_long_it_is_fresh() -> None:
    plain = Response(200, Fields([(b"content-type", b"text/plain")]), b"plain")
    stand = Stand(plain, rules=Rules(ttl=60))
    stand.get()
    assert b"hit" in status_of(stand.get())
    cookie = (b"cookie", b"session=1")
    stand.get("/", cookie)
    stand.get("/", cookie)
    assert len(stand.asked) == 3
    assert b"hit" in status_of(stand.get())
    stand.answers = [answer()]
    stand.get("/said", cookie)
    assert b"hit" in status_of(stand.get("/said", cookie))


def test_cookies_of_the_key_and_those_that_do_not_matter() -> None:
    plain = Response(200, Fields([(b"content-type", b"text/plain")]), b"plain")
    stand = Stand(plain, rules=Rules(ttl=60, cookies_keyed=True), keys=KeyRules())
    stand.get("/", (b"cookie", b"session=1"))
    assert b"hit" in status_of(stand.get("/", (b"cookie", b"session=2")))


def test_credentials_are_nobody_elses() -> None:
    stand = Stand(answer())
    stand.get("/", (b"authorization", b"Basic QQ=="))
    stand.get("/")
    assert len(stand.asked) == 2


def test_an_answer_is_stored_when_it_was_asked_for_often_enough() -> None:
    stand = Stand(answer(), min_uses=3)
    for fetched in (1, 2, 3, 3, 3):
        stand.get()
        assert len(stand.asked) == fetched


def test_freshness_is_spread() -> None:
    stand = Stand(answer(), jitter=0.5, dice=lambda: 1.0)
    stand.get()
    stand.pass_by(29)
    assert b"hit" in status_of(stand.get())
    stand.pass_by(2)
    stand.get()
    assert len(stand.asked) == 2


class Below:
    """A store that has to be awaited."""

    largest = 1 << 30

    def __init__(self) -> None:
        self.answers: dict[bytes, Stored] = {}
        self.looks = 0

    async def get(self, key: bytes) -> Stored | None:
        self.looks += 1
        await asyncio.sleep(0)
        return self.answers.get(key)

    async def put(self, answer: Stored) -> None:
        self.answers[answer.key] = answer

    async def remove(self, key: bytes) -> None:
        self.answers.pop(key, None)


def test_what_is_not_in_memory_is_looked_for_below() -> None:
    async def run() -> None:
        below = Below()
        stand = Stand(answer((b"vary", b"accept")), below=[below])
        assert isinstance(found := stand.send("/", (b"accept", b"a")), asyncio.Future)
        assert b"uri-miss" in status_of(await found)
        await asyncio.sleep(0)
        assert set(below.answers) == set(stand.memory.answers) and len(below.answers) == 2
        stand.memory.answers.clear()
        looks = below.looks
        answers = await asyncio.gather(*[_awaited(stand.send("/", (b"accept", b"a"))) for _ in range(5)])
        assert all(b"hit" in status_of(a) and a.body == b"body" for a in answers)
        assert below.looks - looks == 2, "those who look for the same share one look: for the signpost, for the variant"
        assert set(below.answers) == set(stand.memory.answers) and len(stand.asked) == 1

    asyncio.run(run())


async def _awaited(found: object) -> Response:
    return found if isinstance(found, Response) else await found  # type: ignore[misc, no-any-return]


def test_a_reload_that_forbids_to_store_evicts_nothing() -> None:
    stand = Stand(answer(ETAG), Response(304, Fields([ETAG])), answer(ETAG))
    stand.get()
    assert stand.get("/", (b"cache-control", b"no-cache, no-store")).status == 200
    assert b"hit" in status_of(stand.get()) and len(stand.asked) == 2


def test_what_a_304_sets_is_for_the_client_that_it_was_asked_for() -> None:
    stand = Stand(
        answer(ETAG), Response(304, Fields([ETAG, (b"set-cookie", b"a=1"), (b"cache-control", b"max-age=9")]))
    )
    stand.get()
    stand.pass_by(61)
    assert stand.get().fields.get(b"set-cookie") == b"a=1"
    assert b"set-cookie" not in stand.get().fields


def test_a_cookie_is_for_who_asked_whatever_part_he_wanted() -> None:
    stated = b"cache-control", b'max-age=60, no-cache="set-cookie"'
    stand = Stand(answer(stated, (b"set-cookie", b"a=1"), body=b"0123456789"))
    first = stand.get("/", (b"range", b"bytes=0-2"))
    assert (first.status, first.body, first.fields.get(b"set-cookie")) == (206, b"012", b"a=1")
    again = stand.get("/", (b"range", b"bytes=0-2"))
    assert again.body == b"012" and b"set-cookie" not in again.fields


def test_4_4_an_unsafe_method_invalidates_by_the_rules_of_the_key() -> None:
    stand = Stand(answer(), keys=KeyRules(ignore_query=("utm_*",)))
    stand.get("/a?utm_source=x&b=1")
    stand.get("/a?b=2")
    stand.answers = [Response(204), answer()]
    stand.get("/a?b=1&utm_source=y", method="PUT")
    assert b"hit" in status_of(stand.get("/a?b=2"))
    assert b"hit" not in status_of(stand.get("/a?b=1"))


@pytest.mark.parametrize("shared", [b"all", b"host:example.com", b"path:example.com/"])
def test_4_4_an_unsafe_method_invalidates_no_more_than_addresses(shared: bytes) -> None:
    """Whatever the address, and whoever chose it: what all answers of a host are purged by is out of its reach."""
    alike = next(i for i in count() if not (crc32(b"url:example.com/%d" % i) ^ crc32(shared)) % 65536)
    stand = Stand(answer())
    stand.get("/a")
    stand.answers = [Response(204), answer()]
    stand.get(f"/{alike}", method="PUT")
    assert b"hit" in status_of(stand.get("/a"))
