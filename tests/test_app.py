"""`enfilade.app`: what applications say about the cache, in whatever they run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from tests.handlers.app.support import from_callback, make
from tests.pythons import VERSIONS, run

from enfilade import app as application
from enfilade.app import connect, purge, tag
from enfilade.cache.invalidate import MAX_TAGS
from enfilade.cache.purges import SIZE, Purges, State, places
from enfilade.exchange.response import Response
from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.handlers.app.wsgi import WsgiHandler


@pytest.fixture
def purges(monkeypatch: pytest.MonkeyPatch) -> Iterator[Purges]:
    monkeypatch.setattr(application, "_purges", None)
    made = Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext())
    connect(made)
    return made


async def answer(send: Any, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [*headers]})
    await send({"type": "http.response.body", "body": b"x"})


async def tags_of(app: Any) -> list[bytes]:
    result: Any = await from_callback(lambda: AsgiHandler(app)(make()))
    response = result if isinstance(result, Response) else await result
    return response.fields.all(b"cache-tag")


# -- tag


def test_the_answer_that_is_being_made_has_the_tags() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        tag("user:7", "page")
        tag("page")
        await answer(send, [(b"cache-tag", b"own")])

    assert asyncio.run(tags_of(app)) == [b"own", b"user:7, page"]


def test_threads_and_tasks_of_the_application_tag_the_same_answer() -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        tag("task")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.gather(asyncio.to_thread(tag, "thread"), later())
        await answer(send)

    assert sorted(asyncio.run(tags_of(app))[0].split(b", ")) == [b"task", b"thread"]


def test_no_answer_has_the_tags_of_another() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        tag("first")
        await answer(send)

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)

    async def both() -> list[list[bytes]]:
        def one_after_the_other() -> list[Any]:  # in one context, as requests of one connection are
            return [AsgiHandler(app)(make()), AsgiHandler(other)(make())]

        return [response.fields.all(b"cache-tag") for response in await from_callback(one_after_the_other)]

    assert asyncio.run(both()) == [[b"first"], []]


def test_wsgi() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/tagged":
            tag("user:7")
        start_response("200 OK", [])
        return [b"x"]

    async def two() -> list[list[bytes]]:
        handler = WsgiHandler(app, threads=1)
        found = [await handler(make(path=path)) for path in ("/tagged", "/")]  # type: ignore[misc]
        handler.close()
        return [response.fields.all(b"cache-tag") for response in found]

    assert asyncio.run(two()) == [[b"user:7"], []]


def test_a_stream_is_tagged_by_what_was_said_before_its_first_piece() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        tag("early")
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        tag("late")
        await send({"type": "http.response.body", "body": b"x"})

    assert asyncio.run(tags_of(app)) == [b"early"]


def test_too_many_tags_are_kept_as_one_too_many() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for i in range(1000):
            tag(f"t{i}")
        await answer(send)

    assert len(asyncio.run(tags_of(app))[0].split(b", ")) == MAX_TAGS + 1


def test_outside_of_a_request_a_tag_is_nothing() -> None:
    tag("user:7")


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\r\nset-cookie: x", "user:*", "/a"])
def test_what_is_no_tag_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no tag"):
        tag(name)


# -- purge


def test_a_purge_is_done_when_the_call_returns(purges: Purges) -> None:
    before = purges.generation
    purge("user:7", "https://h/a/*")
    purge("page", soft=True)
    assert purges.look(places([b"tag:user:7"]), before) is State.DEAD
    assert purges.look(places([b"path:h/a/"]), before) is State.DEAD
    assert purges.look(places([b"tag:page"]), before) is State.SOFT
    assert purges.look(places([b"tag:other"]), before) is State.ALIVE


def test_a_mistake_in_one_name_purges_nothing(purges: Purges) -> None:
    before = purges.generation
    with pytest.raises(ValueError, match="begins with http"):
        purge("user:7", "/a/b")
    assert purges.generation == before


@pytest.mark.parametrize("version", VERSIONS)
def test_under_another_server_nothing_happens(version: str) -> None:
    program = """
from enfilade.app import purge, tag
tag("user:7")
purge("user:7", soft=True)
try:
    purge("a b")
except ValueError as error:
    print(error)
"""
    assert "is no tag" in run(version, program)
