"""The board: shared memory of the supervisor and its workers, for whatever must be known across processes.

An anonymous shared mapping, made before the first fork. Each live process owns one *column* of signed 64-bit cells and
alone writes to it; everybody reads all columns. A *row* is one value; its total is the sum over the columns. An aligned
8-byte store is never seen in halves, so there are no locks.

A column keeps its counters when its process ends, and the next process that gets it counts on from there. So a total
is exact at every moment: nothing is moved at a restart, a kill or a reload, hence nothing can be lost or counted twice.
Gauges (what is open *now*) are cleared with their process.

Rows are given out in the supervisor, before the fork, by name and labels; the same name and labels always get the same rows.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakValueDictionary

from enfilade.process.shared import Shared

Labels = tuple[tuple[str, str], ...]

ROWS = 262144
"""Two megabytes a column, of which only the touched pages exist: some hundreds of upstreams, or 3,500 routes with all their
counters."""
COLUMNS = 64
"""Processes alive at once, those that still drain included."""
SUPERVISOR = 0
"""The supervisor's own column."""
_CELL = 8


class BoardFull(Exception):
    """There is no room for another row (too many sites and routes) or another process."""


class Block(NamedTuple):
    """`size` rows from `first` on, known by `name` and `labels`."""

    name: str
    labels: Labels
    first: int
    size: int
    gauge: bool


class Column:
    """One process's cells: `cells[row] += 1` is the hot path."""

    __slots__ = ("cells", "index")

    def __init__(self, index: int, cells: memoryview[int]) -> None:
        self.index = index
        self.cells = cells


class Board:
    """`rows` and `columns` are the capacity, fixed for life because the mapping is inherited, not reopened."""

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self.capacity = rows
        self._cells = memoryview(mmap.mmap(-1, rows * columns * _CELL)).cast("q")
        self._columns = [Column(i, self._cells[i * rows : (i + 1) * rows]) for i in range(columns)]
        self._free = list(range(columns - 1, SUPERVISOR, -1))
        self._blocks: dict[tuple[str, Labels], Block] = {}
        self._shared: WeakValueDictionary[tuple[str, int], Shared] = WeakValueDictionary()
        self._size = 0
        self._high = self.rows("columns", gauge=True)  # columns ever used: readers need not look further

    # -- rows: supervisor only, before the fork

    def rows(self, name: str, labels: Labels = (), size: int = 1, *, gauge: bool = False) -> int:
        """The first of `size` rows called `name` and `labels`. Raises BoardFull; ValueError if they exist with another size."""
        block = self._blocks.get((name, labels))
        if block is None:
            if self._size + size > self.capacity:
                raise BoardFull(
                    f"no room for {name}: all {self.capacity} rows of the board are taken by sites and routes"
                )
            block = self._blocks[name, labels] = Block(name, labels, self._size, size, gauge)
            self._size += size
        elif (block.size, block.gauge) != (size, gauge):
            raise ValueError(f"{name} has {block.size} rows of another shape")
        return block.first

    def blocks(self) -> Iterator[Block]:
        """Every block, oldest first."""
        return iter(self._blocks.values())

    def shared(self, name: str, size: int) -> Shared:
        """`size` bytes (a multiple of 8) of memory that is no column's, zeros at first. The same name and size are the same
        memory as long as anybody in the supervisor holds it: a plan does, so it outlives reloads. Raises OSError."""
        memory = self._shared.get((name, size))
        if memory is None:
            memory = self._shared[name, size] = Shared.make(name, size)
        return memory

    def secret(self, name: str, size: int) -> Shared:
        """The same, of random bytes. Raises OSError."""
        memory = self.shared(name, size)
        if not any(memory.bytes):
            memory.bytes[:] = os.urandom(size)
        return memory

    # -- columns: supervisor only

    def claim(self) -> Column:
        """A column for a process that is about to be forked. Raises BoardFull."""
        if not self._free:
            raise BoardFull(f"no room for another process: all {len(self._columns)} columns of the board are in use")
        column = self._columns[self._free.pop()]
        high = self.supervisor.cells
        high[self._high] = max(high[self._high], column.index)
        return column

    def release(self, column: Column) -> None:
        """The process was reaped: clear its gauges, keep its counters, and give the column to whoever comes next."""
        for block in self._blocks.values():
            if block.gauge:
                column.cells[block.first : block.first + block.size] = memoryview(bytes(block.size * _CELL)).cast("q")
        self._free.append(column.index)

    @property
    def free(self) -> int:
        """How many more processes there is room for."""
        return len(self._free)

    # -- reading: everybody

    @property
    def supervisor(self) -> Column:
        return self._columns[SUPERVISOR]

    def columns(self) -> list[Column]:
        """Every column that was ever used, the supervisor's first."""
        return self._columns[: self.supervisor.cells[self._high] + 1]

    def totals(self, first: int, size: int = 1) -> list[int]:
        """The sums over all processes, past and present, of `size` rows from `first` on."""
        return [
            sum(cells) for cells in zip(*(c.cells[first : first + size].tolist() for c in self.columns()), strict=True)
        ]

    def total(self, row: int) -> int:
        return self.totals(row)[0]
