"""The disk store."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from enfilade.cache.stores.disk import Disk
from enfilade.testing.stores import CHECKS, STREAMING_CHECKS, Check, name_of

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
