"""The buckets of all limits, in memory that all workers share, without a lock.

A worker cannot add to a number that another one adds to: one of the two would get lost, or, where one is stopped in the middle,
thousands. So each counts what it lets through in a cell of its own, which it alone writes, and the debt of a bucket is made of
the sum: it had none at `since`, when the sum was `base`, so it owes `(sum - base) * interval` less the time that has passed.
A bucket without debt is dated anew by whoever finds it so. Whatever another worker counts meanwhile is in the sum, so two who do
it at once write the same, and one who comes late with it takes nothing away. What remains: workers that look in the same moment
all see the last free place, so of W workers, W - 1 requests too many may go through.

A bucket lies in one of WAYS places, and a key that has none takes the one that owes the least: a stranger with many addresses can
fill the table and make it forget those who hardly ever come.
"""

from __future__ import annotations

from enfilade.limits.bucket import Bucket

WAYS = 8
"""Places in which a bucket can be."""
SETS = 8192
"""Each of WAYS places: together the buckets that are known at once."""
_WHOSE, _INTERVAL, _SINCE, _BASE, _COUNTS = range(5)
"""The cells of a place; from _COUNTS on, one for each worker."""


def table_size(workers: int, sets: int = SETS) -> int:
    """Bytes of memory, zeros at first, that a table needs."""
    return sets * WAYS * (_COUNTS + workers) * 8


class Table:
    """Over `cells`, `table_size(workers)` bytes that all workers share; this is the one with the number `me`, from 0 on. For the
    moment of a reload two processes have one number: what they count in the same microsecond may count once."""

    def __init__(self, cells: memoryview[int], workers: int, me: int) -> None:
        self._cells = cells
        self._width = _COUNTS + workers
        self._sets = len(cells) // (WAYS * self._width)
        self._mine = _COUNTS + me

    def find(self, whose: int, bucket: Bucket, now: int) -> int:
        """The place of the bucket of `whose` (a hash of 64 bits that strangers cannot choose; not 0), at `now` (nanoseconds of a
        clock that all workers have in common). It may be another's later."""
        cells, width = self._cells, self._width
        first = whose % self._sets * WAYS * width
        for place in range(first, first + WAYS * width, width):
            if cells[place] == whose:
                return place
        return self._take(first, whose, bucket, now)

    def debt(self, place: int, now: int) -> int:
        """Nanoseconds that the bucket at `place` owes."""
        total, full = self._read(place)
        if full > now:
            return full - now
        cells = self._cells
        # In this order: who looks in between sees a bucket that owes less, not one that owes what it never did.
        cells[place + _BASE] = total
        cells[place + _SINCE] = now
        return 0

    def count(self, place: int) -> None:
        """One request was let through."""
        self._cells[place + self._mine] += 1

    def _read(self, place: int) -> tuple[int, int]:
        """The sum of what all workers counted, and when the bucket owes nothing any more."""
        cells = self._cells
        total = sum(cells[place + _COUNTS : place + self._width])
        return total, cells[place + _SINCE] + (total - cells[place + _BASE]) * cells[place + _INTERVAL]

    def _take(self, first: int, whose: int, bucket: Bucket, now: int) -> int:
        cells, width = self._cells, self._width
        # Of those that owe nothing, who has not for longest: never one that was found a moment ago, and is to be counted now.
        place = min(range(first, first + WAYS * width, width), key=lambda place: self._read(place)[1])
        cells[place + _INTERVAL] = bucket.interval
        cells[place + _BASE], _ = self._read(place)
        cells[place + _SINCE] = now
        cells[place + _WHOSE] = whose
        return place
