"""Sketches on the board, in which all workers count together."""

from __future__ import annotations

from enfilade.limits.sketch import SIZE, Sketch
from enfilade.process.board import Board, Column


def sketch_of(board: Board, column: Column, first: int) -> Sketch:
    """The one in the rows from `first` on, of the worker that has this column."""
    cells: list[memoryview[int]] = []

    def everybody() -> list[memoryview[int]]:
        columns = board.columns()
        if len(columns) > len(cells):
            cells.extend([column.cells[first : first + SIZE] for column in columns[len(cells) :]])
        return cells

    return Sketch(column.cells[first : first + SIZE], everybody)
