"""RFC 9111 section 3: which answers are stored, and what of them."""

from __future__ import annotations

import pytest
from tests.cache.making import RULES, at, fields, kept, lifetime, unkept

from enfilade.cache.decide import HEURISTIC, UNDERSTOOD, Rules
from enfilade.cache.freshen import freshened, stored_fields
from enfilade.cache.stored import Flag

MAX_AGE = "Cache-Control: max-age=60"
LONG_AGO = f"Last-Modified: {at(-10_000)}"


# -- 3: a cache MUST NOT store a response unless


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "M-SEARCH", "get"])
def test_3_the_request_method_is_understood(method: str) -> None:
    assert unkept(MAX_AGE, method=method) == "request_method"


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_3_the_status_is_final(status: int) -> None:
    assert unkept(MAX_AGE, status=status) == "status"


@pytest.mark.parametrize(("status", "reason"), [(206, "partial_answer"), (304, "status")])
def test_3_a_206_or_304_is_understood(status: int, reason: str) -> None:
    assert unkept(MAX_AGE, status=status) == reason


@pytest.mark.parametrize("status", [412, 416])
def test_3_what_answers_one_request_s_condition_is_not_stored(status: int) -> None:
    assert unkept(MAX_AGE, status=status) == "status"


@pytest.mark.parametrize(
    "status", [200, 201, 203, 204, 299, 300, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 503, 599]
)
def test_3_an_explicit_lifetime_is_enough_for_any_other_status(status: int) -> None:
    assert lifetime(MAX_AGE, status=status) == 60


@pytest.mark.parametrize("status", sorted(UNDERSTOOD))
def test_3_must_understand_with_a_status_that_is_understood(status: int) -> None:
    assert lifetime("Cache-Control: max-age=60, must-understand", status=status) == 60


@pytest.mark.parametrize("status", [206, 226, 299, 400, 499, 599])
def test_3_must_understand_with_a_status_that_is_not(status: int) -> None:
    assert unkept("Cache-Control: max-age=60, must-understand", status=status) in ("status", "partial_answer")


@pytest.mark.parametrize(
    "value", ["no-store", "max-age=60, no-store", "NO-Store", "no-store=1", "public, no-store", "no-store ,"]
)
def test_3_no_store_is_absent(value: str) -> None:
    assert unkept(f"Cache-Control: {value}") == "no_store"


@pytest.mark.parametrize(
    "value", ["private, max-age=60", "max-age=60, PRIVATE", 'private="", max-age=60', "public, private, max-age=9"]
)
def test_3_private_is_absent(value: str) -> None:
    assert unkept(f"Cache-Control: {value}") == "private"


def test_3_or_private_allows_the_answer_without_some_fields() -> None:
    line = 'Cache-Control: max-age=60, private="x-user, Set-Cookie"'
    assert lifetime(line, "Set-Cookie: a=b") == 60
    assert stored_fields(fields(line, "X-User: me", "X-Other: 1", "Set-Cookie: a=b"), RULES) == fields(
        line, "X-Other: 1"
    )


@pytest.mark.parametrize("value", ["max-age=60", "max-age=60, proxy-revalidate", "max-age=60, no-cache"])
def test_3_authorization_is_absent(value: str) -> None:
    assert unkept(f"Cache-Control: {value}", by=("Authorization: Basic eDp5",)) == "request_authorization"
    assert unkept(f"Cache-Control: {value}", by=("Client-Cert: :eA==:",)) == "request_authorization", (
        "RFC 9440 section 3"
    )


@pytest.mark.parametrize("status", [200, 201, 302, 404, 503, 599])
@pytest.mark.parametrize(
    "lines", [("Cache-Control: max-age=9",), ("Cache-Control: s-maxage=9",), (f"Expires: {at(9)}",)]
)
def test_3_something_says_how_long_it_is_fresh(status: int, lines: tuple[str, ...]) -> None:
    assert lifetime(*lines, status=status) == 9


@pytest.mark.parametrize("status", [200, 599])
def test_3_or_public(status: int) -> None:
    assert lifetime("Cache-Control: public", LONG_AGO, status=status) == 1000


@pytest.mark.parametrize("status", sorted(HEURISTIC))
def test_3_or_the_status_is_heuristically_cacheable(status: int) -> None:
    assert lifetime(LONG_AGO, status=status) == 1000


@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 400, 401, 403, 500, 502, 503, 504, 599])
def test_3_any_other_answer_is_not_stored(status: int) -> None:
    assert unkept(LONG_AGO, status=status) == "no_freshness"
    assert unkept(LONG_AGO, status=status, rules=Rules(ttl=60)) == "no_freshness"


def test_3_nothing_useful_is_not_stored() -> None:
    assert unkept() == "no_freshness"
    assert unkept('ETag: "a"') == "no_freshness"
    assert unkept("Cache-Control: max-age=0") == "stale_already"
    assert unkept("Cache-Control: no-cache, max-age=60") == "stale_already"
    assert unkept("Cache-Control: max-age=60", "Age: 60") == "stale_already"


# -- 3.1: storing header fields


def test_3_1_all_fields_are_stored_known_or_not() -> None:
    everything = fields(
        "Date: " + at(0), "X-Unheard-Of: 1", "X-Unheard-Of: 2", "Content-Type: a/b", "Link: </>", "Set-Cookie2: a=b",
        "Content-Encoding: br", "Cache-Status: other; hit", "Warning: 1", "Content-Security-Policy: x",
    )  # fmt: skip
    assert stored_fields(everything, RULES) == everything


def test_3_1_connection_and_what_it_lists_is_not_stored() -> None:
    assert stored_fields(fields("Connection: a, B", "A: 1", "b: 2", "c: 3"), RULES) == fields("c: 3")


@pytest.mark.parametrize(
    "name",
    [
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "age",
        "content-length",
        "set-cookie",
    ],
)
def test_3_1_what_is_forwarded_by_nobody_is_not_stored(name: str) -> None:
    assert not len(stored_fields(fields(f"{name}: 1"), RULES))


@pytest.mark.parametrize("name", ["proxy-authenticate", "proxy-authentication-info", "proxy-authorization"])
def test_3_1_what_is_for_one_proxy_must_not_be_stored(name: str) -> None:
    assert not len(stored_fields(fields(f"{name}: 1"), RULES))


def test_3_1_what_no_cache_and_private_list_is_not_stored() -> None:
    lines = ('Cache-Control: no-cache="a, B", private="c", max-age=1', "A: 1", "b: 2", "c: 3", "d: 4")
    assert stored_fields(fields(*lines), RULES) == fields(lines[0], "d: 4")


def test_3_1_those_of_the_targeted_field_where_there_is_one() -> None:
    lines = ('CDN-Cache-Control: private="a", max-age=1', 'Cache-Control: private="b"', "A: 1", "b: 2")
    assert stored_fields(fields(*lines), RULES) == fields(lines[0], lines[1], "b: 2")


# -- 3.2: updating stored header fields


def test_3_2_each_field_of_the_update_replaces_all_of_its_name() -> None:
    stored = fields("A: 1", "B: 2", "A: 3", "Content-Type: x/y")
    assert freshened(stored, fields("a: 4", "C: 5", "C: 6"), RULES) == fields(
        "B: 2", "Content-Type: x/y", "a: 4", "C: 5", "C: 6"
    )


@pytest.mark.parametrize("name", ["connection", "set-cookie", "proxy-authenticate", "transfer-encoding", "keep-alive"])
def test_3_2_what_is_not_stored_is_not_updated(name: str) -> None:
    assert freshened(fields("A: 1"), fields(f"{name}: 1"), RULES) == fields("A: 1")


@pytest.mark.parametrize("name", ["content-encoding", "content-range", "content-md5", "content-digest"])
def test_3_2_what_the_stored_body_depends_on_is_not_updated(name: str) -> None:
    assert freshened(fields(f"{name}: 1"), fields(f"{name}: 2"), RULES) == fields(f"{name}: 1")


def test_3_2_content_length_is_not_updated() -> None:
    assert freshened(fields("A: 1"), fields("Content-Length: 0"), RULES) == fields("A: 1")


# -- 3.3: incomplete responses


def test_3_3_partial_answers_are_not_stored() -> None:
    assert unkept(MAX_AGE, "Content-Range: bytes 0-4/10", status=206) == "partial_answer"


# -- 3.5: authenticated requests


@pytest.mark.parametrize("directive", ["public", "s-maxage=60", "must-revalidate"])
def test_3_5_authorization_needs_public_s_maxage_or_must_revalidate(directive: str) -> None:
    terms = kept(f"Cache-Control: max-age=60, {directive}", by=("Authorization: Basic eDp5",))
    assert terms.flags & Flag.AUTHORIZED
    assert not terms.flags & Flag.GUESSED


def test_3_5_and_the_requirements_of_that_directive_are_kept() -> None:
    terms = kept(
        "Cache-Control: max-age=60, must-revalidate", by=("Authorization: Basic eDp5",), rules=Rules(grace=9, refresh=9)
    )
    assert terms.flags & Flag.STRICT
    assert terms.fresh_until == terms.stale_while == terms.stale_error


def test_3_5_a_guess_is_not_enough() -> None:
    assert unkept(LONG_AGO, by=("Authorization: x",), rules=Rules(ttl=60)) == "request_authorization"
    assert unkept("Cache-Control: must-revalidate", LONG_AGO, by=("Authorization: x",)) == "request_authorization"
    assert kept("Cache-Control: public", LONG_AGO, by=("Authorization: x",)).flags & Flag.AUTHORIZED
