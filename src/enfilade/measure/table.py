"""Figures as words and tables, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shutil import get_terminal_size
from textwrap import fill

Cells = Sequence[Sequence[str]]
WIDTH = 110
"""Characters of a paragraph's line at most."""


def text(titles: Sequence[str], rows: Cells) -> Iterator[str]:
    """The first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "  ".join(cells).rstrip()


def markdown(titles: Sequence[str], rows: Cells) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"| --- |{' ---: |' * (len(titles) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def paragraphs(texts: Iterable[str]) -> Iterator[str]:
    """Each behind an empty line, as wide as can be read well, and as the terminal is."""
    width = min(WIDTH, get_terminal_size((WIDTH, 0)).columns)
    for text in texts:
        yield f"\n{fill(text, width)}"


def count(number: int, noun: str) -> str:
    """ "1 client", "1,000 clients"."""
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}" if number != 1 else f"1 {noun}"


def number(value: float) -> str:
    """Three digits that mean something: "12,300", "456", "7.89"."""
    if value >= 100:
        digits = len(str(round(value)))
        return f"{round(value, 3 - digits):,.0f}"
    return f"{value:.3g}"


def milliseconds(seconds: float) -> str:
    return f"{number(seconds * 1000)} ms"


def megabytes(size: float) -> str:
    return f"{number(size / 1e6)} MB"
