"""Stores in a real Redis and a real Memcached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from tests.memcached_server import MemcachedServer, memcached_server
from tests.redis_server import RedisServer, redis_server

from enfilade.cache.record import encode
from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.stores.memcached import MemcachedClient, Replies, Reply, memcached
from enfilade.cache.stores.remote import (
    FIRST_PAUSE,
    LONGEST_LIFE,
    LONGEST_PAUSE,
    VALIDATABLE,
    Patience,
    Remote,
    lifetime,
)
from enfilade.cache.stores.tally import Tally
from enfilade.http.fields import Fields
from enfilade.net.edge import EdgeLoop
from enfilade.net.redis.cache import redis_cache
from enfilade.testing.stores import CHECKS, Check, an_answer, body_of, found, name_of, settled, warnings

TIMEOUT = 20.0
"""Seconds: a server that is slow on a machine that stalls is none that is away."""


class Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


class ServerBacking:
    same = False
    budget = None
    losable = True

    def __init__(self, server: Server, make: Callable[[], Remote]) -> None:
        self.server = server
        self._make = make
        self._open: list[Remote] = []

    def open(self) -> Remote:
        self._open.append(self._make())
        return self._open[-1]

    def held(self) -> int:
        raise NotImplementedError

    def lose(self) -> None:
        self.server.stop()

    async def close(self) -> None:
        for store in self._open:
            await store.close()


@pytest.fixture(scope="module")
def redis_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def memcached_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemcachedServer]:
    with memcached_server(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture(params=["redis", "memcached"])
def backing(request: pytest.FixtureRequest) -> Iterator[ServerBacking]:
    if request.param == "redis":
        redis_at: RedisServer = request.getfixturevalue("redis_at")
        with redis_at.client() as client:
            client.flushall()
        made = ServerBacking(redis_at, lambda: redis_cache(redis_at.url, timeout=TIMEOUT))
    else:
        memcached_at: MemcachedServer = request.getfixturevalue("memcached_at")
        memcached_at.flush()
        made = ServerBacking(memcached_at, lambda: memcached(memcached_at.address, timeout=TIMEOUT))
    yield made
    if made.server.process.poll() is not None:
        made.server.start()


def run(scene: Callable[[], Awaitable[None]], backing: ServerBacking | None = None) -> None:
    async def timed() -> None:
        async with asyncio.timeout(50):
            try:
                await scene()
            finally:
                if backing is not None:
                    await backing.close()

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(timed())


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_it_is_a_store(backing: ServerBacking, check: Check) -> None:
    run(lambda: check(backing), backing)


def test_what_is_stored_is_found_again_when_the_server_is_back(backing: ServerBacking) -> None:
    now = 0.0

    async def scene() -> None:
        nonlocal now
        store = backing.open()
        store.patience = Patience(lambda: now)
        await settled(store.put(an_answer(b"k")))
        backing.lose()
        assert await found(store, b"k") is None
        backing.server.start()
        assert store.get(b"k") is None  # left alone: nothing to wait for
        now += FIRST_PAUSE
        await settled(store.put(an_answer(b"k")))
        assert body_of(await found(store, b"k")) == b"hello"

    run(scene, backing)


def test_many_at_once_get_their_own(backing: ServerBacking) -> None:
    async def scene() -> None:
        store = backing.open()
        keys = [b"%d" % i for i in range(200)]
        await asyncio.gather(*(settled(store.put(an_answer(key, b"of " + key))) for key in keys))
        answers = await asyncio.gather(*(found(store, key) for key in keys))
        assert [body_of(answer) for answer in answers] == [b"of " + key for key in keys]

    run(scene, backing)


def test_who_leaves_while_waiting_takes_nobodys_answer(backing: ServerBacking) -> None:
    async def scene() -> None:
        store = backing.open()
        keys = [b"%d" % i for i in range(100)]
        for key in keys:
            await settled(store.put(an_answer(key, key * 1000)))
        for _ in range(5):
            waiting = [asyncio.ensure_future(found(store, key)) for key in keys]
            for _ in range(3):
                await asyncio.sleep(0)
            for left in waiting[::3]:
                left.cancel()
            for key, task in zip(keys, waiting, strict=True):
                if task not in waiting[::3]:
                    assert body_of(await task) == key * 1000
            await asyncio.gather(*waiting[::3], return_exceptions=True)

    run(scene, backing)


def test_a_record_that_was_tampered_with_is_a_miss(redis_at: RedisServer) -> None:
    async def scene() -> None:
        tally = Tally()
        store = redis_cache(redis_at.url, "torn", TIMEOUT, tally)
        await settled(store.put(an_answer(b"k")))
        with redis_at.client() as client, warnings() as lines:
            (name,) = client.keys("torn:*")
            client.setrange(name, 40, "xx")
            assert await found(store, b"k") is None
            assert len(lines) == 1
            client.set(name, encode(an_answer(b"another key"), b"hello"))
            assert await found(store, b"k") is None
            client.delete(name)
            client.lpush(name, "no string at all")
            assert await found(store, b"k") is None
            assert tally.failures == 2
        await store.close()

    run(scene)


def test_the_server_forgets_what_is_of_no_use_any_more(redis_at: RedisServer) -> None:
    async def scene() -> None:
        store = redis_cache(redis_at.url, "ends", TIMEOUT)
        await settled(store.put(an_answer(b"k", pairs=())))  # good for 120 s at most, when stale
        with redis_at.client() as client:
            (name,) = client.keys("ends:*")
            assert 100 < client.ttl(name) <= 121
        await store.close()

    run(scene)


def test_two_prefixes_are_two_stores(redis_at: RedisServer) -> None:
    async def scene() -> None:
        one, other = redis_cache(redis_at.url, "one", TIMEOUT), redis_cache(redis_at.url, "other", TIMEOUT)
        await settled(one.put(an_answer(b"k")))
        assert await found(other, b"k") is None
        await one.close()
        await other.close()

    run(scene)


def test_a_prefix_cannot_become_a_command(memcached_at: MemcachedServer) -> None:
    async def scene() -> None:
        store = memcached(memcached_at.address, "a\r\nflush_all\r\nb c", TIMEOUT)
        await settled(store.put(an_answer(b"k")))
        assert body_of(await found(store, b"k")) == b"hello"
        await store.close()

    run(scene)


def test_a_memcached_that_takes_less_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    async def scene(address: str) -> None:
        store = memcached(address, timeout=TIMEOUT)
        await settled(store.put(an_answer(b"k")))
        with warnings() as lines:
            await settled(store.put(an_answer(b"k", bytes(600_000))))
            assert await found(store, b"k") is None
            await settled(store.put(an_answer(b"k")))
            assert body_of(await found(store, b"k")) == b"hello"
        assert lines == []
        await store.close()

    with memcached_server(tmp_path, "-I", "512k") as server:
        run(lambda: scene(server.address))


def address_of(server: asyncio.Server) -> str:
    return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_a_memcached_over_tcp() -> None:
    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"get name\r\n"
            writer.write(b"VALUE name 0 5\r\nhello\r\nEND\r\n")
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            client = MemcachedClient(address_of(server))
            assert await client.get(b"name") == b"hello"
            await client.close()

    run(scene)


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n", b"VALUE k 0 -1\r\n", b"VALUE\r\n", b"x" * 5000, b"END\r\nEND\r\n"]
)
def test_a_server_that_speaks_something_else_is_a_miss(said: bytes) -> None:
    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(said)
            await reader.read()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            store = memcached(address_of(server), timeout=TIMEOUT)
            assert await found(store, b"k") is None
            await store.close()

    run(scene)


# -- Memcached's replies

STREAM = b"STORED\r\nVALUE k 0 7\r\na\r\nEND\r\r\nEND\r\nEND\r\nSERVER_ERROR out of memory\r\n"
REPLIES = [
    Reply(b"STORED", None),
    Reply(b"VALUE k 0 7", b"a\r\nEND\r"),
    Reply(b"END", None),
    Reply(b"SERVER_ERROR out of memory", None),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
def test_replies_come_in_any_pieces(size: int) -> None:
    replies = Replies()
    assert [r for i in range(0, len(STREAM), size) for r in replies.feed(STREAM[i : i + size])] == REPLIES


# -- how long a server that failed is left alone


def test_a_server_that_failed_is_left_alone_for_longer_and_longer() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    pause = FIRST_PAUSE
    assert patience.may_ask()
    patience.failed()
    for _ in range(10):
        patience.failed()  # asked before it was known
        now += pause * 0.99
        assert not patience.may_ask()
        now += pause * 0.02
        assert patience.may_ask()
        assert not patience.may_ask()  # one is enough to see
        patience.failed()
        pause = min(pause * 2, LONGEST_PAUSE)
    now += LONGEST_PAUSE
    assert patience.may_ask()
    patience.worked()
    assert patience.may_ask() and patience.may_ask()


def test_one_who_tries_and_leaves_does_not_keep_the_others_waiting_for_ever() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    patience.failed()
    now += FIRST_PAUSE
    assert patience.may_ask()  # and is never heard of again
    now += FIRST_PAUSE
    assert patience.may_ask()


# -- how long an answer is kept


@pytest.mark.parametrize(
    ("terms", "fields", "seconds"),
    [
        (Terms(0, 1010.5, 1010.5, 1010.5), (), 11),
        (Terms(0, 1010, 1030, 1020), (), 30),
        (Terms(0, 1010, 1020, 1030), (), 30),
        (Terms(0, 990, 990, 990), (), -10),
        (Terms(0, 990, 990, 990), ((b"etag", b'"1"'),), VALIDATABLE),
        (Terms(0, 1010, 1010, 1010), ((b"last-modified", b"x"),), VALIDATABLE + 10),
        (Terms(0, 1e300, 1e300, float("inf")), (), LONGEST_LIFE),
    ],
)
def test_an_answer_is_kept_for_as_long_as_it_is_of_use(
    terms: Terms, fields: tuple[tuple[bytes, bytes], ...], seconds: int
) -> None:
    answer = an_answer(pairs=fields)
    assert lifetime(Stored(answer.key, 200, answer.fields, terms, (), 0, answer.content), 1000.0) == seconds


def test_what_is_of_no_use_is_not_stored(redis_at: RedisServer) -> None:
    async def scene() -> None:
        store = redis_cache(redis_at.url, "old", TIMEOUT)
        await settled(store.put(Stored(b"k", 200, Fields(), Terms(0, 10, 10, 10), (), 0, Whole(b"hello"))))
        assert await found(store, b"k") is None
        await store.close()

    run(scene)
