"""Registrations in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.redis_server import RedisServer, redis_server

from enfilade.config.peers import read_peer
from enfilade.net.edge import EdgeLoop
from enfilade.net.redis.registrations import redis_store
from enfilade.net.registry import Registration, Registry, StoreError
from enfilade.upstream.addresses import Wanted


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


def run(scene: Callable[[], Coroutine[None, None, None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(30):
            await scene()

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(timed())


def test_a_registration_is_a_key_that_lives_as_long(server: RedisServer) -> None:
    async def scene() -> None:
        async with redis_store(server.url, "enfilade", "api") as store:
            await store.put("web-1", "text", 10, announce=True)
            assert await store.read() == {"web-1": "text"}
            with server.client() as client:
                assert client.get("enfilade:api:web-1") == "text"
                assert 9000 < client.pttl("enfilade:api:web-1") <= 10000
            await store.remove("web-1")
            assert await store.read() == {}

    run(scene)


def test_upstreams_and_prefixes_keep_to_themselves_whatever_their_names(server: RedisServer) -> None:
    places = [("enfilade", "api"), ("enfilade", "api:x"), ("enfilade", "*"), ("enfilade", "a?i"), ("other", "api")]

    async def scene() -> None:
        for prefix, name in places:
            async with redis_store(server.url, prefix, name) as store:
                await store.put(f"{prefix} {name}", "text", 10, announce=False)
        for prefix, name in places:
            async with redis_store(server.url, prefix, name) as store:
                assert await store.read() == {f"{prefix} {name}": "text"}

    run(scene)


def test_many_registrations_among_many_other_keys(server: RedisServer) -> None:
    with server.client() as client:
        client.mset({f"session:{i}": "x" for i in range(5000)})
        client.mset({f"enfilade:api:{i:04}": "text" for i in range(1500)})

    async def scene() -> None:
        async with redis_store(server.url, "enfilade", "api") as store:
            assert sorted(await store.read()) == [f"{i:04}" for i in range(1024)]

    run(scene)


def test_bytes_that_are_not_utf_8_harm_nobody(server: RedisServer) -> None:
    with server.client() as client:
        client.mset({b"enfilade:api:\xff": b"\xfe", "enfilade:api:good": "text"})

    async def scene() -> None:
        async with redis_store(server.url, "enfilade", "api") as store:
            assert (await store.read())["good"] == "text"

    run(scene)


@pytest.mark.parametrize("word", ["joined", "left"])
def test_a_change_is_heard_at_once(server: RedisServer, word: str) -> None:
    async def scene() -> None:
        async with (
            redis_store(server.url, "enfilade", "api") as reader,
            redis_store(server.url, "enfilade", "api") as writer,
        ):
            await reader.changed(60)  # its own subscription
            waiting = asyncio.create_task(reader.changed(60))
            if word == "joined":
                await writer.put("web-1", "text", 10, announce=True)
            else:
                await writer.remove("web-1")
            await waiting

    run(scene)


def test_without_a_change_the_wait_ends_by_itself(server: RedisServer) -> None:
    async def scene() -> None:
        async with redis_store(server.url, "enfilade", "api") as reader:
            await reader.changed(60)
            await reader.changed(0.05)

    run(scene)


def test_a_redis_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    async def scene() -> None:
        async with redis_store(f"unix://{tmp_path}/nobody.sock", "enfilade", "api") as store:
            for ask in (store.read, partial(store.changed, 1), partial(store.remove, "m")):
                with pytest.raises(StoreError, match=r"nobody\.sock"):
                    await ask()

    run(scene)


@pytest.mark.parametrize("turns", range(0, 60, 3))
def test_a_cancellation_is_never_lost(server: RedisServer, turns: int) -> None:
    async def scene() -> None:
        connect = partial(redis_store, server.url, "enfilade", "api")
        keeping = asyncio.create_task(Registration(connect, "m", "text", 60).keep())
        for _ in range(turns):
            await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait((keeping,))

    run(scene)


def test_peers_come_and_go_and_outlive_the_redis_itself(tmp_path: Path) -> None:
    async def scene(server: RedisServer) -> None:
        connect = partial(redis_store, server.url, "enfilade", "api")
        seen: asyncio.Queue[list[str]] = asyncio.Queue()

        def take(peers: Sequence[Wanted]) -> None:
            seen.put_nowait([one.address.host for one in peers])

        async def until(hosts: list[str]) -> None:
            while await seen.get() != hosts:
                pass

        def register(host: str) -> tuple[Registration, asyncio.Task[None]]:
            registration = Registration(connect, host, f'{{"url": "http://{host}"}}', 1)
            return registration, asyncio.create_task(registration.keep())

        watching = asyncio.create_task(Registry("api", connect, read_peer).watch(take))
        await until([])
        one, two = register("one"), register("two")
        await until(["one", "two"])
        two[1].cancel()  # it dies without a word
        await until(["one"])
        server.stop()
        server.start()  # and has forgotten everybody
        three = register("three")
        await until(["one", "three"])
        three[1].cancel()
        await three[0].end()
        for task in (watching, one[1]):
            task.cancel()

    with redis_server(tmp_path) as server:
        run(partial(scene, server))
