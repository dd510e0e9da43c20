"""Request bodies decoded on demand: what the handler gets, and what is refused (RFC 9110 sections 8.4, 12.5.3, 15.5.16)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.filters import rank
from enfilade.filters.body_limit import BodyLimit
from enfilade.filters.coders import load
from enfilade.filters.decompress import Decompress
from enfilade.filters.recoded import FREE
from enfilade.http.codings import CODINGS
from enfilade.http.fields import Pair
from enfilade.http.reasons import reason

JSON = b'{"hello": "world"}'
each_coding = pytest.mark.parametrize("coding", CODINGS)


def sent(coding: str, data: bytes) -> bytes:
    return load(coding).encode(data)


def named(coding: str, size: int | None = None) -> list[Pair]:
    length = [] if size is None else [(b"content-length", b"%d" % size)]
    return [(b"content-encoding", coding.encode()), (b"content-type", b"application/json"), *length]


async def post(
    body: Stream, fields: list[Pair], limit: int = 0, seen: list[Exchange] | None = None
) -> tuple[Response, bytes]:
    """The answer, and what the handler read."""
    read = b""

    async def handler(x: Exchange) -> Response:
        nonlocal read
        if seen is not None:
            seen.append(x)
        read = await x.body.read_all()
        return Response(200)

    filters = [Decompress(), *([BodyLimit(limit)] if limit else [])]
    answer: Response | Awaitable[Response] = compile_chain(sorted(filters, key=rank), handler)(
        exchange(*fields, body=body, method="POST")
    )
    return (answer if isinstance(answer, Response) else await answer), read


@each_coding
@pytest.mark.parametrize("data", [JSON, JSON * 1000, b""])
def test_a_whole_body_is_there_with_its_length(coding: str, data: bytes) -> None:
    """Section 8.6: frameworks on WSGI read no body without."""

    async def run() -> None:
        seen: list[Exchange] = []
        body = sent(coding, data)
        r, read = await post(Stream.of(body), named(coding, len(body)), seen=seen)
        assert (r.status, read) == (200, data)
        fields = seen[0].request.fields
        assert fields.get(b"content-length") == b"%d" % len(data)
        assert b"content-encoding" not in fields and fields.get(b"content-type") == b"application/json"

    asyncio.run(run())


@each_coding
def test_a_body_that_comes_later_but_says_that_it_is_short_is_waited_for(coding: str) -> None:
    async def run() -> None:
        seen: list[Exchange] = []
        coded, body = sent(coding, JSON), Stream()
        waiting = asyncio.create_task(post(body, named(coding, len(coded)), seen=seen))
        for i in range(len(coded)):
            await asyncio.sleep(0)
            body.write(coded[i : i + 1])
        assert not seen
        body.end()
        assert (await waiting)[1] == JSON
        assert seen[0].request.fields.get(b"content-length") == b"%d" % len(JSON)

    asyncio.run(run())


@each_coding
def test_a_body_without_a_length_flows(coding: str) -> None:
    async def run() -> None:
        seen: list[Exchange] = []
        coded, body = sent(coding, JSON), Stream()
        waiting = asyncio.create_task(post(body, named(coding), seen=seen))
        for i in range(len(coded)):
            await asyncio.sleep(0)
            body.write(coded[i : i + 1])
        assert seen and b"content-length" not in seen[0].request.fields
        body.end()
        assert (await waiting)[1] == JSON

    asyncio.run(run())


def test_what_becomes_large_flows_without_a_length() -> None:
    async def run() -> None:
        seen: list[Exchange] = []
        data = b"".join([b"%d," % (i * i) for i in range(200_000)])
        assert len(data) > FREE
        body = sent("zstd", data)
        _, read = await post(Stream.of(body), named("zstd", len(body)), seen=seen)
        assert read == data and b"content-length" not in seen[0].request.fields

    asyncio.run(run())


@pytest.mark.parametrize("fields", [[], [(b"content-encoding", b"identity")]])
def test_what_is_not_coded_is_left_alone(fields: list[Pair]) -> None:
    async def run() -> None:
        seen: list[Exchange] = []
        body = Stream.of(JSON)
        _, read = await post(body, fields, seen=seen)
        assert read == JSON and seen[0].body is body

    asyncio.run(run())


def test_no_body_is_no_bad_one() -> None:
    async def run() -> None:
        r, read = await post(empty_body(), named("gzip"))
        assert (r.status, read) == (200, b"")

    asyncio.run(run())


@pytest.mark.parametrize("coding", ["deflate", "gzip, br", "x", "compress"])
def test_415_for_other_codings_says_which_are_known(coding: str) -> None:
    """Sections 12.5.3 and 15.5.16."""

    async def run() -> None:
        r, _ = await post(Stream.of(JSON), named(coding))
        assert r.status == 415 and r.reason is not None and r.reason.name == "unknown_coding"
        assert r.fields.get(b"accept-encoding") == b"zstd, br, gzip"

    asyncio.run(run())


@pytest.mark.parametrize("coding", ["GZIP", "x-gzip", " gzip"])
def test_names_are_compared_without_case_and_x_gzip_is_gzip(coding: str) -> None:
    """Sections 8.4.1 and 8.4.1.3."""

    async def run() -> None:
        assert (await post(Stream.of(sent("gzip", JSON)), named(coding)))[1] == JSON

    asyncio.run(run())


@each_coding
@pytest.mark.parametrize("flows", [False, True])
def test_400_for_what_is_broken_or_cut(coding: str, flows: bool) -> None:
    async def run() -> None:
        for body in (JSON, sent(coding, JSON)[:-1]):
            stream = Stream()
            stream.write(body)
            stream.end()
            r, _ = await post(stream if flows else Stream.of(body), named(coding))
            assert r.status == 400 and r.reason is not None and r.reason.name == "bad_coding"

    asyncio.run(run())


@each_coding
@pytest.mark.parametrize("flows", [False, True])
def test_413_where_it_becomes_larger_than_it_may_be(coding: str, flows: bool) -> None:
    """Section 15.5.14: the limit counts what the handler gets."""

    async def run() -> None:
        body = sent(coding, JSON * 100)
        assert len(body) < 1000
        stream = Stream()
        stream.write(body)
        if not flows:
            stream.end()
        r, _ = await post(stream, named(coding), limit=1000)
        assert r.status == 413 and r.reason is not None and r.reason.name == "body_too_large"

    asyncio.run(run())


@each_coding
def test_413_for_a_bomb(coding: str) -> None:
    """FAILURES 29."""

    async def run() -> None:
        r, _ = await post(Stream.of(sent(coding, bytes(50_000_000))), named(coding))
        assert r.status == 413 and r.reason is not None and r.reason.name == "body_bomb"

    asyncio.run(run())


def test_a_client_that_leaves_is_no_bad_coding() -> None:
    async def run() -> None:
        from_client = Stream()
        waiting = asyncio.create_task(post(from_client, named("gzip", 100)))
        await asyncio.sleep(0)
        from_client.fail(reason("client_gone"))
        assert (await waiting)[0].reason is reason("client_gone")

    asyncio.run(run())
