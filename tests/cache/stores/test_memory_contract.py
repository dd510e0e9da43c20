"""The store in memory keeps the contract of all stores."""

from __future__ import annotations

import asyncio

import pytest

from enfilade.cache.stores.memory import Memory
from enfilade.process.shared import Shared
from enfilade.testing.stores import CHECKS, Check, name_of


class Backing:
    same = True
    budget: int | None = 4 << 20
    losable = False

    def __init__(self) -> None:
        self._shared = Shared.make("memory", 4 << 20)

    def open(self) -> Memory:
        return Memory(self._shared.cells, self._shared.locked)

    def held(self) -> int:
        return self.open().figures().used

    def lose(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_the_contract(check: Check) -> None:
    asyncio.run(check(Backing()))
