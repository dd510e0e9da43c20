"""Charts of measurements (matplotlib, the extra `charts`)."""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from enfilade.measure.samples import Measurement, Sample
from enfilade.measure.table import count

# Okabe and Ito's colours, which people who see few colours tell apart, too. https://jfly.uni-koeln.de/color/
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "enfilade",  # the same measurement is the same file
    "svg.fonttype": "none",  # text stays text: small, and found by searching
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_GAP = 0.042
"""Between two labels, in heights of the chart."""


class Look(NamedTuple):
    colour: str
    marker: str


LOOKS = {
    "single": Look(BLACK, "o"),
    "thread": Look(ORANGE, "o"),
    "thread_pool": Look(ORANGE, "s"),
    "socketserver_threading": Look(ORANGE, "^"),
    "fork": Look(GREEN, "o"),
    "process_pool": Look(GREEN, "s"),
    "socketserver_forking": Look(GREEN, "^"),
    "select": Look(SKY, "o"),
    "poll": Look(SKY, "s"),
    "epoll": Look(SKY, "^"),
    "asyncio_protocol": Look(BLUE, "o"),
    "asyncio_streams": Look(BLUE, "s"),
    "uvloop_protocol": Look(RED, "o"),
    "uvloop_streams": Look(RED, "s"),
}
"""One colour for each kind of models."""


def models_chart(measurement: Measurement) -> Figure:
    """Requests a second and p99 over the number of clients; a line for each model, hollow where not all clients were served."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 6), layout="constrained")
        rates, delays = figure.subplots(1, 2)
        _lines(rates, measurement, lambda sample: sample.rate)
        _lines(delays, measurement, lambda sample: sample.p99 * 1000)
        rates.set_title("requests a second")
        delays.set_title("99 of 100 answers came within (ms)")
        figure.suptitle(
            f"work: {measurement.work}, {measurement.transport}, {count(measurement.machine.cores, 'core')} shared by server and "
            "clients; hollow: not all clients were served"
        )
    return figure


def save(figure: Figure, path: str) -> None:
    """As SVG or PNG, by the end of its name. Raises OSError, and ValueError for other ends."""
    with mpl.rc_context(STYLE):
        metadata = {"Date": None, "Creator": None} if path.endswith(".svg") else {"Software": None}
        figure.savefig(path, metadata=metadata, dpi=120)


def _lines(axes: Axes, measurement: Measurement, value: Callable[[Sample], float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("clients")
    axes.set_xticks(measurement.crowds, [f"{clients:,}" for clients in measurement.crowds])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.minorticks_off()
    axes.grid(axis="y", alpha=0.25)
    names = dict.fromkeys(sample.name for sample in measurement.samples)
    ends = []
    for name in names:
        samples = [s for s in measurement.samples if s.name == name and value(s) > 0]
        if samples:
            ends.append((samples[-1], _line(axes, samples, value)))
    _label(axes, ends)


def _line(axes: Axes, samples: list[Sample], value: Callable[[Sample], float]) -> float:
    """Draws it; where it ends."""
    look = LOOKS[samples[0].model]
    dashed = "--" if samples[0].awaited else "-"
    values = [value(sample) for sample in samples]
    axes.plot([s.clients for s in samples], values, dashed, color=look.colour, linewidth=1.3)
    for sample, y in zip(samples, values, strict=True):
        inside = look.colour if sample.served == sample.clients else "white"
        axes.plot(sample.clients, y, look.marker, color=look.colour, markerfacecolor=inside, markersize=5)
    return values[-1]


def _label(axes: Axes, ends: list[tuple[Sample, float]]) -> None:
    """Each line's name at its end, or as near as the others let it be."""
    low, high = (log10(limit) for limit in axes.get_ylim())
    ends.sort(key=lambda end: end[1])
    wanted = [(log10(y) - low) / (high - low) for _, y in ends]
    for (sample, y), place in zip(ends, spread(wanted, _GAP), strict=True):
        axes.annotate(
            sample.name,
            xy=(sample.clients, y),
            xytext=(1.06, place),
            textcoords="axes fraction",
            color=LOOKS[sample.model].colour,
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": LOOKS[sample.model].colour,
                "alpha": 0.4,
                "shrinkB": 5,
                "relpos": (0, 0.5),
            },
        )


def spread(wanted: list[float], gap: float) -> list[float]:
    """Places from 0 to 1, in ascending order as they are wanted, at least `gap` apart, and otherwise as near to where they are
    wanted as that allows."""
    groups: list[list[float]] = []
    for place in wanted:
        groups.append([place])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            last = groups.pop()
            groups[-1] += last
    return [_bottom(group, gap) + i * gap for group in groups for i in range(len(group))]


def _bottom(group: list[float], gap: float) -> float:
    """Of a group of neighbours, whose middle is where the middle of them is wanted."""
    extent = gap * (len(group) - 1)
    return max(0.0, min(sum(group) / len(group) - extent / 2, 1 - extent))


def _top(group: list[float], gap: float) -> float:
    return _bottom(group, gap) + gap * (len(group) - 1)
