"""Keys stay fresh: fetched when needed, renewed in the background, kept while nobody answers, and not for ever."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.identity.kit import DEFAULT, EC, RSA, jwk, jwks

from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.fields import Fields, Pair
from enfilade.identity.keys import KEPT, LEAST, MOST, RETRY, SOONEST, UNKNOWN, USUAL, FetchedKeys, KeyFile
from enfilade.identity.token import read_keys
from enfilade.net.watched import WatchedFiles

A, B = jwks(jwk(RSA, kid="a")), jwks(jwk(RSA, kid="a"), jwk(EC, kid="b"))
READ = partial(read_keys, algorithms=DEFAULT)
URL = "https://id/keys"


class Issuer:
    """Answers with `answer`, or raises it; `gate`: when it is set."""

    def __init__(self, answer: Fetched | FetchError) -> None:
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.now = 1000.0
        self.keys = FetchedKeys(URL, self, READ, lambda: self.now)

    async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        assert (method, url, body) == ("GET", URL, b"")
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, FetchError):
            raise self.answer
        return self.answer

    @property
    def ids(self) -> list[str | None]:
        return [key.id for key in self.keys.now]

    async def more(self) -> bool:
        waiting = self.keys.more()
        if waiting is not None:
            await waiting
        return waiting is not None

    async def after(self, seconds: float) -> None:
        """So much time passes, and whatever begins is done."""
        self.now += seconds
        self.keys.tick(self.now)
        for _ in range(5):
            await asyncio.sleep(0)


def ok(body: bytes = A, cache_control: bytes = b"") -> Fetched:
    return Fetched(200, Fields([(b"cache-control", cache_control)] if cache_control else []), body)


def play(scene: Callable[[Issuer], Coroutine[Any, Any, None]], answer: Fetched | FetchError | None = None) -> None:
    async def run() -> None:
        await scene(Issuer(ok() if answer is None else answer))

    asyncio.run(run())


DOWN = FetchError(f"{URL}: nobody there")


def test_they_are_fetched_with_the_first_need_and_once_for_all_who_wait() -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.after(1)
        assert issuer.asked == 0
        issuer.gate.clear()
        waiting = [issuer.keys.more() for _ in range(3)]
        await asyncio.sleep(0)
        issuer.gate.set()
        await asyncio.gather(*[one for one in waiting if one is not None])
        assert (issuer.asked, issuer.ids, issuer.keys.generation) == (1, ["a"], 1)

    play(scene)


def test_who_gives_up_waiting_takes_nothing_from_the_others() -> None:
    async def scene(issuer: Issuer) -> None:
        issuer.gate.clear()
        first, second = issuer.keys.more(), issuer.keys.more()
        assert first is not None and second is not None
        asyncio.ensure_future(first).cancel()
        issuer.gate.set()
        await second
        assert issuer.ids == ["a"]

    play(scene)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (b"", USUAL), (b"max-age=7200", 7200), (b"max-age=1", LEAST), (b"max-age=99999999", MOST), (b"max-age=x", LEAST),
        (b"no-store, max-age=0", LEAST), (b"private", USUAL),
    ],
)  # fmt: skip
def test_they_are_renewed_in_the_background_when_their_time_is_over(said: bytes, seconds: float) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.more()
        issuer.answer = ok(B)
        await issuer.after(seconds - 1)
        assert issuer.asked == 1
        await issuer.after(1)
        assert (issuer.asked, issuer.ids, issuer.keys.generation) == (2, ["a", "b"], 2)

    play(scene, ok(A, said))


def test_the_same_again_is_no_change() -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.more()
        await issuer.after(USUAL)
        assert (issuer.asked, issuer.keys.generation) == (2, 1)

    play(scene)


def test_for_a_key_that_is_not_there_they_are_fetched_once_a_minute_at_most() -> None:
    async def scene(issuer: Issuer) -> None:
        assert await issuer.more()
        assert not await issuer.more()
        await issuer.after(UNKNOWN - 1)
        assert not await issuer.more()
        issuer.answer = ok(B)
        await issuer.after(1)
        assert await issuer.more() and issuer.ids == ["a", "b"]
        assert not await issuer.more() and issuer.asked == 2

    play(scene)


@pytest.mark.parametrize(
    "bad", [DOWN, ok(b"<html>"), ok(b'{"keys": []}'), Fetched(302, Fields(), A), Fetched(500, Fields(), A)]
)
def test_old_ones_are_used_while_no_others_can_be_had(
    bad: Fetched | FetchError, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.more()
        issuer.answer = bad
        await issuer.after(USUAL)
        assert issuer.asked == 2 and issuer.ids == ["a"]
        assert URL in caplog.text and "used on" in caplog.text
        await issuer.after(RETRY - 1)
        assert issuer.asked == 2
        await issuer.after(1)
        assert issuer.asked == 3
        issuer.answer = ok(B)
        await issuer.after(RETRY)
        assert issuer.ids == ["a", "b"]
        await issuer.after(USUAL - 1)
        assert issuer.asked == 4

    with caplog.at_level(logging.ERROR, "enfilade.identity"):
        play(scene)


def test_but_not_for_ever() -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.more()
        issuer.answer = DOWN
        await issuer.after(USUAL + KEPT - 1)
        assert issuer.ids == ["a"]
        await issuer.after(1)
        assert issuer.ids == [] and issuer.keys.generation == 2
        issuer.answer = ok()
        await issuer.after(RETRY)
        assert issuer.ids == ["a"], "the same as before, but there were none"

    play(scene)


def test_where_there_are_none_they_are_asked_for_soon_but_not_by_each_request() -> None:
    async def scene(issuer: Issuer) -> None:
        assert await issuer.more() and issuer.ids == []
        assert not await issuer.more()
        issuer.answer = ok()
        await issuer.after(SOONEST)
        assert await issuer.more() and issuer.ids == ["a"]

    play(scene, DOWN)


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(A)
    keys = KeyFile(str(path), READ, WatchedFiles([str(path)]))
    write(path, B)
    for now in range(2):
        keys.tick(now)
    assert [key.id for key in keys.now] == ["a", "b"] and keys.generation == 1
    write(path, b"nonsense")
    for now in range(2):
        keys.tick(now)
    assert [key.id for key in keys.now] == ["a", "b"] and "stays as it was: it is not JSON" in caplog.text


def write(path: Path, data: bytes) -> None:
    """As editors do: another file takes the name."""
    (path.parent / "new").write_bytes(data)
    os.rename(path.parent / "new", path)


def test_a_file_that_cannot_be_read_is_an_error_at_first(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        KeyFile(str(tmp_path / "none"), READ, WatchedFiles([]))
    (tmp_path / "bad").write_bytes(b"{}")
    with pytest.raises(ValueError, match="not a JWK Set"):
        KeyFile(str(tmp_path / "bad"), READ, WatchedFiles([]))
