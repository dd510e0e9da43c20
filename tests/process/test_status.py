"""Who is there."""

from __future__ import annotations

import os

from enfilade.process.board import Board
from enfilade.process.control import State
from enfilade.process.status import ReloadStatus, StatusRows, is_worker, read_status, reload_outcome


def test_a_worker_is_one_until_it_is_buried() -> None:
    board = Board(rows=32, columns=3)
    rows, column = StatusRows(board), board.claim()
    rows.supervisor_born(board.supervisor)
    assert not is_worker(board, os.getpid()), "the supervisor is none"
    rows.worker_born(column, "edge", 0, 1, 0)
    assert is_worker(board, os.getpid())
    board.release(column)
    assert not is_worker(board, os.getpid())


def test_workers_are_shown_by_crew_and_counted_by_it() -> None:
    board = Board(rows=64, columns=5)
    rows = StatusRows(board)
    zen, columns = rows.crew("streams.zen"), [board.claim() for _ in range(3)]
    for column, crew, slot in zip(columns, ("streams.zen", "edge", "edge"), (0, 1, 0), strict=True):
        rows.worker_born(column, crew, slot, 1, 0)
        rows.worker_state(column, State.SERVING)
    found = [(worker["crew"], worker["slot"]) for worker in read_status(board)["workers"]]
    assert found == [("edge", 0), ("edge", 1), ("streams.zen", 0)]
    assert (board.total(rows.crew("edge")), board.total(zen)) == (2, 1)
    board.release(columns[0])
    assert board.total(zen) == 0


def test_a_crew_that_came_after_the_fork_has_no_name_here() -> None:
    board = Board(rows=64, columns=3)
    rows, column = StatusRows(board), board.claim()
    rows.worker_born(column, "edge", 0, 1, 0)
    column.cells[rows.process + 1] = 63  # a row that only the supervisor and later workers know
    assert [worker["crew"] for worker in read_status(board)["workers"]] == [""]


def test_the_outcome_of_a_reload_is_that_of_one_which_began_after_it_was_asked_for() -> None:
    """One that was in progress may have read the files before their last change."""
    board = Board(rows=64, columns=3)
    rows = StatusRows(board)

    def reload() -> ReloadStatus:
        return read_status(board)["reload"]

    rows.reload_asked(board.supervisor)
    before = reload()
    assert reload_outcome(before, reload()) is None
    rows.reload_asked(board.supervisor)
    asked = reload()["asked"]
    assert reload_outcome(before, reload()) is None
    rows.reload_answered(board.supervisor, asked - 1, refused=True)
    assert reload_outcome(before, reload()) is None, "that of the one before"
    rows.reload_answered(board.supervisor, asked, refused=False)
    assert reload_outcome(before, reload()) is True
    rows.reload_asked(board.supervisor)
    rows.reload_answered(board.supervisor, asked + 1, refused=True)
    assert reload_outcome(before, reload()) is False
