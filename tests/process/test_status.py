"""Who is there."""

from __future__ import annotations

import os

from enfilade.process.board import Board
from enfilade.process.status import StatusRows, is_worker


def test_a_worker_is_one_until_it_is_buried() -> None:
    board = Board(rows=32, columns=3)
    rows, column = StatusRows(board), board.claim()
    rows.supervisor_born(board.supervisor)
    assert not is_worker(board, os.getpid()), "the supervisor is none"
    rows.worker_born(column, 0, 1, 0)
    assert is_worker(board, os.getpid())
    board.release(column)
    assert not is_worker(board, os.getpid())
