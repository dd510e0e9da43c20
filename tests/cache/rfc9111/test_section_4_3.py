"""RFC 9111 section 4.3: validation."""

from __future__ import annotations

import pytest
from tests.cache.making import NOW, RULES, at, fields, kept, request

from enfilade.cache.decide import read_request
from enfilade.cache.freshen import (
    answer_precondition,
    fetching_fields,
    freshened,
    is_head_of,
    is_same,
    renewed,
    validating_fields,
)
from enfilade.cache.reasons import CacheReason
from enfilade.cache.stored import Terms
from enfilade.http.conditionals import CONDITIONAL, Verdict

ETAG = 'ETag: "a"'
MODIFIED = f"Last-Modified: {at(-1000)}"


# -- 4.3.1: sending a validation request


def test_4_3_1_the_entity_tag_must_be_sent_and_last_modified_should() -> None:
    asked = fields("Accept: a/b", "Abc: 123")
    assert validating_fields(asked, fields(ETAG, MODIFIED)) == asked.adding(
        (b"if-none-match", b'"a"'), (b"if-modified-since", at(-1000).encode())
    )
    assert validating_fields(asked, fields('ETag: W/"a"')) == asked.adding((b"if-none-match", b'W/"a"'))
    assert validating_fields(asked, fields(MODIFIED)) == asked.adding((b"if-modified-since", at(-1000).encode()))


def test_4_3_1_without_a_validator_there_is_none() -> None:
    assert validating_fields(fields("Accept: a/b"), fields("Content-Type: a/b")) is None
    assert validating_fields(fields("Accept: a/b"), fields("ETag:", "Last-Modified: yesterday")) is None


def test_4_3_1_they_stand_in_place_of_the_client_s_conditions() -> None:
    asked = fields('If-None-Match: "b"', 'If-Range: "b"', "Range: bytes=0-1", "If-Modified-Since: x", "Accept: a/b")
    assert validating_fields(asked, fields(ETAG)) == fields("Accept: a/b", 'If-None-Match: "a"')


@pytest.mark.parametrize("name", sorted(CONDITIONAL))
def test_4_3_1_what_is_fetched_to_be_stored_is_fetched_whole(name: bytes) -> None:
    assert fetching_fields(fields(f"{name.decode()}: 1", "Accept: a/b")) == fields("Accept: a/b")


def test_4_3_1_fields_without_conditions_are_sent_on_as_they_are() -> None:
    asked = fields("Accept: a/b")
    assert fetching_fields(asked) is asked


# -- 4.3.2: handling a received validation request


def verdict(*lines: str, stored: tuple[str, ...] = (ETAG, MODIFIED), method: str = "GET", status: int = 200) -> Verdict:
    terms = Terms(NOW - 5, NOW + 60, NOW + 60, NOW + 60)
    return answer_precondition(request(*lines, method=method), status, fields(*stored), terms)


SAME, PROCEED, WHOLE = Verdict.NOT_MODIFIED, Verdict.PROCEED, Verdict.IGNORE_RANGE


@pytest.mark.parametrize("value", ['"a"', 'W/"a"', '"b", "a", "c"', "*"])
def test_4_3_2_if_none_match_should_be_evaluated(value: str) -> None:
    assert verdict(f"If-None-Match: {value}") is SAME
    assert verdict(f"If-None-Match: {value}", stored=('ETag: W/"a"',)) is SAME
    assert verdict(f"If-None-Match: {value}", method="HEAD") is SAME


def test_4_3_2_if_none_match_before_if_modified_since() -> None:
    assert verdict('If-None-Match: "b"', f"If-Modified-Since: {at(0)}") is PROCEED
    assert verdict('If-None-Match: "a"', f"If-Modified-Since: {at(-5000)}") is SAME


def test_4_3_2_if_modified_since_against_last_modified() -> None:
    assert verdict(f"If-Modified-Since: {at(-1000)}") is SAME
    assert verdict(f"If-Modified-Since: {at(-500)}") is SAME
    assert verdict(f"If-Modified-Since: {at(-1001)}") is PROCEED


def test_4_3_2_or_else_against_date() -> None:
    stored = (f"Date: {at(-100)}",)
    assert verdict(f"If-Modified-Since: {at(-100)}", stored=stored) is SAME
    assert verdict(f"If-Modified-Since: {at(-101)}", stored=stored) is PROCEED


def test_4_3_2_or_else_against_the_time_at_which_it_came() -> None:
    assert verdict(f"If-Modified-Since: {at(-5)}", stored=()) is SAME
    assert verdict(f"If-Modified-Since: {at(-6)}", stored=()) is PROCEED


@pytest.mark.parametrize("line", ['If-Match: "b"', f"If-Unmodified-Since: {at(-5000)}"])
def test_4_3_2_if_match_and_if_unmodified_since_are_not_for_caches(line: str) -> None:
    assert verdict(line) is PROCEED
    assert verdict(line, 'If-None-Match: "a"') is SAME


@pytest.mark.parametrize("status", [301, 404, 410, 500])
def test_4_3_2_only_answers_of_200_are_held_against_conditions(status: int) -> None:
    assert verdict("If-None-Match: *", "Range: bytes=0-1", status=status) is WHOLE


def test_4_3_2_if_range_is_evaluated() -> None:
    assert verdict("Range: bytes=0-1", 'If-Range: "a"') is PROCEED
    assert verdict("Range: bytes=0-1", 'If-Range: "b"') is WHOLE
    assert verdict("Range: bytes=0-1", f"If-Range: {at(-1000)}") is PROCEED
    assert verdict("Range: bytes=0-1", f"If-Range: {at(-999)}") is WHOLE


def test_4_3_2_a_date_is_no_validator_for_if_range() -> None:
    assert verdict("Range: bytes=0-1", f"If-Range: {at(-100)}", stored=(f"Date: {at(-100)}",)) is WHOLE
    assert verdict("Range: bytes=0-1", f"If-Range: {at(-5)}", stored=()) is WHOLE
    assert verdict("Range: bytes=0-1", stored=()) is PROCEED


# -- 4.3.4: freshening stored responses upon validation


@pytest.mark.parametrize(
    ("stored", "new", "same"),
    [
        # a strong validator identifies
        (ETAG, ETAG, True),
        (ETAG, 'ETag: "b"', False),
        ('ETag: W/"a"', ETAG, False),
        # a weak one, by weak comparison
        ('ETag: W/"a"', 'ETag: W/"a"', True),
        (ETAG, 'ETag: W/"a"', True),
        (ETAG, 'ETag: W/"b"', False),
        # Last-Modified
        (MODIFIED, MODIFIED, True),
        (MODIFIED, f"Last-Modified: {at(-999)}", False),
        (ETAG, MODIFIED, False),
        (MODIFIED, ETAG, False),
        # none at all
        ("A: 1", "B: 1", True),
        ("A: 1", ETAG, False),
        ("A: 1", MODIFIED, False),
        (ETAG, "B: 1", True),
        (MODIFIED, "B: 1", True),
    ],
)
def test_4_3_4_which_stored_response_a_304_is_about(stored: str, new: str, same: bool) -> None:
    assert is_same(fields(stored), fields(new)) is same


def test_4_3_4_the_entity_tag_decides_before_last_modified() -> None:
    assert not is_same(fields(ETAG, MODIFIED), fields('ETag: "b"', MODIFIED))
    assert is_same(fields(ETAG, MODIFIED), fields(ETAG, f"Last-Modified: {at(0)}"))
    assert is_same(fields(MODIFIED), fields(ETAG, MODIFIED))


def again(*new: str, stored: tuple[str, ...] = (ETAG,), by: tuple[str, ...] = ()) -> Terms | CacheReason:
    asking = request(*by)
    return renewed(asking, read_request(asking), 200, fields(*stored), fields(*new), NOW - 1, NOW, RULES)[1]


def test_4_3_4_the_stored_response_has_the_lifetime_that_the_304_says() -> None:
    terms = again("Cache-Control: max-age=3600", ETAG, stored=("Cache-Control: max-age=2", ETAG))
    assert terms == kept("Cache-Control: max-age=3600", ETAG, took=1)


def test_4_3_4_or_that_of_before() -> None:
    stored = ("Cache-Control: max-age=60", f"Date: {at(-500)}", ETAG)
    assert again(ETAG, stored=stored) == again(ETAG, f"Date: {at(0)}", stored=stored)
    assert again(ETAG, stored=stored) == kept("Cache-Control: max-age=60", ETAG, took=1)


def test_4_3_4_its_age_is_that_of_the_304() -> None:
    stored = ("Cache-Control: max-age=60", f"Date: {at(-500)}", ETAG)
    assert again(ETAG, "Age: 20", stored=stored) == kept("Cache-Control: max-age=60", ETAG, "Age: 20", took=1)
    assert again(ETAG, f"Date: {at(-30)}", stored=stored) == kept(
        "Cache-Control: max-age=60", ETAG, f"Date: {at(-30)}", took=1
    )


def test_4_3_4_its_fields_are_updated() -> None:
    asking = request()
    stored, new = (
        fields("Cache-Control: max-age=2", "A: 1", f"Date: {at(-9)}", ETAG),
        fields("A: 2", f"Date: {at(0)}", ETAG),
    )
    made, _ = renewed(asking, read_request(asking), 200, stored, new, NOW, NOW, RULES)
    assert made == freshened(stored, new, RULES)
    assert made.get(b"date") == at(0).encode()


def test_4_3_4_what_the_304_forbids_is_not_stored_any_longer() -> None:
    reason = again("Cache-Control: no-store", ETAG)
    assert isinstance(reason, CacheReason)
    assert reason.name == "no_store"


# -- 4.3.5: freshening responses with HEAD


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ((), True),
        ((ETAG,), True),
        ((MODIFIED,), True),
        (("Content-Length: 5",), True),
        ((ETAG, MODIFIED, "Content-Length: 5"), True),
        (('ETag: "b"',), False),
        (('ETag: W/"a"',), False),
        ((ETAG, f"Last-Modified: {at(0)}"), False),
        ((ETAG, "Content-Length: 6"), False),
        (("Content-Length: 05",), False),
    ],
)
def test_4_3_5_each_validator_and_the_length_must_match(lines: tuple[str, ...], same: bool) -> None:
    assert is_head_of(fields(ETAG, MODIFIED), 5, fields(*lines)) is same


def test_4_3_5_a_validator_that_only_the_head_has_does_not_match() -> None:
    assert not is_head_of(fields("A: 1"), 5, fields(ETAG))


def test_4_3_5_its_fields_update_the_stored_ones() -> None:
    assert freshened(fields("A: 1", "B: 1"), fields("A: 2", "C: 2", "Content-Length: 5"), RULES) == fields(
        "B: 1", "A: 2", "C: 2"
    )
