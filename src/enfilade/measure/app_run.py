"""Measures `demo_app`: each way of its work, inline and in workers of its own, each with a server started afresh."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import uvloop

from enfilade.measure.app_client import ANSWER, Load, Probe, WrongAnswerError, connected
from enfilade.measure.app_rows import MODES, About, Mode, Result, Row, Waits
from enfilade.measure.app_ways import COMPUTE, TALLY
from enfilade.measure.histogram import Histogram
from enfilade.measure.procfs import Usage, descendants, usage
from enfilade.measure.samples import this_machine
from enfilade.measure.server import NoServer, Running, server
from enfilade.measure.table import count
from enfilade.measure.work import ROUNDS, rounds_for

PROBES = 40
"""Questions of each probe that may be unanswered at once."""
PROBED = 10.0
"""Seconds in which what probes have asked may be answered, with the load still on; what is not counts as so long."""

CONFIG = """\
[server]
http = "127.0.0.1:0"
workers = {edges}

[sites."*"]
log = false
"/beside" = {{ respond = {answer} }}
"/*" = {{ app = "demo" }}

[apps.demo]
target = "enfilade.measure.demo_app:app"
{place}
"""
PLACES: dict[Mode, str] = {"inline": "inline = true", "isolated": "workers = {workers}"}


class AppBenchError(Exception):
    """What was to be measured did not start, or does not answer as it must."""


class Cell(NamedTuple):
    """What is measured in one go: a route of the application, and where that runs."""

    route: str
    mode: Mode
    workers: int

    def __str__(self) -> str:
        return f"{self.route}, {self.mode}, {count(self.workers, 'worker')}"

    def configuration(self) -> str:
        """With one edge worker in front of isolated ones, as `enfilade run` has it for up to four of them."""
        return CONFIG.format(
            edges=self.workers if self.mode == "inline" else 1,
            answer=json.dumps(ANSWER.decode()),
            place=PLACES[self.mode].format(workers=self.workers),
        )


def cells(routes: Sequence[str], workers: Sequence[int]) -> list[Cell]:
    return [Cell(route, mode, number) for route in routes for mode in MODES for number in workers]


def measure(what: Sequence[Cell], clients: int, seconds: float, told: Callable[[str], None]) -> Result:
    """All cells, one after the other; `told` hears what is being measured. Raises AppBenchError."""
    environment = {ROUNDS: str(rounds_for(COMPUTE))}
    rows = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for number, cell in enumerate(what, 1):
            told(f"[{number}/{len(what)}] {cell}")
            with _serving(cell, environment) as served:
                about, row = runner.run(_load(served, cell, clients, seconds))
            rows.append(row)
    return Result(clients=clients, machine=this_machine(), about=about, rows=rows)


class _Moment(NamedTuple):
    """What was so far: `own` is processor time of the clients, `done` pieces of work."""

    time: float
    own: float
    done: int
    usage: Usage


class _Served(NamedTuple):
    """A server, and the file that grows with each piece of work that is done there."""

    running: Running
    tally: Path

    @property
    def port(self) -> int:
        return urlsplit(self.running.url).port or 0

    def look(self) -> _Moment:
        pids = [self.running.pid, *descendants(self.running.pid)]
        return _Moment(perf_counter(), process_time(), self.tally.stat().st_size, usage(pids))


@contextmanager
def _serving(cell: Cell, environment: Mapping[str, str]) -> Iterator[_Served]:
    """Raises AppBenchError."""
    with tempfile.TemporaryDirectory(prefix="enfilade-bench-") as name:
        file, tally = Path(name, "enfilade.toml"), Path(name, "tally")
        file.write_text(cell.configuration())
        tally.touch()
        try:
            with server(["up", "-c", str(file)], {**environment, TALLY: str(tally)}) as running:
                yield _Served(running, tally)
        except NoServer as error:
            raise AppBenchError(f"{cell}: {error}") from None


async def _load(served: _Served, cell: Cell, clients: int, seconds: float) -> tuple[About, Row]:
    try:
        async with connected(served.port, 1 + 2 * PROBES + clients) as (one, *others):
            about = msgspec.json.decode(await one.get("/about"), type=About)
            probes = Probe(others[:PROBES], "/ping"), Probe(others[PROBES : 2 * PROBES], "/beside")
            return about, await _span(served, cell, Load(others[2 * PROBES :], f"/{cell.route}"), *probes, seconds)
    except* WrongAnswerError as errors:
        raise AppBenchError("\n".join([f"{cell}: {first(errors)}", *served.running.printed])) from None


async def _span(served: _Served, cell: Cell, load: Load, ping: Probe, beside: Probe, seconds: float) -> Row:
    """When all are under way, from one answer to another, about `seconds` later: where answers come many at a time, a span that
    is cut anywhere would have one time more or fewer of them. Raises WrongAnswerError, in a group."""
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(load.run())
        await load.under_way()
        probing = [group.create_task(probe.run()) for probe in (ping, beside)]
        load.take()
        before = served.look()
        await asyncio.sleep(seconds)
        await load.next_answer()
        after, answers = served.look(), load.take()
        for probe in (ping, beside):
            probe.stop()
        await asyncio.wait(probing, timeout=PROBED)
        for task in (loading, *probing):
            task.cancel()
    return Row(
        route=cell.route,
        mode=cell.mode,
        workers=cell.workers,
        seconds=after.time - before.time,
        answers=answers.count,
        p50=answers.percentile(50),
        p99=answers.percentile(99),
        done=after.done - before.done,
        ping=_waits(ping.waits()),
        beside=_waits(beside.waits()),
        cpu=after.usage.cpu - before.usage.cpu,
        load_cpu=after.own - before.own,
        memory=after.usage.proportional,
        threads=after.usage.threads,
        processes=after.usage.processes,
    )


def _waits(histogram: Histogram) -> Waits:
    return Waits(p50=histogram.percentile(50), worst=histogram.longest / 1e9)


def first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors themselves."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
