"""RFC 9111 sections 4, 4.1 and 4.2: when a stored answer may be used."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cache.making import DAY, NOW, asked, at, fields, kept, lifetime, unkept, used, why

from enfilade.cache.decide import Rules, Use, on_error
from enfilade.cache.vary import signpost_names, variant_key

HEURISTIC = f"Last-Modified: {at(-10 * DAY)}"
ETAG = 'ETag: "a"'


# -- 4: a cache MUST NOT reuse a stored response unless


def test_4_it_is_fresh() -> None:
    terms = kept("Cache-Control: max-age=60", "Set-Nothing: 1")
    assert (used(terms, after=59.9), why(terms, after=59.9)) == (Use.FRESH, "hit")
    assert (used(terms, after=60), why(terms, after=60)) == (Use.VALIDATE, "stale")


def test_4_or_allowed_to_be_served_stale() -> None:
    terms = kept("Cache-Control: max-age=60")
    assert (used(terms, "Cache-Control: max-stale", after=1e6), why(terms, "Cache-Control: max-stale", after=61)) == (
        Use.STALE,
        "stale_allowed",
    )


def test_4_it_does_not_contain_no_cache() -> None:
    terms = kept("Cache-Control: no-cache, max-age=60", ETAG)
    assert (used(terms), why(terms)) == (Use.VALIDATE, "must_validate")
    assert used(terms, "Cache-Control: max-stale") is Use.VALIDATE
    assert not on_error(asked(), terms, NOW)


def test_4_the_method_allows_it() -> None:
    """Only answers to GET are stored; a HEAD can use them as well."""
    assert unkept("Cache-Control: max-age=60", method="HEAD") == "request_method"


# -- 4.1: Vary


@pytest.mark.parametrize("value", ["*", "*, *", ", *", "*, Foo", "Foo, *", "foo,*,bar"])
def test_4_1_a_star_always_fails_to_match(value: str) -> None:
    assert signpost_names(fields(f"Vary: {value}")) is None
    assert unkept(f"Vary: {value}", "Cache-Control: max-age=60") == "vary_star"


def test_4_1_a_star_on_another_line() -> None:
    assert signpost_names(fields("Vary:", "Vary: *")) is None


def key(names: str, *lines: str) -> bytes:
    nominated = signpost_names(fields(f"Vary: {names}"))
    assert nominated is not None
    return variant_key(b"primary", nominated, fields(*lines))


def test_4_1_all_nominated_fields_must_match() -> None:
    assert key("Foo, Bar", "Foo: 1", "Bar: 2", "Baz: 3") == key("bar, foo, bar", "Bar: 2", "Foo: 1", "Baz: 4")
    assert key("Foo, Bar", "Foo: 1", "Bar: 2") != key("Foo, Bar", "Foo: 2", "Bar: 2")
    assert key("Foo, Bar", "Foo: 1", "Bar: 2") != key("Foo, Bar", "Foo: 2", "Bar: 1")


def test_4_1_an_absent_field_matches_only_where_it_is_absent() -> None:
    assert key("Foo, Bar", "Foo: 1") == key("Foo, Bar", "Foo: 1", "Baz: 1")
    assert key("Foo", "Foo:") != key("Foo")
    assert key("Foo, Bar", "Foo: 1") != key("Foo, Bar", "Bar: 1")


def test_4_1_whitespace_may_be_added_or_removed() -> None:
    assert key("Foo", "Foo: 1,2") == key("Foo", "Foo:  1 ,\t2 ")
    assert key("Foo", "Foo: 1 2") != key("Foo", "Foo: 12")


def test_4_1_but_not_where_the_syntax_gives_it_a_meaning() -> None:
    assert key("Foo", 'Foo: "1, 2"') != key("Foo", 'Foo: "1,2"')
    assert key("Cookie", "Cookie: a=1, 2") != key("Cookie", "Cookie: a=1,2")
    assert key("User-Agent", "User-Agent: (a, b)") != key("User-Agent", "User-Agent: (a,b)")


def test_4_1_lines_of_one_name_may_be_combined() -> None:
    assert key("Foo", "Foo: 1, 2") == key("Foo", "Foo: 1", "Foo: 2")


def test_4_1_a_long_value_makes_no_long_key() -> None:
    agents = [key("User-Agent", f"User-Agent: {'x' * 10_000}{i}") for i in (1, 2)]
    assert agents[0] != agents[1]
    assert max(map(len, agents)) < 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("gzip, br", "br,gzip", True),
        ("GZip;q=1.0, deflate, br", "br;q=0.5, gzip ; q=0.2, deflate", True),
        ("gzip, br;q=0", "gzip", True),
        ("x-gzip", "gzip", True),
        ("gzip, identity", "gzip", True),
        ("gzip", "gzip, br", False),
        ("gzip, deflate", "gzip", False),
        ("gzip, identity;q=0", "gzip", False),
        ("gzip, *;q=0", "gzip, identity;q=0", True),
        ("gzip, *;q=0", "gzip, identity, *;q=0", False),
        ("*", "*, br;q=0", False),
        ("", "identity", True),
        ("=identity", "identity;q=0", False),
        ("gzip;q=2", "", False),
        ("gzip;q=abc", "br;q=abc", False),
        (",".join(f"a{i}" for i in range(64)), ",".join(f"a{i}" for i in range(65)), False),
        ("gzip," + "a" * 600, "br," + "a" * 600, False),
    ],
)
def test_4_1_accept_encoding_is_normalised(one: str, other: str, same: bool) -> None:
    keys = key("Accept-Encoding", f"Accept-Encoding: {one}"), key("Accept-Encoding", f"Accept-Encoding: {other}")
    assert (keys[0] == keys[1]) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("en, de", "de, en", True),
        ("en, de", "eN ,   De", True),
        ("en, de;q=0.8", "de;q=0.5,en;q=0.9", True),
        ("en, de;q=0.8", "de, en;q=0.8", False),
        ("en, de", "en, de;q=0.8", False),
        ("en", "en-GB", False),
        ("en, de;q=0", "en", False),
        ("de;q=0", "de", False),
        ("en;q=x", "de;q=x", False),
    ],
)
def test_4_1_accept_language_is_normalised(one: str, other: str, same: bool) -> None:
    keys = key("Accept-Language", f"Accept-Language: {one}"), key("Accept-Language", f"Accept-Language: {other}")
    assert (keys[0] == keys[1]) is same


# -- 4.2.1: freshness lifetime


def test_4_2_1_s_maxage_before_max_age_before_expires() -> None:
    expires = f"Expires: {at(30)}"
    assert lifetime("Cache-Control: max-age=20, s-maxage=10", expires) == 10
    assert lifetime("Cache-Control: max-age=20", "Cache-Control: s-maxage=100", expires) == 100
    assert lifetime("Cache-Control: max-age=20", expires) == 20
    assert lifetime(expires) == 30
    assert lifetime("Cache-Control: max-age=0", expires) == 0
    assert lifetime("Cache-Control: s-maxage=0, max-age=10", expires) == 0
    assert lifetime("Cache-Control: s-maxage=10, max-age=0", f"Expires: {at(-30)}") == 10


def test_4_2_1_expires_less_date() -> None:
    assert lifetime(f"Expires: {at(500)}", f"Date: {at(400)}") == 100
    assert lifetime(f"Expires: {at(500)}", "Date: foo") == 500
    assert lifetime(f"Expires: {at(300)}", f"Date: {at(400)}") == 0


def test_4_2_1_of_two_the_first_counts() -> None:
    assert lifetime("Cache-Control: max-age=10, max-age=20") == 10
    assert lifetime("Cache-Control: max-age=20", "Cache-Control: max-age=10") == 20


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, str.swapcase])
@pytest.mark.parametrize("form", [at(30), "Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug  8 02:01:18 2050"])
def test_4_2_the_case_of_dates_does_not_matter(form: str, change: Callable[[str], str]) -> None:
    said = lifetime(f"Expires: {form}", f"Date: {at(0)}")
    assert lifetime(f"Expires: {change(form)}", f"Date: {change(at(0))}") == said > 0
    modified = f"Last-Modified: {change(at(-10 * DAY))}"
    assert lifetime(modified) == lifetime(HEURISTIC) == DAY


@pytest.mark.parametrize("zone", ["UTC", "AEST", "+0000", "Z", ""])
def test_4_2_only_gmt_is_a_zone(zone: str) -> None:
    assert lifetime(f"Expires: {at(30).replace('GMT', zone)}") == 0


def test_4_2_1_two_expires_are_stale() -> None:
    assert lifetime(f"Expires: {at(10)}", f"Expires: {at(20)}") == 0


def test_4_2_1_the_most_restrictive_of_directives_in_conflict() -> None:
    assert unkept("Cache-Control: public, no-store, max-age=60") == "no_store"
    assert used(kept("Cache-Control: max-age=60, no-cache", ETAG)) is Use.VALIDATE
    assert used(kept('Cache-Control: max-age=60, no-cache="a", no-cache', ETAG)) is Use.VALIDATE
    assert used(kept('Cache-Control: max-age=60, no-cache, no-cache="a"', ETAG)) is Use.VALIDATE


@pytest.mark.parametrize("value", ["-1", "abc", "10.0", "1e3", "", "'60'", "60a", " 60", "0x10", '"60', "+60", "６０"])
def test_4_2_1_an_invalid_lifetime_is_stale(value: str) -> None:
    line = b"max-age=" + value.encode()
    assert lifetime("Cache-Control: " + line.decode("latin-1"), f"Expires: {at(100)}", HEURISTIC) == 0


@pytest.mark.parametrize("line", ["max-age", "max-age =60", "max-age= 60", "s-maxage, max-age=60"])
def test_4_2_1_nor_has_one_without_or_apart_from_its_argument(line: str) -> None:
    assert lifetime(f"Cache-Control: {line}", HEURISTIC) == 0


# -- 4.2.2: heuristics


def test_4_2_2_a_tenth_of_the_time_since_it_was_modified_and_a_day_at_most() -> None:
    assert lifetime(f"Last-Modified: {at(-1000)}") == 100
    assert lifetime(f"Last-Modified: {at(-1000)}", f"Date: {at(-100)}") == -10  # 90 seconds, 100 of them gone
    assert lifetime(f"Last-Modified: {at(-1000 * DAY)}") == DAY
    assert lifetime(f"Last-Modified: {at(1000)}") == 0


@pytest.mark.parametrize("line", ["Cache-Control: max-age=5", "Cache-Control: s-maxage=5", f"Expires: {at(5)}"])
def test_4_2_2_must_not_be_used_where_an_expiration_is_explicit(line: str) -> None:
    assert lifetime(line, HEURISTIC) == lifetime(line, rules=Rules(ttl=100)) == 5
    assert lifetime("Expires: 0", HEURISTIC, rules=Rules(ttl=100)) == 0


def test_4_2_2_nor_for_a_status_that_is_not_defined_to_be_cacheable_so() -> None:
    assert unkept(HEURISTIC, status=302) == "no_freshness"
    assert lifetime(HEURISTIC, "Cache-Control: public", status=302) == DAY


# -- 4.2.3: age


def test_4_2_3_the_age_that_the_answer_says() -> None:
    assert lifetime("Cache-Control: max-age=60", "Age: 20") == 40
    assert lifetime("Cache-Control: max-age=60", "Age: 7200") == 60 - 7200


def test_4_2_3_the_time_since_its_date_if_that_is_more() -> None:
    assert lifetime("Cache-Control: max-age=60", f"Date: {at(-50)}", "Age: 20") == 10
    assert lifetime("Cache-Control: max-age=60", f"Date: {at(-10)}", "Age: 20") == 40
    assert lifetime("Cache-Control: max-age=60", f"Date: {at(1000)}") == 60
    assert lifetime("Cache-Control: max-age=60", "Date: yesterday") == 60


def test_4_2_3_the_delay_of_the_answer_is_part_of_its_age() -> None:
    assert lifetime("Cache-Control: max-age=60", "Age: 20", took=5) == 35
    assert lifetime("Cache-Control: max-age=60", took=5) == 55


# -- 4.2.4: stale responses


STALE_OK = "stale-while-revalidate=100, stale-if-error=100"


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate", "no-cache"])
def test_4_2_4_must_not_be_served_where_a_directive_prohibits_it(directive: str) -> None:
    terms = kept(f"Cache-Control: max-age=10, {STALE_OK}, {directive}", ETAG, rules=Rules(grace=100, refresh=100))
    assert used(terms, after=10) is Use.VALIDATE
    assert used(terms, "Cache-Control: max-stale", after=10) is Use.VALIDATE
    assert not on_error(asked(), terms, NOW + 10)
    assert not on_error(asked("Cache-Control: stale-if-error=100"), terms, NOW + 10)


def test_4_2_4_s_maxage_prohibits_it_too() -> None:
    terms = kept("Cache-Control: s-maxage=10", rules=Rules(grace=100, refresh=100))
    assert used(terms, "Cache-Control: max-stale", after=10) is Use.VALIDATE
    assert not on_error(asked(), terms, NOW + 10)


def test_4_2_4_unless_the_origin_allows_it_by_name() -> None:
    terms = kept(f"Cache-Control: s-maxage=10, {STALE_OK}")
    assert used(terms, after=10) is Use.REFRESH
    assert on_error(asked(), terms, NOW + 10)


def test_4_2_4_must_not_be_served_where_nothing_permits_it() -> None:
    terms = kept("Cache-Control: max-age=10")
    assert used(terms, after=10) is Use.VALIDATE
    assert not on_error(asked(), terms, NOW + 10)


def test_4_2_4_the_client_may_permit_it() -> None:
    terms = kept("Cache-Control: max-age=10")
    assert used(terms, "Cache-Control: max-stale=5", after=15) is Use.STALE
    assert used(terms, "Cache-Control: max-stale=5", after=15.1) is Use.VALIDATE


def test_4_2_4_the_origin_may_permit_it() -> None:
    terms = kept("Cache-Control: max-age=10, stale-while-revalidate=5, stale-if-error=20")
    assert (used(terms, after=14), why(terms, after=14)) == (Use.REFRESH, "stale_refreshing")
    assert used(terms, after=15) is Use.VALIDATE
    assert on_error(asked(), terms, NOW + 29)
    assert not on_error(asked(), terms, NOW + 30)


def test_4_2_4_the_configuration_may_permit_it_where_the_origin_says_nothing() -> None:
    rules = Rules(grace=20, refresh=5)
    terms = kept("Cache-Control: max-age=10", rules=rules)
    assert used(terms, after=14) is Use.REFRESH
    assert on_error(asked(), terms, NOW + 29)
    terms = kept("Cache-Control: max-age=10, stale-if-error=0, stale-while-revalidate=0", rules=rules)
    assert used(terms, after=10) is Use.VALIDATE
    assert not on_error(asked(), terms, NOW + 10)


def test_4_2_4_an_error_is_not_worth_it() -> None:
    terms = kept("Cache-Control: max-age=10", status=503, rules=Rules(grace=20, refresh=5))
    assert terms.fresh_until == terms.stale_while == terms.stale_error
