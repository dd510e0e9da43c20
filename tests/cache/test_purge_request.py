"""Purging asked for by HTTP: who may, what is meant, and that a mistake purges nothing."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest

from enfilade.cache.invalidate import MAX_TAGS
from enfilade.cache.key import KeyRules
from enfilade.cache.purge_request import PurgeMethod, purge_as_asked
from enfilade.cache.purges import SIZE, Purges
from enfilade.http.fields import Pair
from enfilade.testing.exchange import make_exchange

TOKEN = (b"authorization", b"Bearer secret")


@pytest.fixture
def purges() -> Purges:
    return Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext())


def purged(purges: Purges) -> list[tuple[bytes, bool]]:
    return [(purge.name, purge.soft) for purge in purges.since(purges._cells[2]) or []]


def ask(purges: Purges, target: str, *fields: Pair, keys: KeyRules = KeyRules()) -> tuple[int, dict[str, object]]:  # noqa: B008
    response = PurgeMethod("secret", purges, keys)(make_exchange("PURGE", target, fields))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body) if response.status != 401 else {}


def test_a_body_of_json(purges: Purges) -> None:
    status, facts = purge_as_asked(purges, b'{"purge": ["user:7", "https://h/a/*"], "soft": true}')
    assert (status, facts) == (200, {"purged": ["user:7", "https://h/a/*"], "soft": True})
    assert purged(purges) == [(b"tag:user:7", True), (b"path:h/a/", True)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"), (b"{}", "purge"), (b'{"purge": "a"}', "Expected"), (b'{"purge": ["a"], "sotf": true}', "sotf"),
        (b'{"purge": ["a", "/b"]}', "begins with http"), (b'{"purge": ["a", 7]}', "Expected"),
    ],
)  # fmt: skip
def test_a_mistake_purges_nothing_and_is_told(purges: Purges, body: bytes, why: str) -> None:
    status, facts = purge_as_asked(purges, body)
    assert status == 400
    assert isinstance(facts, dict) and why in facts["why"]
    assert purged(purges) == []


@pytest.mark.parametrize(
    ("target", "fields", "names"),
    [
        ("/a", [], [b"url:example.com/a"]),
        ("/a?b=1", [], [b"url:example.com/a?b=1"]),
        ("/a/*", [], [b"path:example.com/a/"]),
        ("/*", [], [b"host:example.com"]),
        ("/a", [(b"surrogate-key", b"x y"), (b"cache-tag", b"z w, v")], [b"tag:x", b"tag:y", b"tag:z w", b"tag:v"]),
        ("/a", [(b"surrogate-key", b"*")], [b"tag:*"]),
        ("/a", [(b"cache-tag", b" , ")], [b"url:example.com/a"]),
    ],
)
def test_what_a_request_means(purges: Purges, target: str, fields: list[Pair], names: list[bytes]) -> None:
    assert ask(purges, target, TOKEN, *fields)[0] == 200
    assert purged(purges) == [(name, False) for name in names]


def test_the_query_is_what_of_it_is_in_the_key(purges: Purges) -> None:
    keys = KeyRules(ignore_query=("utm_*",), sort_query=True)
    ask(purges, "/a?utm_source=x&c=1&b=2", TOKEN, keys=keys)
    assert purged(purges) == [(b"url:example.com/a?b=2&c=1", False)]


def test_soft(purges: Purges) -> None:
    assert ask(purges, "/a", TOKEN, (b"soft-purge", b"1"))[1]["soft"] is True
    assert purged(purges) == [(b"url:example.com/a", True)]


@pytest.mark.parametrize("said", [[], [(b"authorization", b"Bearer wrong")], [(b"authorization", b"secret")]])
def test_without_the_token_nothing_is_purged(purges: Purges, said: list[Pair]) -> None:
    assert ask(purges, "/a", *said)[0] == 401
    assert purged(purges) == []


@pytest.mark.parametrize(
    ("target", "fields"), [("/a*", []), ("/a", [(b"surrogate-key", b" ".join(b"%d" % i for i in range(MAX_TAGS + 1)))])]
)
def test_what_cannot_be_meant_is_told(purges: Purges, target: str, fields: list[Pair]) -> None:
    status, facts = ask(purges, target, TOKEN, *fields)
    assert status == 400 and facts["why"] and facts["purged"] == []
    assert purged(purges) == []
