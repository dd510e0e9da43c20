"""How many there are now of each of any number of things, counted over all processes in memory of a fixed size.

A count-min sketch (Cormode and Muthukrishnan, 2005): each thing has a cell in each of DEPTH rows, and its number is the least
of them. What others in the same cells make of it is too many, never too few, and no stranger can make it forget anybody. As
nobody can choose who meets whom there (a secret hash), all of one's cells must be full of others before one is taken for many.

Each process counts in cells of its own, so none needs a lock, and what a process that was killed has counted goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

DEPTH, WIDTH = 4, 8192
SIZE = DEPTH * WIDTH
"""Cells that each process needs, zeros at first."""
_BITS = 13
"""Of a hash, to choose one of WIDTH cells."""


class Sketch:
    """`mine`: the SIZE cells of this process; `everybody`: those of all processes that live, ours among them."""

    def __init__(self, mine: memoryview[int], everybody: Callable[[], Sequence[memoryview[int]]]) -> None:
        self._mine = mine
        self._everybody = everybody

    def places(self, what: int) -> list[int]:
        """The cells of the thing with the hash `what` (64 bits that strangers cannot choose)."""
        return [row * WIDTH + (what >> row * _BITS) % WIDTH for row in range(DEPTH)]

    def count(self, places: Sequence[int]) -> int:
        """How many there are; rather too many."""
        everybody = self._everybody()
        return min([sum([cells[place] for cells in everybody]) for place in places])

    def add(self, places: Sequence[int], number: int) -> None:
        """There are so many more in this process, or fewer."""
        mine = self._mine
        for place in places:
            mine[place] += number
