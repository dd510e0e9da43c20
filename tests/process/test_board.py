"""The board: exact totals over processes that come and go in whatever way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from enfilade.process.board import Board, BoardFull, Column


def fork(column: Column, work: Callable[[memoryview[int]], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work(column.cells)
        finally:
            os._exit(0)
    return pid


def test_the_same_name_and_labels_are_the_same_rows() -> None:
    board = Board(rows=64, columns=4)
    first = board.rows("x", (("site", "a"),), 3)
    assert board.rows("y") == first + 3
    assert board.rows("x", (("site", "b"),), 3) != first
    assert board.rows("x", (("site", "a"),), 3) == first
    with pytest.raises(ValueError, match="another shape"):
        board.rows("x", (("site", "a"),), 4)


def test_a_full_board_says_so_and_keeps_what_it_has() -> None:
    board = Board(rows=8, columns=2)
    board.rows("x", size=6)
    with pytest.raises(BoardFull, match="no room for y"):
        board.rows("y", size=2)
    assert board.rows("z") == 7
    board.claim()
    with pytest.raises(BoardFull, match="another process"):
        board.claim()


def test_counters_stay_and_gauges_go_with_their_process() -> None:
    board = Board(rows=64, columns=3)
    counter, gauge = board.rows("c"), board.rows("g", gauge=True)
    for _ in range(5):
        column = board.claim()

        def work(cells: memoryview[int]) -> None:
            cells[counter] += 7
            cells[gauge] += 1

        os.waitpid(fork(column, work), 0)
        assert board.total(gauge) == 1
        board.release(column)
    assert (board.total(counter), board.total(gauge)) == (35, 0)
    assert board.free == 2


def test_totals_are_exact_over_processes_that_count_at_the_same_time() -> None:
    board = Board(rows=64, columns=5)
    row = board.rows("c", size=2)

    def work(cells: memoryview[int]) -> None:
        for _ in range(20000):
            cells[row] += 1
            cells[row + 1] += 3

    for pid in [fork(board.claim(), work) for _ in range(4)]:
        os.waitpid(pid, 0)
    assert board.totals(row, 2) == [80000, 240000]


def test_a_kill_in_the_middle_of_counting_loses_nothing_and_counts_nothing_twice() -> None:
    board = Board(rows=64, columns=2)
    row = board.rows("c")
    reader, writer = os.pipe()

    def work(cells: memoryview[int]) -> None:
        start = cells[row]
        os.write(writer, b"x")
        while True:
            cells[row] += 1
            assert cells[row] > start

    last = 0
    for _ in range(10):
        column = board.claim()
        pid = fork(column, work)
        os.read(reader, 1)
        while board.total(row) < last + 1000:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        at_death = board.total(row)
        board.release(column)
        assert board.total(row) == at_death >= last + 1000
        last = at_death
    os.close(reader)
    os.close(writer)


def test_a_total_never_goes_back_while_processes_change() -> None:
    board = Board(rows=64, columns=3)
    row = board.rows("c")
    seen = [0]
    for _ in range(20):
        column = board.claim()
        pid = fork(column, lambda cells: [cells.__setitem__(row, cells[row] + 1) for _ in range(2000)] and None)
        while not os.waitpid(pid, os.WNOHANG)[0]:
            seen.append(board.total(row))
        board.release(column)
        seen.append(board.total(row))
    assert seen == sorted(seen)
    assert seen[-1] == 40000


def test_rows_taken_after_a_fork_are_seen_by_later_processes() -> None:
    board = Board(rows=64, columns=3)
    early = board.rows("early")
    os.waitpid(fork(board.claim(), lambda cells: cells.__setitem__(early, 1)), 0)
    late = board.rows("late")
    os.waitpid(fork(board.claim(), lambda cells: cells.__setitem__(late, board.total(early) + 1)), 0)
    assert board.total(late) == 2
