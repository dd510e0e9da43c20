"""A measurement of the models as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from enfilade.measure.reading import reading
from enfilade.measure.samples import Measurement, Sample
from enfilade.measure.table import count, markdown, number, paragraphs, text

_COLUMNS: dict[str, Callable[[Sample], str]] = {
    "model": lambda s: s.name,
    "requests/s": lambda s: number(s.rate),
    "p50 ms": lambda s: number(s.p50 * 1000) if s.rate else "-",
    "p99 ms": lambda s: number(s.p99 * 1000) if s.rate else "-",
    "served": lambda s: f"{s.served}/{s.clients}",
    "memory MB": lambda s: number(s.memory / 1e6) if s.processes else "-",
    "threads": lambda s: str(s.threads) if s.processes else "-",
    "processes": lambda s: str(s.processes) if s.processes else "-",
    "switches": lambda s: f"{s.switches:.2f}" if s.processes else "-",
    "cores": lambda s: f"{s.cpu:.2f}" if s.processes else "-",
    "us/request": lambda s: number(s.cpu_request * 1e6) if s.processes and s.rate else "-",
}
"""Each column, and what stands in it."""
LEGEND = (
    "served: clients that had an answer at all; memory, threads, processes: of the workers, with all connections open, where "
    "memory that n processes share counts 1/n in each (PSS); switches: context switches for each request; cores: how many the "
    "workers kept busy; us/request: microseconds of processor time."
)


def lines(measurement: Measurement) -> Iterator[str]:
    """For the terminal: a table for each number of clients, with what went wrong; and what all of it says."""
    for clients in measurement.crowds:
        samples = measurement.of(clients)
        yield f"\n{count(clients, 'client')}"
        if samples:
            yield from text(list(_COLUMNS), [_cells(sample) for sample in samples])
        yield from (f"  {trouble}" for trouble in troubles(measurement, clients))
    yield from paragraphs([LEGEND, *reading(measurement)])


def page(measurement: Measurement, clients: int) -> Iterator[str]:
    """For a page: one of these tables."""
    yield from markdown(list(_COLUMNS), [_cells(sample) for sample in measurement.of(clients)])


def troubles(measurement: Measurement, clients: int) -> Iterator[str]:
    """What was not as it should be, a line for each model."""
    for sample in measurement.samples:
        if sample.clients == clients:
            if sample.problem:
                yield f"{sample.name} was not measured: {sample.problem}"
            if said := _trouble(sample):
                yield f"{sample.name}: {', '.join(said)}"


def _trouble(sample: Sample) -> list[str]:
    counts = {**sample.errors, "datagrams sent again": sample.sent_again, "late answers": sample.late}
    return [f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items() if count]


def _cells(sample: Sample) -> list[str]:
    return [show(sample) for show in _COLUMNS.values()]
