"""Measures `demo_app`: each way of its work, inline and in workers of its own, each with a server started afresh."""

from __future__ import annotations

import asyncio
import importlib.util
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

from enfilade.measure.app_client import ANSWER, Load, Probe, WrongAnswerError, fetch
from enfilade.measure.app_rows import MODES, About, Mode, Result, Row, Waits
from enfilade.measure.app_ways import COMPUTE, TALLY
from enfilade.measure.histogram import Histogram
from enfilade.measure.procfs import Usage, descendants, usage
from enfilade.measure.samples import this_machine
from enfilade.measure.server import NoServer, Running, server
from enfilade.measure.work import ROUNDS, rounds_for

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
        return f"{self.route}, {self.mode}, {self.workers} {'worker' if self.workers == 1 else 'workers'}"

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
    if importlib.util.find_spec("fastapi") is None:
        raise AppBenchError(
            "what is measured is written with FastAPI, which is not installed: pip install 'enfilade[demo]'"
        )
    environment = {ROUNDS: str(rounds_for(COMPUTE))}
    rows = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for number, cell in enumerate(what, 1):
            told(f"[{number}/{len(what)}] {cell}")
            with _running(cell, environment) as (running, tally):
                about, row = runner.run(_load(running, tally, cell, clients, seconds))
            rows.append(row)
    return Result(clients=clients, machine=this_machine(), about=about, rows=rows)


@contextmanager
def _running(cell: Cell, environment: Mapping[str, str]) -> Iterator[tuple[Running, Path]]:
    """A server, and the file that grows with each piece of work that is done there. Raises AppBenchError."""
    with tempfile.TemporaryDirectory(prefix="enfilade-bench-") as name:
        file, tally = Path(name, "enfilade.toml"), Path(name, "tally")
        file.write_text(cell.configuration())
        tally.touch()
        try:
            with server(["up", "-c", str(file)], {**environment, TALLY: str(tally)}) as running:
                yield running, tally
        except NoServer as error:
            raise AppBenchError(f"{cell}: {error}") from None


async def _load(running: Running, tally: Path, cell: Cell, clients: int, seconds: float) -> tuple[About, Row]:
    port = urlsplit(running.url).port
    assert port is not None
    try:
        about = msgspec.json.decode(await fetch(port, "/about"), type=About)
        return about, await _span(port, running.pid, tally, cell, clients, seconds)
    except* WrongAnswerError as errors:
        raise AppBenchError("\n".join([f"{cell}: {first(errors)}", *running.printed])) from None


async def _span(port: int, pid: int, tally: Path, cell: Cell, clients: int, seconds: float) -> Row:
    """When all are under way, from one answer to another, about `seconds` later: where answers come many at a time, a span that
    is cut anywhere would have one time more or fewer of them. Raises WrongAnswerError, in a group."""
    load = Load(port, f"/{cell.route}", clients)
    ping, beside = Probe(port, "/ping"), Probe(port, "/beside")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.run())]
        await load.under_way()
        tasks += [group.create_task(probe.run()) for probe in (ping, beside)]
        load.begin()
        began, own, done, before = perf_counter(), process_time(), _done(tally), _usage(pid)
        await asyncio.sleep(seconds)
        await load.next_answer()
        took, own, done, after = perf_counter() - began, process_time() - own, _done(tally) - done, _usage(pid)
        for task in tasks:
            task.cancel()
    return Row(
        route=cell.route,
        mode=cell.mode,
        workers=cell.workers,
        seconds=took,
        answers=load.waits.count,
        p50=load.waits.percentile(50),
        p99=load.waits.percentile(99),
        done=done,
        ping=_waits(ping.waits()),
        beside=_waits(beside.waits()),
        cpu=after.cpu - before.cpu,
        load_cpu=own,
        memory=after.proportional,
        threads=after.threads,
        processes=after.processes,
    )


def _done(tally: Path) -> int:
    """Pieces of work that are finished."""
    return tally.stat().st_size


def _usage(supervisor: int) -> Usage:
    return usage([supervisor, *descendants(supervisor)])


def _waits(histogram: Histogram) -> Waits:
    return Waits(p50=histogram.percentile(50), worst=histogram.longest / 1e9)


def first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors themselves."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
