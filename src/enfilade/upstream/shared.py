"""What workers tell each other of their peers, over rows of the board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Shared(Protocol):
    """Times are seconds of the monotonic clock, which all processes of a machine have in common; 0 is never."""

    def tell(self, row: int, until: float) -> None:
        """This worker's word: what `row` stands for holds until then."""

    def heard(self, row: int) -> float:
        """The latest of what the other workers say."""


class SharedTimes:
    """Milliseconds in gauge rows: each worker writes its own `cells`, and reads `others` (the same list for good, kept up to
    date by its owner). What a process has told ends with it, for the board clears the gauges of those that are gone."""

    __slots__ = ("_cells", "_others")

    def __init__(self, cells: memoryview[int], others: Sequence[memoryview[int]]) -> None:
        self._cells = cells
        self._others = others

    def tell(self, row: int, until: float) -> None:
        """See `Shared.tell`."""
        self._cells[row] = round(until * 1000)

    def heard(self, row: int) -> float:
        """See `Shared.heard`."""
        return max([cells[row] for cells in self._others], default=0) / 1000
