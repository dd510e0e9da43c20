"""What a disk store read last, held at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.cache.stores.test_disk import BUDGET, DiskBacking

from enfilade.cache.stored import Stored
from enfilade.cache.stores import recent
from enfilade.cache.stores.disk import Disk
from enfilade.cache.stores.files import SMALL, TOUCHED
from enfilade.cache.stores.recent import Recent
from enfilade.testing.stores import CHECKS, Check, an_answer, body_of, found, name_of, settled


class Both:
    """As tiers.py has them: what is not at hand is read."""

    def __init__(self, path: Path) -> None:
        self.recent = Recent()
        self.disk = Disk(str(path), BUDGET, recent=self.recent)
        self.largest = self.disk.largest

    def get(self, key: bytes) -> Stored | Awaitable[Stored | None] | None:
        return self.recent.get(key) or self.disk.get(key)

    def put(self, answer: Stored) -> Awaitable[None]:
        self.recent.put(answer)
        return self.disk.put(answer)

    def remove(self, key: bytes) -> Awaitable[None]:
        self.recent.remove(key)
        return self.disk.remove(key)

    def file_of(self, key: bytes) -> Path:
        return Path(self.disk.directory.path_of(key))

    def close(self) -> None:
        self.disk.close()


class BothBacking(DiskBacking):
    def open(self) -> Both:  # type: ignore[override]
        both = Both(self._path)
        self._open.append(both.disk)
        return both


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_with_it_the_disk_is_a_store(tmp_path: Path, check: Check) -> None:
    backing = BothBacking(tmp_path)
    asyncio.run(check(backing))
    backing.close()


def test_what_was_read_once_is_the_same_object_from_then_on(tmp_path: Path) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        await both.put(an_answer(b"k"))
        assert both.recent.get(b"k") is None
        answer = await found(both, b"k")
        assert answer is not None
        assert both.recent.get(b"k") is answer
        both.close()

    asyncio.run(scene())


def test_bodies_that_are_not_read_whole_are_not_held(tmp_path: Path) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        await both.put(an_answer(b"k", bytes(SMALL)))
        assert body_of(await found(both, b"k")) == bytes(SMALL)
        assert both.recent.get(b"k") is None
        both.close()

    asyncio.run(scene())


def other_worker_replaces(both: Both) -> None:
    beside = both.file_of(b"other")
    beside.rename(both.file_of(b"k"))


def somebody_removes(both: Both) -> None:
    both.file_of(b"k").unlink()


def another_name_is_made(both: Both) -> None:
    """So that its removal could not be seen."""
    os.link(both.file_of(b"k"), both.disk.directory.path + "/backup")


@pytest.mark.parametrize("change", [other_worker_replaces, somebody_removes, another_name_is_made])
def test_a_change_of_the_file_is_seen_at_once(tmp_path: Path, change: Callable[[Both], None]) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        for key in (b"k", b"other"):
            await both.put(an_answer(key))
            assert await found(both, key) is not None
            assert both.recent.get(key) is not None
        change(both)
        assert both.recent.get(b"k") is None
        both.close()

    asyncio.run(scene())


@pytest.mark.parametrize("bound", ["FILES", "ROOM"])
def test_the_least_recently_used_gives_way(tmp_path: Path, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        for i in range(4):
            await both.put(an_answer(b"%d" % i, b"x" * 1000))
        size = both.file_of(b"0").stat().st_size
        monkeypatch.setattr(recent, bound, {"FILES": 3, "ROOM": 3 * size}[bound])
        for i in range(3):
            await found(both, b"%d" % i)
        assert both.recent.get(b"0") is not None
        await found(both, b"3")
        assert [i for i in range(4) if both.recent.get(b"%d" % i)] == [0, 2, 3]
        both.close()

    asyncio.run(scene())


def test_a_use_of_what_is_at_hand_is_noted_on_the_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        await both.put(an_answer(b"k"))
        await found(both, b"k")
        path = both.file_of(b"k")
        long_ago = path.stat().st_mtime - TOUCHED - 10
        os.utime(path, (long_ago, long_ago))
        assert both.recent.get(b"k") is not None
        assert path.stat().st_mtime > long_ago + TOUCHED
        both.close()

    asyncio.run(scene())


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    async def scene() -> None:
        both = Both(tmp_path)
        for body in (b"first", b"second"):
            for key in (b"a", b"b"):
                await both.put(an_answer(key, body))
                assert body_of(await found(both, key)) == body
        await settled(both.remove(b"a"))
        both.close()

    asyncio.run(scene())
    before = os.listdir("/proc/self/fd")
    asyncio.run(scene())
    assert len(os.listdir("/proc/self/fd")) == len(before)
