"""hishel's reading of RFC 9111 beside ours: where they differ, it is a difference that is meant, and has its reason here."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch
from uuid import uuid4

import hishel
from hishel._core import _spec
from hypothesis import example, given
from hypothesis import strategies as st
from tests.cache.making import NOW, at, decide, fields, request, used

from enfilade.cache.decide import Use
from enfilade.cache.freshen import validating_fields
from enfilade.cache.reasons import CacheReason
from enfilade.cache.stored import Terms
from enfilade.cache.vary import signpost_names, variant_key
from enfilade.http.fields import Fields

NOT_BY_US = {
    "set_cookie": "section 7.3 leaves it to the origin; a session handed to strangers is worse than a miss",
    "request_no_store": "section 5.2.1.5: the request forbids it, which hishel does not read",
    "vary_star": "section 4.1: nothing ever matches it; hishel keeps it for its validators",
    "no_freshness": "section 3: useless without a lifetime; hishel keeps it for its validators, or for none",
    "stale_already": "section 3: useless without a lifetime and a validator",
    "status": "412 and 416 answer one request; with must-understand it depends on the status, which hishel does not look at",
    "request_authorization": "a guess is no permission to share what credentials were needed for (section 3.5, must-revalidate)",
    "private": "section 5.2.2.7: an empty list of names is read as none",
}
"""Reasons why we do not store what hishel stores."""
NOT_BY_HISHEL = {
    "must-understand": "section 5.2.2.3: no-store is not meant for those who understand the status",
    "max-age=abc": "section 4.2.1: it is there, and means that the answer is stale; hishel takes it for absent",
}
"""Directives with which we store what hishel does not."""
USED_OTHERWISE = {
    "age": "section 4.2.3: an answer is as old as it says; hishel looks at Date alone",
    "guess": "section 4.2.2: a tenth as well, but hishel's grows with the time since, and up to a week",
    "invalid": "section 4.2.1: what is no number is stale; hishel takes the next best lifetime",
}
"""Why one of both validates what the other serves."""

DIRECTIVES = (
    "max-age=60", "s-maxage=30", "max-age=0", "max-age=abc", "public", "private", 'private="x-a"', 'private=""', "no-store",
    "no-cache", 'no-cache="x-a"', "must-revalidate", "proxy-revalidate", "must-understand", "immutable", "foo=bar",
    "stale-while-revalidate=9",
)  # fmt: skip
OTHERS = (
    f"Expires: {at(45)}", f"Expires: {at(-45)}", "Expires: 0", f"Last-Modified: {at(-1000)}", 'ETag: "a"', "Vary: *",
    "Vary: Accept", "Set-Cookie: a=b", "Age: 20", "Pragma: no-cache",
)  # fmt: skip
STATUSES = (200, 200, 200, 201, 204, 206, 299, 301, 302, 304, 400, 401, 404, 410, 412, 416, 500, 501, 503, 599)
ASKING = ("Authorization: x", "Cache-Control: no-store", "Accept: a/b")


def named(line: str) -> str:
    return line.partition(":")[0] if ":" in line else line.partition("=")[0]


directives = st.lists(st.sampled_from(DIRECTIVES), max_size=4, unique_by=named)
others = st.lists(st.sampled_from(OTHERS), max_size=4, unique_by=named)
dates = st.sampled_from((0, -10, -50)).map(lambda seconds: f"Date: {at(seconds)}")


def answer(said: list[str], rest: list[str], date: str) -> tuple[str, ...]:
    return (*([f"Cache-Control: {', '.join(said)}"] if said else []), *rest, date)


def headers(lines: Fields) -> hishel.Headers:
    return hishel.Headers({name.decode().title(): (lines.get(name) or b"").decode() for name in lines.names})


def theirs_of(by: tuple[str, ...]) -> hishel.Request:
    return hishel.Request("GET", "http://shop.example.com/page", headers(fields(*by)))


def stored_by_hishel(lines: tuple[str, ...], by: tuple[str, ...], status: int) -> bool:
    state = hishel.CacheMiss(request=theirs_of(by), options=hishel.CacheOptions(shared=True))
    return isinstance(state.next(hishel.Response(status, headers(fields(*lines)))), hishel.StoreAndUse)


def looked_up_by_hishel(
    lines: tuple[str, ...], by: tuple[str, ...], again: tuple[str, ...], after: float
) -> hishel.AnyState:
    """What becomes of a request with the fields `again`, where the answer with the fields `lines` to one with `by` is stored."""
    entry = hishel.Entry(uuid4(), theirs_of(by), hishel.Response(200, headers(fields(*lines))))
    idle = hishel.IdleClient(options=hishel.CacheOptions(shared=True, supported_methods=["GET"], allow_stale=False))
    with patch.object(_spec, "time", SimpleNamespace(time=lambda: NOW + after)):
        return idle.next(theirs_of(again), [entry])


@given(directives, others, dates, st.sampled_from(STATUSES), st.lists(st.sampled_from(ASKING), unique=True))
@example(["max-age=60", "must-understand", "no-store"], [], f"Date: {at(0)}", 200, [])
@example(["max-age=60"], ["Set-Cookie: a=b"], f"Date: {at(0)}", 200, [])
@example(["max-age=abc"], ['ETag: "a"'], f"Date: {at(0)}", 201, [])
def test_both_store_the_same(said: list[str], rest: list[str], date: str, status: int, asking: list[str]) -> None:
    lines, by = answer(said, rest, date), tuple(asking)
    ours = decide(*lines, status=status, by=by)
    theirs = stored_by_hishel(lines, by, status)
    if isinstance(ours, CacheReason):
        assert not theirs or ours.name in NOT_BY_US, (ours, lines, status)
    else:
        assert theirs or not NOT_BY_HISHEL.keys().isdisjoint(said), (lines, status)


@given(directives, others, dates, st.integers(0, 100), st.sampled_from(("Accept: a/b", "Cache-Control: no-cache")))
@example(["max-age=60"], [], f"Date: {at(0)}", 59, "Accept: a/b")
@example(["max-age=60"], [], f"Date: {at(0)}", 60, "Accept: a/b")
@example(["max-age=60", "s-maxage=30"], [], f"Date: {at(0)}", 30, "Accept: a/b")
@example([], [f"Expires: {at(45)}"], f"Date: {at(-10)}", 44, "Accept: a/b")
def test_both_use_the_same(said: list[str], rest: list[str], date: str, after: int, again: str) -> None:
    lines = answer(said, rest, date)
    terms = decide(*lines)
    if not isinstance(terms, Terms) or any(line.startswith("Vary") for line in rest):
        return
    use = used(terms, again, after=after)
    if use is Use.REFRESH:  # hishel does not know stale-while-revalidate, but that it is stale
        use = Use.VALIDATE
    theirs = looked_up_by_hishel(lines, (), (again,), after)
    explicit = any(named(line) in ("max-age", "s-maxage", "Expires") for line in said + rest)
    why = {"age"} if "Age: 20" in rest else set()
    why |= set() if explicit else {"guess"}
    why |= {"invalid"} if "max-age=abc" in said else set()
    same = (use is Use.FRESH) is isinstance(theirs, hishel.FromCache)
    assert same or why & USED_OTHERWISE.keys(), (terms, theirs)


VALUES = st.lists(st.sampled_from(("a", "b", "gzip", "br;q=0.5", "en", "de;q=0")), max_size=3).map(", ".join)


@given(st.sampled_from(("Accept", "Accept-Encoding", "Accept-Language", "Cookie", "X")), VALUES, VALUES, st.booleans())
def test_what_hishel_takes_for_the_same_variant_is_the_same(name: str, one: str, other: str, absent: bool) -> None:
    lines = ("Cache-Control: max-age=60", f"Date: {at(0)}", f"Vary: {name}")
    by, again = (f"{name}: {one}",), (() if absent else (f"{name}: {other}",))
    names = signpost_names(fields(*lines))
    assert names is not None
    ours = variant_key(b"", names, fields(*by)) == variant_key(b"", names, fields(*again))
    theirs = isinstance(looked_up_by_hishel(lines, by, again, 0), hishel.FromCache)
    assert ours or not theirs
    if name in ("Cookie", "X"):
        assert ours is theirs


@given(
    st.sampled_from(((), ('ETag: "a"',), (f"Last-Modified: {at(-9)}",), ('ETag: W/"a"', f"Last-Modified: {at(-9)}")))
)
def test_both_validate_with_the_same(validators: tuple[str, ...]) -> None:
    lines = ("Cache-Control: max-age=0", f"Date: {at(0)}", *validators)
    theirs = looked_up_by_hishel(lines, (), (), 1)
    assert isinstance(theirs, hishel.NeedRevalidation)
    sent = validating_fields(request().fields, fields(*lines)) or fields()
    for name in ("If-None-Match", "If-Modified-Since"):
        assert theirs.request.headers.get(name) == ((sent.get(name.lower().encode()) or b"").decode() or None)
