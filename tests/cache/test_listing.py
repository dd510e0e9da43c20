"""Looking into a store: what is meant, in which order, and what is said of it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from enfilade.cache.key import KeyRules, make_key, purge_names
from enfilade.cache.listing import ORDERS, SLICE, Asked, Listed, Search, names_of
from enfilade.cache.purge_text import purge_name
from enfilade.cache.purges import SIZE, Purges, places
from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.vary import variant_key
from enfilade.http.fields import Fields
from enfilade.testing.exchange import make_request

NOW = 1000.5
RULES = KeyRules(parts=(lambda fields: fields.get(b"x-currency"),))


@pytest.fixture
def purges() -> Purges:
    return Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext(), clock=lambda: 7)


def stored(
    target: str, *, size: int = 3, born: float = 900.0, until: float = 1100.0, tag: bytes = b"t", vary: bytes = b"",
    generation: int = 7, **fields: bytes,
) -> Stored:  # fmt: skip
    request = make_request("GET", target, [(n.replace("_", "-").encode(), v) for n, v in fields.items()])
    primary = make_key(request, RULES)
    names = tuple(vary.split(b",")) if vary else ()
    said = Fields([(b"cache-tag", tag), *([(b"vary", vary)] if vary else [])])
    key = variant_key(primary, names, request.fields) if names else primary
    terms = Terms(born, until, until, until)
    return Stored(key, 200, said, terms, places(purge_names(primary, [tag], [])), generation, Whole(b"x" * size))


def search(
    entries: list[Stored], purges: Purges, name: str | None = None, order: str = "size", top: int = 9
) -> list[Listed]:
    found = Search("memory", entries, Asked(None if name is None else purge_name(name), order, top))
    assert not list(found.run())
    return found.listed(purges, NOW)


def test_what_is_said_of_an_answer(purges: Purges) -> None:
    answer = stored("/a?b=1", tag=b"x, y", vary=b"accept-encoding,cookie", accept_encoding=b"br, gzip")
    assert search([answer], purges) == [
        {
            "store": "memory", "url": "http://example.com/a?b=1", "status": 200, "size": 3, "age": 100, "ttl": 99,
            "state": "fresh", "varies": {"accept-encoding": "br,gzip", "cookie": None}, "tags": ["x", "y"],
        }
    ]  # fmt: skip


def test_the_order_and_the_number(purges: Purges) -> None:
    entries = [stored(f"/{i}", size=i % 5, born=i) for i in range(10)]
    assert [a["size"] for a in search(entries, purges, top=4)] == [4, 4, 3, 3]
    assert [a["url"][-2:] for a in search(entries, purges, order="age", top=3)] == ["/9", "/8", "/7"]
    assert search(entries, purges, top=0) == []
    assert set(ORDERS) == {"size", "age"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("*", 4), ("x", 1), ("http://example.com/dir/a", 2), ("https://example.com/dir/a?q=1", 1),
        ("http://example.com/dir/*", 3), ("http://example.com/*", 4), ("http://other/*", 0), ("dir", 0),
    ],
)  # fmt: skip
def test_what_a_name_means_is_what_it_purges(purges: Purges, name: str, found: int) -> None:
    entries = [
        stored("/dir/a?q=1", vary=b"accept-encoding", accept_encoding=b"br"), stored("/dir/a", x_currency=b"EUR"),
        stored("/dir/b", tag=b"x"), stored("/c"),
    ]  # fmt: skip
    assert len(search(entries, purges, name)) == found
    for entry in entries:
        assert (purge_name(name) in names_of(entry)) == (places([purge_name(name)])[0] in entry.names)


def test_what_is_purged_and_what_is_stale_are_told(purges: Purges) -> None:
    entries = [stored("/purged", tag=b"p"), stored("/soft", tag=b"s"), stored("/old", until=1000.0), stored("/good")]
    purges.purge(b"tag:p")
    purges.purge(b"tag:s", soft=True)
    states = {a["url"].rpartition("/")[2]: a["state"] for a in search(entries, purges)}
    assert states == {"purged": "purged", "soft": "stale", "old": "stale", "good": "fresh"}


def test_signposts_are_no_answers(purges: Purges) -> None:
    post = stored("/a")
    post.status = 0
    assert search([post], purges) == []


def test_others_have_their_turn(purges: Purges) -> None:
    entries = [stored("/a")] * (3 * SLICE)
    found = Search("memory", entries, Asked(None, "size", 1))
    assert len(list(found.run())) == 3
    assert (found.found, found.size) == (3 * SLICE, 9 * SLICE)
