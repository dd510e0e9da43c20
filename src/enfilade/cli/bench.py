"""`bench`: measures how this machine serves."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from enfilade.cli.common import fail
from enfilade.config.units import duration
from enfilade.measure import app_report, app_rows, app_run, app_ways, report
from enfilade.measure.load import WAYS, Way
from enfilade.measure.models import TooMany, make_room, measure, plan
from enfilade.measure.samples import Transport, Work, write
from enfilade.models.table import MODELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@click.group()
def bench() -> None:
    """Measure how this machine serves: the concurrency models side by side, and what blocks a web application.

    \b
    Examples:
      enfilade bench models
      enfilade bench models --work io:5ms --clients 1,100 --svg models.svg
      enfilade bench app
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # what was started is stopped


def _models(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    names = list(MODELS) if value is None else value.split(",")
    for name in names:
        if name not in MODELS:
            raise click.BadParameter(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    return names


def _crowds(_ctx: click.Context, _parameter: click.Parameter, value: str) -> list[int]:
    try:
        crowds = sorted({int(part) for part in value.split(",")})
    except ValueError:
        crowds = [0]
    if crowds[0] < 1:
        raise click.BadParameter(f'"{value}" are not numbers of clients; write "1,10,100"')
    return crowds


def _work(_ctx: click.Context, _parameter: click.Parameter, value: str) -> Work:
    kind, _, amount = value.partition(":")
    try:
        if value == "none":
            return Work("none")
        if kind == "io":
            return Work("io", duration(amount))
        if kind == "cpu":
            return Work("cpu", duration(amount))
    except ValueError:
        pass
    raise click.BadParameter(f'"{value}" is no work; write "none", "io:5ms" (wait) or "cpu:1ms" (compute)')


def _chart(_ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """What cannot be drawn is said before anything is measured."""
    if value is not None:
        if Path(value).suffix != f".{parameter.name}":
            raise click.BadParameter(f'"{value}" does not end in .{parameter.name}')
        if not Path(value).parent.is_dir():
            raise click.BadParameter(f"there is no directory {Path(value).parent}")
        if find_spec("matplotlib") is None:
            fail('charts need matplotlib: pip install "enfilade[charts]"')
    return value


@bench.command()
@click.option("--models", "names", callback=_models, metavar="NAME,...", help="Which ones.  [default: all]")
@click.option(
    "--clients", "crowds", callback=_crowds, default="1,10,100,1000", show_default=True, metavar="N,...",
    help="How many at once; each waits for its answer before it asks again.",
)  # fmt: skip
@click.option(
    "--work", callback=_work, default="none", show_default=True, metavar="none|io:5ms|cpu:1ms",
    help="What the handler does for each request: echo at once, wait first, or compute first.",
)  # fmt: skip
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.05), help="How long each is loaded.")
@click.option("--transport", default="tcp", show_default=True, type=click.Choice(get_args(Transport)))
@click.option(
    "--load", "way", default="asyncio", show_default=True, type=click.Choice(list(WAYS)), help="What the clients are."
)
@click.option("--svg", callback=_chart, metavar="FILE.svg", help="Draw a chart into this file.")
@click.option("--png", callback=_chart, metavar="FILE.png", help="The same as a picture of points.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def models(
    names: list[str], crowds: list[int], work: Work, seconds: float, transport: Transport, way: Way,
    svg: str | None, png: str | None, as_json: bool,
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
    files = [name for name in (svg, png) if name]
    try:
        make_room(max(crowds))
    except TooMany as error:
        fail(str(error))
    rows = plan(names, crowds, work, transport)
    found = measure(rows, work, transport, seconds, way, told=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(write(found), nl=False)
    else:
        click.echo("\n".join(report.lines(found)))
    if files:
        from enfilade.measure.charts import models_chart  # noqa: PLC0415

        save_chart(models_chart(found), files)
    if not any(sample.rate for sample in found.samples):
        fail("nothing was measured")


def _routes(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    names = list(app_ways.WAYS) if value is None else value.split(",")
    for name in names:
        if name not in app_ways.WAYS:
            raise click.BadParameter(f"there is no route {name!r}; there are {', '.join(app_ways.WAYS)}")
    return names


def _workers(_ctx: click.Context, _parameter: click.Parameter, value: str) -> list[int]:
    numbers = value.split(",")
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise click.BadParameter(f'"{value}" are not numbers of workers; write "1,2"')
    return sorted({int(number) for number in numbers})


@bench.command()
@click.option("--routes", callback=_routes, metavar="NAME,...", help="Which ones.  [default: all]")
@click.option(
    "--workers", callback=_workers, default="1,2", show_default=True, metavar="N,...",
    help="How many processes run the application.",
)  # fmt: skip
@click.option(
    "--clients", default=20, show_default=True, type=click.IntRange(1),
    help="How many at once; each waits for its answer before it asks again.",
)  # fmt: skip
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0.05), help="How long each is loaded.")
@click.option("--svg", callback=_chart, metavar="FILE.svg", help="Draw a chart into this file.")
@click.option("--png", callback=_chart, metavar="FILE.png", help="The same as a picture of points.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
def app(
    routes: list[str], workers: list[int], clients: int, seconds: float, svg: str | None, png: str | None, as_json: bool
) -> None:
    """Measure what blocks a web application: one in FastAPI does the same work in def, in async def, as a blocking call inside
    async def, in threads and in background tasks; inline, and in workers of its own. Beside each, how long a harmless request
    waits; every answer is checked.

    \b
    Examples:
      enfilade bench app
      enfilade bench app --routes wait/await,wait/blocking --workers 1
      enfilade bench app --clients 100 --seconds 5 --svg app.svg
    """
    files = [name for name in (svg, png) if name]
    cells = app_run.cells(routes, workers)
    try:
        make_room(clients + 2 * app_run.PROBES)
        found = app_run.measure(cells, clients, seconds, told=lambda text: click.echo(text, err=True))
    except (TooMany, app_run.AppBenchError) as error:
        fail(str(error))
    if as_json:
        click.echo(app_rows.write(found), nl=False)
    else:
        click.echo("\n".join(app_report.lines(found)))
    if files:
        from enfilade.measure.app_chart import app_chart  # noqa: PLC0415

        save_chart(app_chart(found), files)


def save_chart(figure: Figure, files: list[str]) -> None:
    from enfilade.measure.charts import save  # noqa: PLC0415

    for name in files:
        try:
            save(figure, name)
        except OSError as error:
            fail(f"{name}: {error.strerror}")
