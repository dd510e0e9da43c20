"""What limits have counted, in memory that all workers share, without a lock.

A worker cannot add to a number that another one adds to: one of the two would get lost, or, where one is stopped in the middle,
thousands. So each counts what it lets through in a cell of its own, which it alone writes, and what counts is the sum.

A place in the table is a key's, one of WAYS, and a key that has none takes the one that can best be forgotten: a stranger with
many addresses can fill the table and make it forget those who hardly ever come.
"""

from __future__ import annotations

from struct import Struct
from typing import Generic, TypeVar

from enfilade.limits.bucket import Bucket
from enfilade.limits.window import Window

WAYS = 8
"""Places in which a key can be."""
SETS = 8192
"""Each of WAYS places: together the keys that are known at once."""
_WHOSE, _PACE, _SINCE, _BASE, _BEFORE, _COUNTS = range(6)
"""The cells of a place; from _COUNTS on, one for each worker."""
Row = tuple[int, ...]
"""The cells of a place, as they were read."""


def table_size(workers: int, sets: int = SETS) -> int:
    """Bytes of memory, zeros at first, that a table needs."""
    return sets * WAYS * (_COUNTS + workers) * 8


Spot = tuple[int, int]
"""Whom it is about (a hash of 64 bits that strangers cannot choose; not 0), and the first place where that can be."""
Left = tuple[int, int, int]
"""Where a request is counted, how many more may come now, and the nanoseconds until one more may."""
By = TypeVar("By", Bucket, Window)


class Table(Generic[By]):
    """Over `cells`, `table_size(workers)` bytes that all workers share; this is the one with the number `me`, from 0 on. For the
    moment of a reload two processes have one number: what they count in the same microsecond may count once.

    `now`, here and below: nanoseconds of a clock that all workers have in common."""

    def __init__(self, cells: memoryview[int], workers: int, me: int) -> None:
        self._cells = cells
        self._width = _COUNTS + workers
        self._set = WAYS * self._width
        self._sets = len(cells) // self._set
        self._mine = _COUNTS + me
        # As native integers: each is read in one piece.
        self._read = Struct(f"@{self._width}q").unpack_from

    def spot(self, whose: int) -> Spot:
        return whose, whose % self._sets * self._set

    def look(self, by: By, spot: Spot, now: int) -> Left:
        raise NotImplementedError

    def count(self, place: int, number: int = 1) -> None:
        """A request was let through, which counts as so many."""
        self._cells[place + self._mine] += number

    def whose(self, place: int) -> tuple[int, int]:
        """Who has the place, and at which pace."""
        return self._cells[place + _WHOSE], self._cells[place + _PACE]

    def _find(self, spot: Spot, pace: int, now: int) -> tuple[int, Row]:
        """The place of `spot`, and its cells. It may be another's later."""
        whose, first = spot
        cells, width = self._cells, self._width
        for place in range(first, first + self._set, width):
            if cells[place] == whose:
                return place, self._read(cells, place * 8)
        return self._take(first, whose, pace, now)

    def _take(self, first: int, whose: int, pace: int, now: int) -> tuple[int, Row]:
        cells, width = self._cells, self._width
        # Of those that owe nothing, who has not for longest: never one that was found a moment ago, and is to be counted now.
        rows = [(place, self._read(cells, place * 8)) for place in range(first, first + self._set, width)]
        place, row = min(rows, key=lambda found: self._owed(found[1]))
        cells[place + _PACE] = pace
        cells[place + _BASE] = cells[place + _BEFORE] = sum(row[_COUNTS:])
        cells[place + _SINCE] = now
        cells[place + _WHOSE] = whose
        return place, self._read(cells, place * 8)

    def _owed(self, row: Row) -> int:
        """The time from which nothing is lost if what the row says is forgotten."""
        raise NotImplementedError


class Buckets(Table[Bucket]):
    """The debt of a bucket (limits/bucket.py) is made of the sum: it had none at _SINCE, when the sum was _BASE, so it owes
    `(sum - base) * pace` less the time that has passed.

    A bucket without debt is dated anew by whoever finds it so. Whatever another worker counts meanwhile is in the sum, so two who
    do it at once write the same, and one who comes late with it takes nothing away. What remains: workers that look in the same
    moment all see the last free place, so of W workers, W - 1 requests too many may go through."""

    def look(self, by: Bucket, spot: Spot, now: int) -> Left:
        whose, place = spot
        cells, read = self._cells, self._read
        row = read(cells, place * 8)
        if row[_WHOSE] != whose:
            place, row = self._find(spot, by.interval, now)
        total = sum(row[_COUNTS:])
        debt = row[_SINCE] + (total - row[_BASE]) * row[_PACE] - now
        if debt > 0:
            free, more = by.look(debt)
            return place, free, more
        # In this order: who looks in between sees a bucket that owes less, not one that owes what it never did.
        cells[place + _BASE] = total
        cells[place + _SINCE] = now
        return place, by.size, by.interval

    def _owed(self, row: Row) -> int:
        return row[_SINCE] + (sum(row[_COUNTS:]) - row[_BASE]) * row[_PACE]


class Windows(Table[Window]):
    """Of a window (limits/window.py), _SINCE is when the present one began, _BASE the sum at that moment, and _BEFORE that when
    the last one did.

    Whoever comes first into a new one moves them on; what others count in the moment in which two do it is taken for the last
    window's."""

    def look(self, by: Window, spot: Spot, now: int) -> Left:
        length = by.length
        start = now - now % length
        place, row = self._find(spot, length, start)
        total = sum(row[_COUNTS:])
        base, before = row[_BASE], row[_BEFORE]
        if row[_SINCE] != start:
            before = base if row[_SINCE] == start - length else total
            base = total
            cells = self._cells
            # In this order: who looks in between sees too much counted, not too little.
            cells[place + _SINCE] = start
            cells[place + _BEFORE] = before
            cells[place + _BASE] = base
        free, more = by.look(total - base, base - before, now - start)
        return place, free, more

    def _owed(self, row: Row) -> int:
        return row[_SINCE] + 2 * row[_PACE] if sum(row[_COUNTS:]) > row[_BEFORE] else row[_SINCE]
