"""The disk store."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import threading
from pathlib import Path

import pytest
from tests.cache.kit import DictMemory, Stand

from enfilade.cache.stores.disk import AHEAD, Disk
from enfilade.cache.stores.files import CHUNK
from enfilade.exchange.response import Response, let_go
from enfilade.http.fields import Fields
from enfilade.testing.stores import (
    CHECKS,
    STREAMING_CHECKS,
    Check,
    an_answer,
    body_of,
    found,
    gives_what_was_put,
    name_of,
    settled,
    warnings,
)

BUDGET = 8 * 1024 * 1024


class DiskBacking:
    same = False
    losable = True
    budget = BUDGET

    def __init__(self, path: Path) -> None:
        self._path = path / "cache"
        self._open: list[Disk] = []

    def open(self) -> Disk:
        self._open.append(Disk(str(self._path), BUDGET))
        return self._open[-1]

    def held(self) -> int:
        held = 0
        for path in self._path.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # a sweep is at work
                if path.is_file():
                    held += -(-path.stat().st_size // 4096) * 4096
        return held

    def lose(self) -> None:
        shutil.rmtree(self._path)

    def close(self) -> None:
        for disk in self._open:
            disk.close()


@pytest.mark.parametrize("check", CHECKS + STREAMING_CHECKS, ids=name_of)
def test_it_is_a_store(tmp_path: Path, check: Check) -> None:
    backing = DiskBacking(tmp_path)
    asyncio.run(check(backing))
    backing.close()


@pytest.mark.parametrize("check", CHECKS + STREAMING_CHECKS, ids=name_of)
def test_it_is_a_store_when_all_must_be_read_from_the_disk(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enfilade.cache.stores.disk.read_cached", lambda fd, size: None)
    test_it_is_a_store(tmp_path, check)


def test_a_file_system_that_cannot_tell_what_it_has_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*arguments: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr("enfilade.cache.stores.files.os.preadv", cannot)
    test_it_is_a_store(tmp_path, gives_what_was_put)


def test_a_long_answer_that_the_origin_confirms_stays(tmp_path: Path) -> None:
    pairs = [(b"cache-control", b"max-age=60"), (b"etag", b'"1"')]

    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), BUDGET)
        stand = Stand(
            Response(200, Fields(pairs), bytes(300_000)),
            Response(304, Fields(pairs)),
            below=[disk],
            memory=DictMemory(largest=1000),
        )
        for seconds, asked in ((0, 1), (10, 1), (90, 2), (30, 2)):
            stand.now += seconds
            response = await settled(stand.send())
            assert response.status == 200
            let_go(response.body)
            await disk.remove(b"other")  # behind what was to be written
            assert len(stand.asked) == asked
        disk.close()

    asyncio.run(scene())


def test_what_is_longer_than_it_takes_is_given_up_while_it_comes(tmp_path: Path) -> None:
    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), BUDGET)
        await disk.put(an_answer(b"k"))
        writer = disk.writer(an_answer(b"k"))
        for _ in range(10):
            await settled(writer.write(bytes(disk.largest // 5)))
        await disk.remove(b"other")  # behind what was to be written
        assert os.listdir(disk.directory.new) == []
        assert await writer.commit() is None
        assert await found(disk, b"k") is None  # it is not what came last
        assert disk.tally.failures == 0
        disk.close()

    asyncio.run(scene())


def test_a_slow_disk_keeps_a_writer_waiting_and_drops_whole_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), BUDGET)
        held = threading.Event()
        stuck = disk.in_turn(held.wait)
        writer = disk.writer(an_answer(b"k"))
        waits = [writer.write(bytes(CHUNK)) for _ in range(AHEAD // CHUNK + 1)]
        assert [wait is None for wait in waits] == [True] * (AHEAD // CHUNK) + [False]
        monkeypatch.setattr("enfilade.cache.stores.disk.WAITING", 2_000_000)
        with warnings() as lines:
            puts = [disk.put(an_answer(b"%d" % i, bytes(900_000))) for i in range(4)]
        assert lines == [f"cache: {disk.directory.path}: cannot write: the disk is too slow"]
        held.set()
        await asyncio.gather(stuck, *puts)
        assert [await found(disk, b"%d" % i) is not None for i in range(4)] == [True, True, False, False]
        assert await writer.commit() is not None
        disk.close()

    asyncio.run(scene())


def test_what_is_under_way_is_done_even_if_who_waited_for_it_left(tmp_path: Path) -> None:
    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), BUDGET)
        held = threading.Event()
        stuck = disk.in_turn(held.wait)
        put = asyncio.ensure_future(settled(disk.put(an_answer(b"k"))))
        await asyncio.sleep(0)
        put.cancel()
        await asyncio.sleep(0)
        held.set()
        await stuck
        await disk.remove(b"other")  # behind it
        assert body_of(await found(disk, b"k")) == b"hello"
        disk.close()

    asyncio.run(scene())


def test_once_it_is_closed_nothing_is_kept_and_nothing_raises(tmp_path: Path) -> None:
    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), BUDGET)
        await disk.put(an_answer(b"k"))
        writer = disk.writer(an_answer(b"w"))
        await settled(writer.write(bytes(1_000_000)))
        await asyncio.to_thread(disk.close)
        await disk.put(an_answer(b"new"))
        await disk.remove(b"k")
        await settled(writer.write(bytes(1_000_000)))
        assert await writer.commit() is None
        writer.abort()
        assert body_of(await found(disk, b"k")) == b"hello"
        assert await found(disk, b"new") is None

    asyncio.run(scene())
