"""`bench`: measures how this machine serves."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import click

from enfilade.cli.common import Unit, fail
from enfilade.config.units import duration
from enfilade.measure import app_report, app_run, app_ways, report
from enfilade.measure.load import WAYS, Way
from enfilade.measure.models import TooMany, make_room, measure, plan
from enfilade.measure.samples import Transport, Work, write
from enfilade.models.table import MODELS, check_transport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F = TypeVar("F", bound=Callable[..., object])


@click.group()
def bench() -> None:
    """Measure how this machine serves: the concurrency models side by side, and what blocks a web application.

    \b
    Examples:
      enfilade bench models
      enfilade bench models --work io:5ms --clients 1,100 --svg models.svg
      enfilade bench app
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is stopped


# -- what both are told


def _names(what: str, known: Collection[str], text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return names


def _numbers(example: str, text: str) -> list[int]:
    numbers = text.split(",")
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise ValueError(f'"{text}" are not numbers from 1 on; write "{example}"')
    return sorted({int(number) for number in numbers})


def _work(text: str) -> Work:
    kind, _, amount = text.partition(":")
    try:
        if text == "none":
            return Work("none")
        if kind in ("io", "cpu") and (seconds := duration(amount)):
            return Work("io" if kind == "io" else "cpu", seconds)
    except ValueError:
        pass
    raise ValueError(f'"{text}" is no work; write "none", "io:5ms" (wait) or "cpu:1ms" (compute)')


def _chart(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """What cannot be drawn is said before anything is measured."""
    if value is not None:
        file = Path(value)
        if file.suffix != f".{parameter.name}":
            raise click.BadParameter(f'"{value}" does not end in .{parameter.name}')
        there = file.exists()
        try:
            file.open("ab").close()
        except OSError as error:
            raise click.BadParameter(f"{value}: {error.strerror}") from None
        if not there:
            file.unlink()
        _need("matplotlib", "charts", "charts are drawn with matplotlib")
    return value


def _need(module: str, extra: str, why: str) -> None:
    if find_spec(module) is None:
        fail(f'{why}, which is not installed: pip install "enfilade[{extra}]"')


_OPTIONS = (
    click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.05), help="How long each is loaded."),
    click.option("--svg", callback=_chart, metavar="FILE.svg", help="Draw a chart into this file."),
    click.option("--png", callback=_chart, metavar="FILE.png", help="The same as a picture of points."),
    click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON."),
)  # fmt: skip


def _bench_options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _progress(text: str) -> None:
    click.echo(text, err=True)


def _save(figure: Figure, *files: str | None) -> None:
    from enfilade.measure.charts import save  # noqa: PLC0415

    for name in filter(None, files):
        try:
            save(figure, name)
        except OSError as error:
            fail(f"{name}: {error.strerror}")


# -- the commands


@bench.command()
@click.option(
    "--models", "names", type=Unit("names", partial(_names, "model", MODELS)), metavar="NAME,...",
    help="Which ones.  [default: all]",
)  # fmt: skip
@click.option(
    "--clients", "crowds", type=Unit("numbers", partial(_numbers, "1,10,100")), default="1,10,100,1000", show_default=True,
    metavar="N,...", help="How many at once; each waits for its answer before it asks again.",
)  # fmt: skip
@click.option(
    "--work", type=Unit("work", _work), default="none", show_default=True, metavar="none|io:5ms|cpu:1ms",
    help="What the handler does for each request: echo at once, wait first, or compute first.",
)  # fmt: skip
@click.option("--transport", default="tcp", show_default=True, type=click.Choice(get_args(Transport)))
@click.option(
    "--load", "way", default="asyncio", show_default=True, type=click.Choice(list(WAYS)), help="What the clients are."
)
@_bench_options
def models(
    names: list[str] | None, crowds: list[int], work: Work, transport: Transport, way: Way,
    seconds: float, svg: str | None, png: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure the concurrency models: each serves the same handler, in a server of its own, to so many clients; every answer is
    checked.

    \b
    Examples:
      enfilade bench models
      enfilade bench models --models thread,epoll,uvloop_protocol --clients 1,100
      enfilade bench models --work io:5ms --svg models.svg
      enfilade bench models --work cpu:1ms --clients 10 --seconds 5
    """
    try:
        for name in names or ():
            check_transport(name, udp=transport == "udp")
        make_room(max(crowds))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except TooMany as error:
        fail(str(error))
    found = measure(plan(names or list(MODELS), crowds, work, transport), work, transport, seconds, way, _progress)
    click.echo(write(found) if as_json else "\n".join(report.lines(found)))
    if svg or png:
        from enfilade.measure.charts import models_chart  # noqa: PLC0415

        _save(models_chart(found), svg, png)
    if not any(sample.rate for sample in found.samples):
        fail("nothing was measured")


@bench.command()
@click.option(
    "--routes", type=Unit("names", partial(_names, "route", app_ways.WAYS)), metavar="NAME,...",
    help="Which ones.  [default: all]",
)  # fmt: skip
@click.option(
    "--workers", type=Unit("numbers", partial(_numbers, "1,2")), default="1,2", show_default=True, metavar="N,...",
    help="How many processes run the application.",
)  # fmt: skip
@click.option(
    "--clients", default=20, show_default=True, type=click.IntRange(1),
    help="How many at once; each waits for its answer before it asks again.",
)  # fmt: skip
@_bench_options
def app(
    routes: list[str] | None, workers: list[int], clients: int,
    seconds: float, svg: str | None, png: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure what blocks a web application: one in FastAPI does the same work in def, in async def, as a blocking call inside
    async def, in threads and in background tasks; inline, and in workers of its own. Beside each, how long a harmless request
    waits; every answer is checked.

    \b
    Examples:
      enfilade bench app
      enfilade bench app --routes wait/await,wait/blocking --workers 1
      enfilade bench app --clients 100 --seconds 5 --svg app.svg
    """
    _need("fastapi", "demo", "what is measured is written with FastAPI")
    try:
        make_room(clients + 2 * app_run.PROBES)
        found = app_run.measure(app_run.cells(routes or list(app_ways.WAYS), workers), clients, seconds, _progress)
    except (TooMany, app_run.AppBenchError) as error:
        fail(str(error))
    click.echo(write(found) if as_json else "\n".join(app_report.lines(found)))
    if svg or png:
        from enfilade.measure.app_chart import app_chart  # noqa: PLC0415

        _save(app_chart(found), svg, png)
