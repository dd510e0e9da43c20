"""Cache-Status: RFC 9211."""

from __future__ import annotations

import pytest

from enfilade.cache.reasons import CACHE_REASONS, Kind, cache_reason
from enfilade.cache.status import cache_status
from enfilade.http.structured import parse_list

FORWARDED = {b"bypass", b"method", b"uri-miss", b"vary-miss", b"miss", b"request", b"stale", b"partial"}
"""Section 2.2."""


def test_a_hit_and_how_long_it_is_fresh() -> None:
    assert cache_status(cache_reason("hit"), ttl=376) == b"enfilade; hit; ttl=376"
    assert cache_status(cache_reason("stale_refreshing"), ttl=-5) == b"enfilade; hit; ttl=-5; detail=stale_refreshing"


def test_a_miss_and_what_became_of_it() -> None:
    assert cache_status(cache_reason("uri_miss"), stored=True, ttl=60) == b"enfilade; fwd=uri-miss; ttl=60; stored"
    assert cache_status(cache_reason("uri_miss"), collapsed=True) == b"enfilade; fwd=uri-miss; collapsed"
    assert cache_status(cache_reason("stale"), detail="no_store") == b"enfilade; fwd=stale; detail=no_store"


def test_a_validation() -> None:
    line = cache_status(cache_reason("revalidated"), fwd_status=304, ttl=60, stored=True)
    assert line == b"enfilade; fwd=stale; fwd-status=304; ttl=60; stored; detail=revalidated"


@pytest.mark.parametrize("name", sorted(CACHE_REASONS))
def test_each_reason_is_said_in_the_words_of_the_rfc(name: str) -> None:
    """A hit is not forwarded, and what is forwarded is no hit (section 2.2); what is not stored was answered some other way."""
    reason = cache_reason(name)
    assert parse_list(cache_status(reason, ttl=1)) is not None
    if reason.kind is Kind.UNKEPT or name == "only_if_cached":
        assert not reason.token
    else:
        assert reason.token in FORWARDED | {b"hit"}
    assert (reason.token == b"hit") is (reason.kind is Kind.HIT or name in ("stale_allowed", "stale_refreshing"))


def test_rows_have_their_place_and_a_sentence() -> None:
    for index, reason in enumerate(CACHE_REASONS.values()):
        assert reason.index == index
        assert reason.text.endswith(".")
