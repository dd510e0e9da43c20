"""What is known of a store, by all workers together."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

CELLS = 4
SIZE = CELLS * 8
"""Bytes of memory that a Tally needs."""
_ANSWERS, _USED, _EVICTED, _FAILURES = range(CELLS)


class Figures(NamedTuple):
    """Of a store: its `answers`, less the signposts that lead to them; bytes that are `used` of its `budget`; answers that
    had to leave for others, since the server started."""

    answers: int
    used: int
    budget: int
    evicted: int


class Tally:
    """Over `cells`, SIZE bytes of zeros at first that all workers share; who writes has it `locked`. By default it is this
    worker's own."""

    def __init__(
        self, cells: memoryview[int] | None = None, locked: AbstractContextManager[object] | None = None
    ) -> None:
        self._cells = memoryview(bytearray(SIZE)).cast("q") if cells is None else cells
        self._locked = nullcontext() if locked is None else locked

    def counted(self, answers: int, used: int, evicted: int) -> None:
        """Somebody has counted what there is, after so many had to leave."""
        with self._locked:
            self._cells[_ANSWERS] = answers
            self._cells[_USED] = used
            self._cells[_EVICTED] += evicted

    def failed(self) -> None:
        with self._locked:
            self._cells[_FAILURES] += 1

    @property
    def failures(self) -> int:
        """What could not be read, written or removed, since the server started."""
        return self._cells[_FAILURES]

    def figures(self, budget: int) -> Figures:
        cells = self._cells
        return Figures(cells[_ANSWERS], cells[_USED], budget, cells[_EVICTED])
