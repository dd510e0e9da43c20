"""What `enfilade bench app` has measured as tables: one for each kind of work and place of the application."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from enfilade.measure.app_reading import reading
from enfilade.measure.app_rows import MODES, Mode, Result, Row
from enfilade.measure.app_ways import SECONDS
from enfilade.measure.table import count, markdown, megabytes, milliseconds, number, paragraphs, text

_COLUMNS: dict[str, Callable[[Row], str]] = {
    "": lambda row: row.way.title,
    "workers": lambda row: str(row.workers),
    "requests/s": lambda row: number(row.rate),
    "p50": lambda row: milliseconds(row.p50),
    "p99": lambda row: milliseconds(row.p99),
    "done/s": lambda row: number(row.done_rate),
    "/ping p50": lambda row: milliseconds(row.ping.p50),
    "worst": lambda row: milliseconds(row.ping.worst),
    "/beside worst": lambda row: milliseconds(row.beside.worst),
    "memory": lambda row: megabytes(row.memory),
    "threads": lambda row: str(row.threads),
    "processes": lambda row: str(row.processes),
}
"""Each column, and what stands in it."""
LEGEND = (
    "done/s: pieces of work that were finished, which for background tasks is not what was answered; /ping: how long a request "
    "for nothing waited in the same application meanwhile; /beside: the same for what the edge worker answers by itself; "
    "memory: what n processes share counts 1/n in each (PSS); threads, processes: of the whole server."
)
TITLES = {
    "wait": "waiting {ms:g} ms for somebody else, {mode}, {clients}",
    "compute": "computing for {ms:g} ms, {mode}, {clients}",
}


def lines(result: Result) -> Iterator[str]:
    """For the terminal: the tables, and what they say."""
    for kind in SECONDS:
        for mode in MODES:
            if rows := _rows(result, kind, mode):
                title = TITLES[kind].format(ms=SECONDS[kind] * 1000, mode=mode, clients=count(result.clients, "client"))
                yield f"\n{title}"
                yield from text(list(_COLUMNS), [_cells(row) for row in rows])
    yield from paragraphs([LEGEND, *reading(result)])


def page(result: Result, kind: str, mode: Mode) -> Iterator[str]:
    """For a page: one of these tables."""
    yield from markdown(list(_COLUMNS), [_cells(row) for row in _rows(result, kind, mode)])


def _rows(result: Result, kind: str, mode: Mode) -> list[Row]:
    return [row for row in result.of(kind) if row.mode == mode]


def _cells(row: Row) -> list[str]:
    return [show(row) for show in _COLUMNS.values()]
