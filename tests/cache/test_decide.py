"""What the configuration adds to RFC 9111, and what safety takes away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cache.making import DAY, NOW, asked, at, decide, kept, lifetime, unkept, used, why

from enfilade.cache.decide import NEGATIVE, Rules, Use, on_error
from enfilade.cache.reasons import CacheReason, Kind
from enfilade.cache.stored import Flag

MINUTE = "Cache-Control: max-age=60"
TTL = Rules(ttl=60)
MODIFIED = f"Last-Modified: {at(-DAY)}"


def test_a_configured_lifetime_stands_in_for_the_heuristic() -> None:
    assert lifetime(MODIFIED, rules=TTL) == lifetime(rules=TTL) == 60
    assert lifetime(rules=TTL, status=301) == 60
    assert unkept(rules=TTL, status=404) == "no_freshness"


def test_a_lifetime_of_zero_has_every_use_validated() -> None:
    terms = kept('ETag: "a"', rules=Rules(ttl=0))
    assert used(terms) is Use.VALIDATE
    assert unkept(rules=Rules(ttl=0)) == "stale_already"


@pytest.mark.parametrize("status", sorted(NEGATIVE))
def test_a_negative_answer_has_a_lifetime_of_its_own(status: int) -> None:
    rules = Rules(ttl=60, negative=5)
    assert lifetime(status=status, rules=rules) == 5
    assert lifetime(MINUTE, status=status, rules=rules) == 60
    assert unkept("Cache-Control: no-store", status=status, rules=rules) == "no_store"


@pytest.mark.parametrize("status", [400, 401, 403, 405, 414, 429, 431, 501])
def test_an_error_that_one_strange_request_can_cause_has_none(status: int) -> None:
    assert unkept(status=status, rules=Rules(ttl=60, negative=5)) == "no_freshness"


# -- cookies and credentials


def test_a_guess_is_not_for_requests_with_cookies() -> None:
    assert unkept(by=("Cookie: a=b",), rules=TTL) == "request_cookie"
    assert unkept(MODIFIED, by=("Cookie: a=b",)) == "request_cookie"
    terms = kept(rules=TTL)
    assert terms.flags & Flag.GUESSED
    assert (used(terms, "Cookie: a=b"), why(terms, "Cookie: a=b")) == (Use.UNUSABLE, "cookie")
    assert used(terms) is Use.FRESH


def test_but_where_the_key_knows_them() -> None:
    rules = Rules(ttl=60, cookies_keyed=True)
    assert used(kept(by=("Cookie: a=b",), rules=rules), "Cookie: a=b", rules=rules) is Use.FRESH


def test_what_the_origin_says_is_for_all_of_them() -> None:
    terms = kept(MINUTE, by=("Cookie: a=b",))
    assert used(terms, "Cookie: c=d") is Use.FRESH
    assert used(terms, "Cookie: c=d", after=60) is used(terms, "Authorization: x", after=60) is Use.VALIDATE
    assert used(kept("Cache-Control: public", MODIFIED, by=("Cookie: a=b",)), "Cookie: c=d") is Use.FRESH


def test_a_guess_is_not_for_requests_with_credentials() -> None:
    terms = kept(rules=Rules(ttl=60, cookies_keyed=True))
    assert (used(terms, "Authorization: x"), why(terms, "Authorization: x")) == (Use.UNUSABLE, "authorization")
    assert used(kept(MINUTE), "Authorization: x") is Use.FRESH


def test_a_cookie_that_is_set_is_one_client_s() -> None:
    assert unkept(MINUTE, "Set-Cookie: a=b") == "set_cookie"
    assert unkept("Cache-Control: public, s-maxage=60", "Set-Cookie: a=b") == "set_cookie"
    assert unkept('Cache-Control: max-age=60, private="x"', "Set-Cookie: a=b") == "set_cookie"


@pytest.mark.parametrize("directive", ['no-cache="Set-Cookie"', 'private="a, set-cookie"', "no-cache=set-cookie"])
def test_unless_the_origin_says_that_the_rest_may_be_stored(directive: str) -> None:
    assert lifetime(f"{MINUTE}, {directive}", "Set-Cookie: a=b") == 60


# -- RFC 5861


def test_5861_an_error_may_be_answered_with_what_is_stale() -> None:
    terms = kept("Cache-Control: max-age=60, stale-if-error=30")
    assert on_error(asked(), terms, NOW + 89)
    assert not on_error(asked(), terms, NOW + 90)
    assert on_error(asked("Cache-Control: max-age=0"), terms, NOW + 89)


def test_5861_and_so_may_the_request_say() -> None:
    terms = kept(MINUTE)
    assert on_error(asked("Cache-Control: stale-if-error=30"), terms, NOW + 89)
    assert not on_error(asked("Cache-Control: stale-if-error=30"), terms, NOW + 90)
    assert on_error(asked("Cache-Control: max-stale"), terms, NOW + 1e9)
    assert not on_error(asked("Cache-Control: max-stale=0"), terms, NOW + 60)


def test_5861_what_may_be_refreshed_may_be_served_meanwhile() -> None:
    terms = kept("Cache-Control: max-age=60, stale-while-revalidate=30")
    assert (terms.stale_while, terms.stale_error) == (NOW + 90, NOW + 90)


def test_what_is_fresh_may_be_served_where_the_origin_fails() -> None:
    assert on_error(asked("Cache-Control: max-age=0"), kept(MINUTE), NOW + 59)


def test_what_is_stale_at_once_is_stored_for_the_sake_of_errors() -> None:
    terms = kept("Cache-Control: max-age=0", rules=Rules(grace=60))
    assert used(terms) is Use.VALIDATE
    assert on_error(asked(), terms, NOW + 59)


@pytest.mark.parametrize("value", ["x", "-1", ""])
def test_5861_an_invalid_allowance_is_none(value: str) -> None:
    terms = kept(
        f"Cache-Control: max-age=60, stale-while-revalidate={value}, stale-if-error={value}",
        rules=Rules(grace=9, refresh=9),
    )
    assert terms.fresh_until == terms.stale_while == terms.stale_error


# -- whatever an answer says

SAID = st.lists(
    st.sampled_from(
        ("max-age=60", "s-maxage=30", "max-age=0", "public", "private", "no-store", "no-cache", "must-revalidate", "immutable",
         "proxy-revalidate", "stale-while-revalidate=9", "stale-if-error=99", 'private="x"', 'no-cache="x"', "x"),
    ), max_size=5
)  # fmt: skip
RULES = st.builds(
    Rules,
    ttl=st.sampled_from((None, 0.0, 60.0)),
    negative=st.sampled_from((None, 5.0)),
    grace=st.sampled_from((0.0, 50.0)),
    refresh=st.sampled_from((0.0, 5.0)),
)
MORE = st.lists(st.sampled_from(('ETag: "a"', MODIFIED, f"Expires: {at(45)}", "Age: 20", "Expires: 0")), unique=True)
ASKING = st.lists(st.sampled_from(("Cookie: a=b", "Authorization: x")), unique=True).map(tuple)


@given(SAID, MORE, RULES, st.sampled_from((200, 302, 404, 503)), ASKING)
def test_whatever_is_stored_is_allowed_to_be(
    said: list[str], more: list[str], rules: Rules, status: int, by: tuple[str, ...]
) -> None:
    terms = decide(f"Cache-Control: {', '.join(said)}", *more, status=status, rules=rules, by=by)
    if isinstance(terms, CacheReason):
        assert terms.kind is Kind.UNKEPT
        return
    assert not {"no-store", "private"} & set(said)
    assert "Authorization: x" not in by or {"public", "s-maxage=30", "must-revalidate"} & set(said)
    assert terms.born <= NOW
    assert terms.born <= terms.fresh_until <= terms.stale_while <= terms.stale_error
    assert bool(terms.flags & Flag.VALIDATE) is ("no-cache" in said)
    if {"must-revalidate", "proxy-revalidate", "no-cache"} & set(said):
        assert terms.stale_error == terms.fresh_until
    if not rules.grace and not rules.refresh and not any(directive.startswith("stale") for directive in said):
        assert terms.stale_error == terms.fresh_until


@given(SAID, MORE, RULES, st.floats(0, 200), st.floats(0, 200))
def test_what_is_stored_only_gets_older(
    said: list[str], more: list[str], rules: Rules, early: float, later: float
) -> None:
    terms = decide(f"Cache-Control: {', '.join(said)}", *more, rules=rules)
    if isinstance(terms, CacheReason) or terms.flags & Flag.VALIDATE:
        return
    order = [Use.FRESH, Use.REFRESH, Use.VALIDATE]
    first, second = early, early + later
    assert order.index(used(terms, after=first, rules=rules)) <= order.index(used(terms, after=second, rules=rules))
    assert on_error(asked(), terms, NOW + first) or not on_error(asked(), terms, NOW + second)
