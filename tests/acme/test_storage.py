"""What every storage promises."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.acme.authority import Clock
from tests.redis_server import RedisServer, redis_server

from enfilade.acme.disk import Disk, prepare
from enfilade.acme.storage import Storage, StorageError, locked
from enfilade.net.redis.storage import RedisStorage

Work = Callable[[Storage, Storage], Awaitable[None]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(params=["disk", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, server: RedisServer) -> Callable[[], Storage]:
    prepare(str(tmp_path / "s"))
    with server.client() as client:
        client.flushall()
    if request.param == "redis":
        return lambda: RedisStorage(server.url)
    return lambda: Disk(str(tmp_path / "s"), clock)


@pytest.fixture
def later(clock: Clock, server: RedisServer) -> Callable[[], None]:
    """Ten seconds pass, for locks."""

    def pass_by() -> None:
        clock.now += 11
        with server.client() as client:
            for key in client.scan_iter("enfilade:acme:locks:*"):
                assert 0 < client.pttl(key) <= 10_000
                client.delete(key)

    return pass_by


@pytest.fixture
def check(make: Callable[[], Storage]) -> Callable[[Work], None]:
    """Runs something with two who use the same storage."""

    async def run(work: Work) -> None:
        one, other = make(), make()
        await work(one, other)
        await one.close()
        await other.close()

    return lambda work: asyncio.run(run(work))


Check = Callable[[Work], None]


def test_what_one_puts_the_other_gets(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        assert await one.get("states", "x") is None
        await one.put("states", "x", b"1")
        assert await other.get("states", "x") == b"1"
        await other.put("states", "x", b"")
        assert await one.get("states", "x") == b""
        await one.delete("states", "x")
        await one.delete("states", "x")
        assert await other.get("states", "x") is None

    check(work)


@pytest.mark.parametrize(
    "name", ["a.example.com", "*.example.com", "2001:db8::1", "../../etc/passwd", "a/b", ".", "x" * 120]
)
def test_any_name_will_do(check: Check, name: str) -> None:
    async def work(one: Storage, other: Storage) -> None:
        await one.put("certificates", name, b"1")
        assert list(await other.list("certificates")) == [name]
        assert await other.get("certificates", name) == b"1"
        assert await one.lock(name, "me", 10)
        await one.delete("certificates", name)
        assert not await other.list("certificates")

    check(work)


def test_the_version_is_another_one_after_each_change(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        seen = [await other.version()]
        for change in (one.put("states", "x", b"1"), one.put("states", "x", b"1"), one.delete("states", "x")):
            await change
            seen.append(await other.version())
            assert seen[-1] == await one.version()
        assert len(set(seen)) == len(seen)

    check(work)


def test_a_stamp_is_another_one_when_the_value_was_put_again(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        await one.put("states", "x", b"1")
        await one.put("states", "y", b"1")
        before = await other.list("states")
        assert before == await one.list("states")
        await one.put("states", "x", b"2")
        after = await other.list("states")
        assert after["x"] != before["x"] and after["y"] == before["y"]

    check(work)


def test_a_lock_is_one_owners_until_it_is_given_back(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        assert await one.lock("x", "me", 10)
        assert not await other.lock("x", "you", 10)
        assert await one.lock("x", "me", 10)
        assert await other.lock("y", "you", 10)
        await other.unlock("x", "you")
        assert not await other.lock("x", "you", 10)
        await one.unlock("x", "me")
        assert await other.lock("x", "you", 10)

    check(work)


def test_many_at_once_get_a_lock_once(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        got = await asyncio.gather(*((one, other)[i % 2].lock("x", str(i), 10) for i in range(20)))
        assert got.count(True) == 1

    check(work)


def test_a_lock_ends_with_whoever_died(check: Check, later: Callable[[], None]) -> None:
    async def work(one: Storage, other: Storage) -> None:
        assert await one.lock("x", "me", 10)
        later()
        assert await other.lock("x", "you", 10)
        await one.unlock("x", "me")
        assert not await one.lock("x", "me", 10)

    check(work)


def test_locked_says_whether_it_is(check: Check) -> None:
    async def work(one: Storage, other: Storage) -> None:
        async with locked(one, "x") as first, locked(other, "x") as second:
            assert (first, second) == (True, False)
        async with locked(other, "x") as third:
            assert third

    check(work)


def test_nobody_else_can_read_what_lies_on_a_disk(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o755)
    prepare(str(tmp_path / "s"))
    asyncio.run(Disk(str(tmp_path / "s")).put("accounts", "x", b"secret"))
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "s/accounts/x").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "s/accounts").iterdir()] == ["x"]


def test_a_disk_that_cannot_be_prepared_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file")
    with pytest.raises(OSError):
        prepare(str(tmp_path / "s"))


def test_a_disk_that_is_gone_is_an_error(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "none"))
    for work in (disk.put("states", "x", b"1"), disk.list("states"), disk.lock("x", "me", 1)):
        with pytest.raises(StorageError, match="none"):
            asyncio.run(work)  # type: ignore[arg-type]


def test_a_lock_that_was_written_by_nobody_is_free(tmp_path: Path) -> None:
    prepare(str(tmp_path))
    (tmp_path / "locks/x").write_text("junk")
    assert asyncio.run(Disk(str(tmp_path)).lock("x", "me", 1))


def test_a_redis_that_is_away_is_an_error(tmp_path: Path) -> None:
    async def ask() -> None:
        storage = RedisStorage(f"unix://{tmp_path}/none.sock")
        try:
            await storage.version()
        finally:
            await storage.close()

    with pytest.raises(StorageError, match=r"Redis: .*none\.sock"):
        asyncio.run(ask())
