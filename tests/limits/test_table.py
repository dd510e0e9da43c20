"""The table of buckets: shared by workers without a lock, bounded."""

from __future__ import annotations

import os
import time

import pytest
from tests.limits.kit import tables

from enfilade.limits.bucket import Bucket
from enfilade.limits.table import WAYS, Buckets, table_size
from enfilade.process.shared import Shared

BUCKET = Bucket(10, 100)


def take(table: Buckets, whose: int, now: int, bucket: Bucket = BUCKET) -> bool:
    place, free, _ = table.look(bucket, table.spot(whose), now)
    if free:
        table.count(place)
    return bool(free)


def buckets(workers: int, sets: int = 16) -> list[Buckets]:
    return [both.buckets for both in tables(workers, sets)]


def test_one_bucket_for_all_workers() -> None:
    workers = buckets(3)
    assert sum(take(workers[i % 3], 7, 1000) for i in range(30)) == 10
    assert sum(take(workers[i % 3], 7, 1500) for i in range(30)) == 5
    assert sum(take(workers[i % 3], 8, 1500) for i in range(30)) == 10


def test_a_negative_hash_is_one_too() -> None:
    (table,) = buckets(1)
    assert sum(take(table, -7, 0) for _ in range(30)) == 10


def test_who_was_stopped_in_the_middle_takes_nothing_back() -> None:
    """A worker that has found a bucket empty of debt, and writes it down only after others let many through."""
    one, two = buckets(2)
    one.look(BUCKET, one.spot(7), 1000)
    cells = one._cells

    class Late:
        """The cells, into which nothing is written before others have let many through."""

        def __setitem__(self, key: int, value: int) -> None:
            if not self.done:
                self.done = True
                assert sum(take(two, 7, 1005) for _ in range(30)) == 10
            cells[key] = value

        done = False

    read = one._read
    one._cells, one._read = Late(), lambda _, at: read(cells, at)  # type: ignore[assignment]
    one.look(BUCKET, one.spot(7), 1004)
    assert not take(two, 7, 1005)


def test_it_forgets_who_owes_least() -> None:
    (table,) = buckets(1, sets=1)
    for whose in range(1, WAYS + 1):
        for _ in range(10 if whose != 3 else 1):
            take(table, whose, 0)
    assert take(table, 99, 0), "for whom there is no place"
    assert not any(take(table, whose, 0) for whose in range(1, WAYS + 1) if whose != 3)


def test_who_was_found_a_moment_ago_keeps_the_place() -> None:
    """As where a request has two limits, and both are found before either is counted."""
    (table,) = buckets(1, sets=1)
    for now in (1000, 2000):
        assert len({table.look(BUCKET, table.spot(now + i), now)[0] for i in range(WAYS)}) == WAYS


def test_the_memory_of_another_limit_is_no_debt_of_ours() -> None:
    (table,) = buckets(1, sets=1)
    for whose in range(1, WAYS + 1):
        take(table, whose, 0, Bucket(1, 10**15))
    assert sum(take(table, 99, 0) for _ in range(30)) == 10


@pytest.mark.parametrize("workers", [2, 4])
def test_of_many_processes_at_once(workers: int) -> None:
    """At most one too many for each worker but one; never one too few."""
    size, bucket = 5000, Bucket(5000, 10**12)
    shared = Shared.make("limits", table_size(workers))
    gate_read, gate_write = os.pipe()
    children = []
    for me in range(workers):
        told_read, told_write = os.pipe()
        pid = os.fork()
        if not pid:
            passed = 0
            try:
                os.close(gate_write)
                table = Buckets(shared.cells, workers, me)
                os.read(gate_read, 1)  # until everybody is there
                passed = sum(take(table, 7, time.monotonic_ns(), bucket) for _ in range(size + 10))
                os.write(told_write, passed.to_bytes(4, "big"))
            finally:
                os._exit(0)
        os.close(told_write)
        children.append((pid, told_read))
    os.close(gate_read)
    os.close(gate_write)
    total = 0
    for pid, told in children:
        total += int.from_bytes(os.read(told, 4), "big")
        os.close(told)
        os.waitpid(pid, 0)
    assert size <= total <= size + workers
