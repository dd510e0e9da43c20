"""The chart of `enfilade bench app` (matplotlib, the extra `charts`)."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from enfilade.measure.app_reading import TASKS, place
from enfilade.measure.app_rows import Result, Row, Waits
from enfilade.measure.app_ways import WAYS
from enfilade.measure.charts import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, SKY, STYLE
from enfilade.measure.table import count, number

COLOURS = (BLUE, SKY, RED, ORANGE, GREEN, PURPLE, BLACK)
"""One for each place."""
SPREAD = 0.64
"""How much of the height of a way its places take."""
TITLES = (
    "work done a second\n(hollow: answered)",
    "how long /ping waited, ms\n(the middle one, and the longest)",
    "how long /beside waited, ms\n(the middle one, and the longest)",
)


def app_chart(result: Result) -> Figure:
    """For each way how much work it did, and how long others waited for it, in the application and beside it."""
    places = dict.fromkeys(place(row) for row in result.rows)
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(places)}
    kinds = list(dict.fromkeys(row.kind for row in result.rows))
    ways = {kind: [route for route in WAYS if any(row.route == route for row in result.of(kind))] for kind in kinds}
    heights = [len(ways[kind]) for kind in kinds]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 1.6 + 0.6 * sum(heights)), layout="constrained")
        panels = figure.subplots(len(kinds), 3, sharey="row", sharex="col", squeeze=False, height_ratios=heights)
        for kind, (rates, pings, besides) in zip(kinds, panels, strict=True):
            _ways(rates, kind, ways[kind])
            for axes in (rates, pings, besides):
                _style(axes)
            for i, (name, colour) in enumerate(colours.items()):
                rows = [row for row in result.of(kind) if place(row) == name]
                ys = [ways[kind].index(row.route) + SPREAD * ((i + 0.5) / len(colours) - 0.5) for row in rows]
                _rates(rates, rows, ys, colour)
                _waits(pings, [row.ping for row in rows], ys, colour)
                _waits(besides, [row.beside for row in rows], ys, colour)
        for axes, title in zip(panels[0], TITLES, strict=True):
            axes.set_title(title)
        dots = [Line2D([], [], color=colour, marker="o", linestyle="", label=name) for name, colour in colours.items()]
        figure.legend(handles=dots, loc="outside lower center", ncols=len(dots), frameon=False)
        figure.suptitle(
            f"{count(result.clients, 'client')}; {count(result.machine.cores, 'core')}, which server and clients share"
        )
    return figure


def _ways(axes: Axes, kind: str, routes: list[str]) -> None:
    axes.set_yticks(range(len(routes)), [WAYS[route].title for route in routes])
    axes.set_ylim(len(routes) - 0.5, -0.5)
    axes.set_ylabel(TASKS[kind])


def _style(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="x", alpha=0.25)
    axes.tick_params(axis="y", length=0)
    for edge in axes.get_yticks()[1:]:
        axes.axhline(edge - 0.5, color=BLACK, alpha=0.1, linewidth=0.8)


def _rates(axes: Axes, rows: list[Row], ys: list[float], colour: str) -> None:
    done, answered = [row.done_rate for row in rows], [row.rate if row.way.later else row.done_rate for row in rows]
    axes.hlines(ys, done, answered, color=colour, linewidth=1)
    axes.plot(answered, ys, "o", color=colour, markerfacecolor="white", markersize=5)
    axes.plot(done, ys, "o", color=colour, markersize=5)
    for x, y in zip(done, ys, strict=True):
        axes.annotate(number(x), (x, y), (-5, 0), textcoords="offset points", va="center", ha="right", fontsize=6.5)


def _waits(axes: Axes, waits: list[Waits], ys: list[float], colour: str) -> None:
    half, worst = [each.p50 * 1000 for each in waits], [each.worst * 1000 for each in waits]
    axes.hlines(ys, half, worst, color=colour, linewidth=1)
    axes.plot(half, ys, "o", color=colour, markersize=5)
    axes.plot(worst, ys, "|", color=colour, markersize=6)
