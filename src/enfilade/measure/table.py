"""Tables of figures, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Cells = Sequence[Sequence[str]]


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
