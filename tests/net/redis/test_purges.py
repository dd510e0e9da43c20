"""Purges between servers, by a real Redis that is killed, trimmed and written to by others."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from tests.redis_server import RedisServer, redis_server

from enfilade.cache.feed import Feed
from enfilade.cache.purges import ALIVE, DEAD, SIZE, SOFT, Position, Purge, Purges, State, places
from enfilade.net.edge import EdgeLoop
from enfilade.net.redis.cache import LENGTH, RedisJournal, redis_journal
from enfilade.testing.stores import warnings

PATIENCE = 40.0
KEY = "enfilade:purges"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_at(running: RedisServer) -> RedisServer:
    if running.process.poll() is not None:
        running.start()
    with running.client() as client:
        client.flushall()
    return running


class Server:
    """Its purges, and whoever follows those of others."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.purges = Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext())

    @asynccontextmanager
    async def there(self) -> AsyncIterator[None]:
        """It runs, and heard itself."""
        feed = Feed(self.purges, redis_journal(self.redis.url), "purges in Redis")
        await feed.read_missed()
        before = self.purges.seen
        feed.start()
        await until(lambda: self.purges.seen != before)
        yield
        await feed.close()

    def look(self, name: bytes, generation: int) -> State:
        return self.purges.look(places([name]), generation)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what another server's memory says tells nobody
            await asyncio.sleep(0.005)


def run(scene: Coroutine[Any, Any, None]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await scene

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(timed())


def test_what_one_purges_is_dead_on_the_other(redis_at: RedisServer) -> None:
    async def scene() -> None:
        here, other = Server(redis_at), Server(redis_at)
        async with here.there(), other.there():
            before = other.purges.generation
            here.purges.purge(b"tag:\x00\xff 1")
            await until(lambda: other.look(b"tag:\x00\xff 1", before) is DEAD)
            other.purges.purge(b"url:" + b"x" * 5000, soft=True)
            await until(lambda: here.look(b"url:" + b"x" * 5000, before) is SOFT)
            await until(lambda: here.purges.generation == other.purges.generation)
            assert here.look(b"tag:2", before) is other.look(b"tag:2", before) is ALIVE

    run(scene())


def test_who_was_away_hears_of_it_when_it_is_back(redis_at: RedisServer) -> None:
    async def scene() -> None:
        here, away = Server(redis_at), Server(redis_at)
        async with here.there():
            async with away.there():
                before = away.purges.generation
            away.purges.purge(b"tag:away")  # nobody is there to tell
            for i in range(250):  # more than are read at once
                here.purges.purge(b"tag:%d" % i)
            async with away.there():
                await until(lambda: all(away.look(b"tag:%d" % i, before) is DEAD for i in range(250)))
                await until(lambda: here.look(b"tag:away", before) is DEAD)
                assert away.look(b"tag:other", before) is ALIVE

    run(scene())


def test_who_was_away_for_longer_than_is_kept_takes_all_for_purged(redis_at: RedisServer) -> None:
    async def scene() -> None:
        away, here = Server(redis_at), Server(redis_at)
        async with here.there():
            async with away.there():
                before = away.purges.generation
            here.purges.purge(b"tag:1")
            heard = here.purges.seen
            await until(lambda: here.purges.seen > heard)
            with redis_at.client() as client:
                client.xtrim(KEY, maxlen=1, approximate=False)
            async with away.there():
                assert away.look(b"all", before) is DEAD
            assert here.look(b"all", before) is ALIVE

    run(scene())


def test_a_redis_that_is_killed_and_comes_back_empty_costs_all_and_one_line(redis_at: RedisServer) -> None:
    async def scene() -> None:
        here, other = Server(redis_at), Server(redis_at)
        with warnings() as lines:
            async with here.there(), other.there():
                before = here.purges.generation
                redis_at.stop()
                here.purges.purge(b"tag:1")
                await until(lambda: len(lines) == 2)
                assert other.look(b"tag:1", before) is ALIVE
                redis_at.start()
                await until(lambda: here.look(b"all", before) is other.look(b"all", before) is DEAD)
                after = max(here.purges.generation, other.purges.generation)
                here.purges.purge(b"tag:2")
                await until(lambda: other.look(b"tag:2", after) is DEAD)
        assert len(lines) == 2, lines  # one of each

    run(scene())


def test_a_redis_that_hangs_is_away(redis_at: RedisServer) -> None:
    async def scene() -> None:
        server = Server(redis_at)
        feed = Feed(server.purges, redis_journal(redis_at.url), "purges in Redis")
        redis_at.process.send_signal(signal.SIGSTOP)
        with warnings() as lines:
            await feed.catch_up()
        redis_at.process.send_signal(signal.SIGCONT)
        assert lines == ["cache: purges in Redis: no answer in time"]
        await feed.close()

    run(scene())


async def with_journal(redis_at: RedisServer, use: Callable[[RedisJournal], Awaitable[None]]) -> None:
    journal = redis_journal(redis_at.url)
    await use(journal)
    await journal.close()


def test_what_is_written_is_read_as_it_was(redis_at: RedisServer) -> None:
    async def use(journal: RedisJournal) -> None:
        nothing = Position(journal.stream, 0, 0)
        assert await journal.last() == nothing
        assert await journal.read(nothing, 0) == []
        assert await journal.read(nothing, 0.001) == []
        assert not await journal.holds(nothing)
        purges = [Purge(1, b"tag:1", False), Purge(2**60, bytes(range(256)), True), Purge(3, b"", False)]
        await journal.append(purges)
        entries = await journal.read(nothing, 0)
        assert [purge for _, purge in entries] == purges
        assert [at for at, _ in entries] == sorted(at for at, _ in entries)
        assert await journal.read(entries[0][0], 0) == entries[1:]
        assert await journal.last() == entries[-1][0]
        assert await journal.holds(entries[0][0])

    run(with_journal(redis_at, use))


@pytest.mark.parametrize(
    "fields",
    [
        {"other": "version"},
        {"name": "tag:1", "soft": "0", "generation": "x"},
        {"name": "tag:1", "soft": "0", "generation": str(2**63)},
        {"name": "tag:1", "soft": "0", "generation": "-1"},
    ],
)
def test_what_is_not_understood_counts_as_all(redis_at: RedisServer, fields: dict[Any, Any]) -> None:
    async def use(journal: RedisJournal) -> None:
        with redis_at.client() as client:
            client.xadd(KEY, fields)
        ((_, purge),) = await journal.read(Position(journal.stream, 0, 0), 0)
        assert purge == Purge(0, b"all", False)

    run(with_journal(redis_at, use))


@pytest.mark.parametrize("what", ["time", "number", "type"])
def test_what_cannot_be_ours_is_a_failure(redis_at: RedisServer, what: str) -> None:
    async def use(journal: RedisJournal) -> None:
        with redis_at.client() as client:
            if what == "type":
                client.set(KEY, "a text")
            else:
                client.xadd(KEY, {"a": "b"}, id=f"{2**63}-1" if what == "time" else f"1-{2**63}")
        with pytest.raises(OSError, match="WRONGTYPE" if what == "type" else "far away"):
            await journal.read(Position(journal.stream, 0, 0), 0)

    run(with_journal(redis_at, use))


def test_it_stays_bounded(redis_at: RedisServer) -> None:
    async def use(journal: RedisJournal) -> None:
        for _ in range(LENGTH // 1000 + 2):
            await journal.append([Purge(1, b"tag:1", False)] * 1000)
        with redis_at.client() as client:
            assert LENGTH <= client.xlen(KEY) <= LENGTH + 1000

    run(with_journal(redis_at, use))
