"""RFC 9111 section 5: the fields; with it RFC 8246, and RFC 9213."""

from __future__ import annotations

import pytest
from tests.cache.making import DAY, NOW, asked, at, kept, lifetime, unkept, used, why

from enfilade.cache.decide import Rules, Use, on_error
from enfilade.cache.stored import Flag

MINUTE = "Cache-Control: max-age=60"
ETAG = 'ETag: "a"'
HUGE = 1 << 31


# -- 1.2.2: delta-seconds


@pytest.mark.parametrize("value", ["2147483648", "2147483649", "99999999999", pytest.param("9" * 5000, id="nines")])
def test_1_2_2_an_overflow_counts_as_2_to_the_31(value: str) -> None:
    assert lifetime(f"Cache-Control: max-age={value}") == HUGE
    assert lifetime(MINUTE, f"Age: {value}") == 60 - HUGE


def test_1_2_2_zeros_in_front_are_no_overflow() -> None:
    assert lifetime("Cache-Control: max-age=" + "0" * 5000 + "60") == 60
    assert lifetime("Cache-Control: max-age=2147483647") == HUGE - 1


# -- 5.1: Age


@pytest.mark.parametrize("value", ["abc", "-7200", "7200.0", "7200;foo=bar", "1 2", "", ",7200", "+5"])
def test_5_1_an_invalid_value_should_be_ignored(value: str) -> None:
    assert lifetime(MINUTE, f"Age: {value}") == 60


@pytest.mark.parametrize(("value", "age"), [("40, 0", 40), ("0, 7200", 0), ("0, 0", 0), ("40,abc", 40), ("40 , 1", 40)])
def test_5_1_the_first_member_of_a_list_should_be_used(value: str, age: int) -> None:
    assert lifetime(MINUTE, f"Age: {value}") == 60 - age


def test_5_1_or_of_several_lines() -> None:
    assert lifetime(MINUTE, "Age: 40", "Age: 0") == 20
    assert lifetime(MINUTE, "Age: 0", "Age: 40") == 60


# -- 5.2: Cache-Control


@pytest.mark.parametrize(
    "value", ["MaX-aGe=60", "foobar, max-age=60", 'a="b, max-age=9", max-age=60', ",, max-age=60 ,", 'max-age="60"']
)
def test_5_2_directives_in_any_case_beside_any_other_and_quoted_or_not(value: str) -> None:
    assert lifetime(f"Cache-Control: {value}") == 60


@pytest.mark.parametrize("value", ['extension="max-age=3600"', "x-max-age=3600", "max-age2=3600", "max_age=3600"])
def test_5_2_what_only_looks_like_a_directive_is_none(value: str) -> None:
    assert unkept(f"Cache-Control: {value}") == "no_freshness"


def test_5_2_3_unrecognised_directives_must_be_ignored() -> None:
    assert kept(f'{MINUTE}, community="UCI", no-stores, privates') == kept(MINUTE)


# -- 5.2.1: request directives


def test_5_2_1_1_max_age() -> None:
    terms = kept(MINUTE, "Age: 20", ETAG)
    assert used(terms, "Cache-Control: max-age=20") is Use.FRESH
    assert used(terms, "Cache-Control: max-age=19") is Use.VALIDATE
    assert used(terms, "Cache-Control: max-age=30", after=11) is Use.VALIDATE
    assert why(terms, "Cache-Control: max-age=0") == "request"
    assert used(terms, "Cache-Control: max-age=x") is Use.VALIDATE


def test_5_2_1_1_nothing_stale_unless_max_stale_is_there_too() -> None:
    terms = kept("Cache-Control: max-age=60, stale-while-revalidate=100")
    assert used(terms, after=70) is Use.REFRESH
    assert used(terms, "Cache-Control: max-age=100", after=70) is Use.VALIDATE
    assert used(terms, "Cache-Control: max-age=100, max-stale=20", after=70) is Use.REFRESH
    assert used(kept(MINUTE), "Cache-Control: max-age=100, max-stale=20", after=70) is Use.STALE


def test_5_2_1_2_max_stale() -> None:
    terms = kept(MINUTE)
    assert used(terms, "Cache-Control: max-stale=10", after=70) is Use.STALE
    assert used(terms, "Cache-Control: max-stale=9", after=70) is Use.VALIDATE
    assert used(terms, "Cache-Control: max-stale", after=1e9) is Use.STALE
    assert used(terms, "Cache-Control: max-stale=x", after=70) is Use.VALIDATE
    assert used(terms, "Cache-Control: max-stale=10") is Use.FRESH


def test_5_2_1_3_min_fresh() -> None:
    terms = kept(MINUTE, "Age: 20")
    assert used(terms, "Cache-Control: min-fresh=40") is Use.FRESH
    assert used(terms, "Cache-Control: min-fresh=41") is Use.VALIDATE
    assert used(terms, "Cache-Control: min-fresh=40", after=1) is Use.VALIDATE
    assert used(terms, "Cache-Control: min-fresh=1, max-stale", after=60) is Use.VALIDATE


def test_5_2_1_4_no_cache() -> None:
    terms = kept("Cache-Control: max-age=60, stale-if-error=60")
    assert used(terms, "Cache-Control: no-cache") is Use.VALIDATE
    assert why(terms, "Cache-Control: no-cache") == "request"
    assert used(terms, "Cache-Control: no-cache, max-stale", after=61) is Use.VALIDATE
    assert not on_error(asked("Cache-Control: no-cache"), terms, NOW)


def test_5_2_1_5_no_store_must_not_be_stored() -> None:
    assert unkept(MINUTE, by=("Cache-Control: no-store",)) == "request_no_store"
    assert unkept("Cache-Control: public, max-age=60", by=("Cache-Control: max-age=5, NO-STORE",)) == "request_no_store"


def test_5_2_1_5_but_may_be_answered_from_what_is_stored() -> None:
    assert used(kept(MINUTE), "Cache-Control: no-store") is Use.FRESH


def test_5_2_1_7_only_if_cached_is_read() -> None:
    assert asked("Cache-Control: Only-If-Cached").only_if_cached
    assert not asked("Cache-Control: no-cache").only_if_cached
    assert used(kept(MINUTE), "Cache-Control: only-if-cached") is Use.FRESH
    assert used(kept(MINUTE), "Cache-Control: only-if-cached", after=60) is Use.VALIDATE


@pytest.mark.parametrize(
    "line",
    [
        "Cache-Control: no-cache", "Cache-Control: max-age=0", "Cache-Control: min-fresh=0", "Pragma: no-cache",
        "If-None-Match: *", "Range: bytes=0-1", "If-Modified-Since: x",
    ],
)  # fmt: skip
def test_a_request_that_wants_it_fresher_or_on_a_condition_does_not_just_get_what_is_fresh(line: str) -> None:
    assert not asked(line).ready


@pytest.mark.parametrize(
    "line",
    [
        "Accept: a/b", "Cache-Control: no-transform, x=y", "Pragma: x", "Cache-Control:", "Cache-Control: no-store",
        "Cache-Control: max-stale", "Cache-Control: only-if-cached", "Cache-Control: stale-if-error=1",
        "Authorization: x", "Cookie: a=b",
    ],
)  # fmt: skip
def test_any_other_does(line: str) -> None:
    assert asked(line).ready
    assert bool(asked(line).bars & Flag.GUESSED) is line.startswith(("Authorization", "Cookie"))


def test_one_entity_tag_stands_alone() -> None:
    assert asked('If-None-Match: "a"').tag == b'"a"'
    assert asked('If-None-Match: "a"', "If-Modified-Since: x").tag == b'"a"', "which then is ignored"
    for lines in (
        ['If-None-Match: "a"', "Range: bytes=0-1"],
        ['If-None-Match: "a"', "Cache-Control: no-cache"],
        ["Range: x"],
    ):
        assert asked(*lines).tag is None


# -- 5.2.2: response directives


def test_5_2_2_1_max_age() -> None:
    terms = kept(MINUTE)
    assert (terms.born, terms.fresh_until, terms.flags) == (NOW, NOW + 60, 0)


@pytest.mark.parametrize("directive", ["must-revalidate", "proxy-revalidate"])
def test_5_2_2_2_and_8_a_stale_response_must_not_be_reused_unvalidated(directive: str) -> None:
    terms = kept(f"{MINUTE}, {directive}", rules=Rules(grace=9, refresh=9))
    assert used(terms, after=59) is Use.FRESH
    assert used(terms, "Cache-Control: max-stale", after=60) is Use.VALIDATE
    assert not on_error(asked("Cache-Control: max-stale, stale-if-error=10"), terms, NOW + 60)


def test_5_2_2_3_who_understands_must_understand_should_ignore_no_store() -> None:
    assert lifetime("Cache-Control: max-age=60, must-understand, no-store") == 60
    assert unkept("Cache-Control: max-age=60, must-understand, no-store", status=599) == "status"


def test_5_2_2_4_no_cache_must_not_be_used_without_validation() -> None:
    terms = kept("Cache-Control: no-cache", ETAG)
    assert terms.flags & Flag.VALIDATE
    assert used(terms) is Use.VALIDATE
    assert used(kept("Cache-Control: No-Cache, max-age=1000", f"Expires: {at(DAY)}", ETAG)) is Use.VALIDATE
    assert used(kept('Cache-Control: no-cache="", max-age=1000', ETAG)) is Use.VALIDATE


@pytest.mark.parametrize("argument", ['"a"', '"a, b"', "a"])
def test_5_2_2_4_the_qualified_form_may_be_used_without_those_fields(argument: str) -> None:
    assert used(kept(f"Cache-Control: no-cache={argument}, max-age=60")) is Use.FRESH


def test_5_2_2_5_no_store_must_not_be_stored() -> None:
    assert unkept(f"{MINUTE}, no-store", f"Expires: {at(DAY)}") == "no_store"


def test_5_2_2_7_private_must_not_be_stored() -> None:
    assert unkept(f"{MINUTE}, private") == "private"


def test_5_2_2_9_public_allows_a_heuristic_and_authorization() -> None:
    modified = f"Last-Modified: {at(-100)}"
    assert lifetime("Cache-Control: public", modified, status=599) == 10
    assert not kept("Cache-Control: public", modified, by=("Authorization: x",)).flags & Flag.GUESSED


def test_5_2_2_9_public_without_anything_to_guess_from_is_not_stored() -> None:
    assert unkept("Cache-Control: public") == "no_freshness"


def test_5_2_2_10_s_maxage_overrides_max_age_and_expires() -> None:
    assert lifetime("Cache-Control: s-maxage=5, max-age=60", f"Expires: {at(70)}") == 5


def test_5_2_2_10_and_must_not_be_reused_stale() -> None:
    terms = kept("Cache-Control: s-maxage=5")
    assert terms.flags & Flag.STRICT
    assert used(terms, "Cache-Control: max-stale", after=5) is Use.VALIDATE


# -- 5.3: Expires


@pytest.mark.parametrize(
    "value", ["0", "", "-1", "soon", "Thu, 18 Aug 2050 02:01:18 AEST", "Thu, 32 Aug 2050 02:01:18 GMT"]
)
def test_5_3_an_invalid_date_is_in_the_past(value: str) -> None:
    assert lifetime(f"Expires: {value}", f"Last-Modified: {at(-DAY)}") == 0


@pytest.mark.parametrize(
    "value", ["Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050", "Thu, 18 Aug 2050 02:01:18 GMT"]
)
def test_5_3_each_form_of_a_date_is_read(value: str) -> None:
    assert lifetime(f"Expires: {value}") > 0


@pytest.mark.parametrize("directive", ["max-age=60", "s-maxage=60"])
@pytest.mark.parametrize("value", ["0", at(-100), at(1000)])
def test_5_3_must_be_ignored_where_cache_control_says_it(directive: str, value: str) -> None:
    assert lifetime(f"Cache-Control: {directive}", f"Expires: {value}") == 60


# -- 5.4: Pragma


def test_5_4_pragma_is_heard_where_cache_control_is_absent() -> None:
    assert used(kept(MINUTE), "Pragma: no-cache") is Use.VALIDATE
    assert used(kept(MINUTE), "Pragma: no-cache", "Cache-Control: max-age=60") is Use.FRESH
    assert used(kept(MINUTE), "Pragma: x") is Use.FRESH


def test_5_4_in_a_response_it_means_nothing() -> None:
    assert kept(MINUTE, "Pragma: no-cache") == kept(MINUTE)


# -- RFC 8246: immutable


def test_8246_a_reload_does_not_validate_what_is_immutable_and_fresh() -> None:
    terms = kept(f"{MINUTE}, immutable")
    assert used(terms, "Cache-Control: max-age=0", after=59) is Use.FRESH
    assert used(terms, "Cache-Control: max-age=0", after=60) is Use.VALIDATE
    assert used(terms, "Cache-Control: no-cache", after=59) is Use.VALIDATE


# -- RFC 9213: targeted cache control


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("max-age=5", 5), ("max-age=2147483648", HUGE), ("max-age=99999999999", HUGE), ("foobar, max-age=5", 5),
        ("max-age=5;x=1", 5),        ("max-age=0", 0), ("max-age=-5", 0), ("max-age=5, s-maxage=6", 6),
    ],
)  # fmt: skip
def test_9213_the_targeted_field_replaces_cache_control_and_expires(target: str, left: int) -> None:
    lines = (f"CDN-Cache-Control: {target}", "Cache-Control: no-store, private", f"Expires: {at(1000)}")
    assert lifetime(*lines) == left


def test_9213_each_of_its_directives_must_be_obeyed() -> None:
    assert unkept("CDN-Cache-Control: no-store", MINUTE) == "no_store"
    assert unkept("CDN-Cache-Control: private, max-age=9", MINUTE) == "private"
    assert used(kept("CDN-Cache-Control: no-cache", MINUTE, ETAG)) is Use.VALIDATE
    assert kept("CDN-Cache-Control: max-age=9, must-revalidate").flags & Flag.STRICT


def test_9213_without_a_lifetime_expires_is_ignored_all_the_same() -> None:
    assert unkept("CDN-Cache-Control: foobar", MINUTE, f"Expires: {at(100)}") == "no_freshness"


@pytest.mark.parametrize(
    "target",
    [
        "max-age=5, &&&&&",
        'max-age="5"',
        "max-age=5.0",
        "max-age",
        "MaX-aGe=5",
        "max-age =5",
        "max-age= 5",
        "",
        "max-age=5,",
        "no-store=?0,",
    ],
)
def test_9213_an_invalid_or_empty_one_must_be_ignored(target: str) -> None:
    assert lifetime(f"CDN-Cache-Control: {target}", MINUTE) == 60


def test_9213_the_first_valid_one_of_the_target_list_counts() -> None:
    rules = Rules(targets=(b"our-cache-control", b"cdn-cache-control"))
    assert lifetime("CDN-Cache-Control: max-age=5", "Our-Cache-Control: max-age=6", MINUTE, rules=rules) == 6
    assert lifetime("CDN-Cache-Control: max-age=5", "Our-Cache-Control: max-age", MINUTE, rules=rules) == 5
    assert lifetime("CDN-Cache-Control: max-age=5", MINUTE, rules=Rules(targets=())) == 60


def test_9213_false_is_as_absent() -> None:
    assert lifetime("CDN-Cache-Control: max-age=5, no-store=?0") == 5
