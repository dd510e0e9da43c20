"""From samples to the table: medians, ratios, verdicts; as text, Markdown and JSON."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measures import Sample, Work
from bench.servers import OURS

LESS = ("ms", "KB", "s", "failed", "fetches", "times")
"""Units of which less is better."""

HEADINGS = [
    "work",
    "server",
    "median",
    "unit",
    "spread",
    "CPU us",
    "cores",
    "p50 ms",
    "p99 ms",
    "beside",
    "ours : it",
    "target",
    "met",
]

BUSY = 0.85
MARKS = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Row:
    """One server at one work."""

    work: Work
    server: str
    samples: list[Sample]

    @property
    def problem(self) -> str | None:
        """One line, or None if every sample counts."""
        if not self.samples:
            return "not installed"
        return next((sample.problem.splitlines()[0] for sample in self.samples if sample.problem), None)

    @property
    def median(self) -> float:
        return statistics.median(sample.value for sample in self.samples)

    @property
    def spread(self) -> float:
        """(most - least) / median"""
        values = [sample.value for sample in self.samples]
        return (max(values) - min(values)) / self.median if self.median else 0.0

    def middle(self, name: str) -> float | None:
        values = [value for sample in self.samples if (value := getattr(sample, name)) is not None]
        return statistics.median(values) if values else None

    def beside(self) -> dict[str, float]:
        names = dict.fromkeys(name for sample in self.samples for name in sample.beside)
        return {name: statistics.median(sample.beside[name] for sample in self.samples) for name in names}


def verdict(row: Row, ours: Row) -> tuple[float | None, str, bool | None]:
    """Ratio of our median to the row's, the target in words, whether it is met. None: no valid measurement, or no target."""
    valid = not row.problem and not ours.problem
    if row.server == OURS:
        limit = row.work.limit
        met = row.median <= limit if valid and limit is not None else None
        return None, "" if limit is None else f"<= {limit:g} {row.work.unit}", met
    target = row.work.targets.get(row.server)
    ratio = ours.median / row.median if valid else None
    less = row.work.unit in LESS
    met = None
    if ratio is not None and target is not None:
        met = ratio <= target if less else ratio >= target
    return ratio, "" if target is None else f"{'<' if less else '>'}= {target:g}", met


def cells(row: Row, ours: Row) -> list[str]:
    if not row.samples:
        return [row.work.name, row.server, "not installed", *[""] * 10]
    if row.problem:
        return [row.work.name, row.server, "INVALID", *[""] * 9, row.problem]
    ratio, target, met = verdict(row, ours)
    return [
        row.work.name,
        row.server,
        number(row.median),
        row.work.unit,
        f"{row.spread:.0%}",
        *(number(row.middle(name)) for name in ("cpu_us", "cores", "p50_ms", "p99_ms")),
        beside(row.beside()),
        number(ratio),
        target,
        "" if not target else {True: "yes", False: "NO", None: "not measured"}[met] + doubt(row, ours),
    ]


def doubt(*rows: Row) -> str:
    """Rates compare servers only where each had its core full."""
    busy = [cores for row in rows if (cores := row.middle("cores")) is not None]
    return " (load-bound)" if busy and min(busy) < BUSY else ""


def beside(figures: dict[str, float]) -> str:
    return ", ".join(f"{number(value)} {name}" for name, value in figures.items())


def number(value: float | None) -> str:
    """Three digits, or all before the point; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def table(rows: list[Row]) -> list[list[str]]:
    ours = {row.work.name: row for row in rows if row.server == OURS}
    return [cells(row, ours[row.work.name]) for row in rows]


def text(rows: list[Row]) -> str:
    lines = [HEADINGS, *table(rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def markdown(rows: list[Row], machine: dict[str, str], versions: dict[str, str | None]) -> str:
    facts = [f"- {name}: {value}" for name, value in machine.items()]
    facts += [f"- {name}: {version or 'not installed'}" for name, version in versions.items()]
    body = [HEADINGS, ["---"] * len(HEADINGS), *table(rows)]
    works = {row.work.name: row.work.title for row in rows}
    legend = [f"- `{name}`: {title}" for name, title in works.items()]
    return "\n".join([*facts, "", *("| " + " | ".join(line) + " |" for line in body), "", *legend, ""])


def write_markdown(path: Path, table: str) -> None:
    """A page that has the two marks keeps all that is not between them."""
    page = path.read_text() if path.exists() else ""
    before, begin, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    path.write_text(f"{before}{begin}\n{table}{end}{after}" if end else table)


def as_json(rows: list[Row], machine: dict[str, str], versions: dict[str, str | None]) -> dict[str, object]:
    ours = {row.work.name: row for row in rows if row.server == OURS}
    results = []
    for row in rows:
        ratio, target, met = verdict(row, ours[row.work.name])
        results.append(
            {
                "work": row.work.name,
                "title": row.work.title,
                "server": row.server,
                "unit": row.work.unit,
                "problem": row.problem,
                "median": None if row.problem else row.median,
                "cpu_us": row.middle("cpu_us"),
                "ratio": ratio,
                "target": target or None,
                "met": met,
                "samples": [asdict(sample) for sample in row.samples],
            }
        )
    return {"machine": machine, "versions": versions, "results": results}


def machine() -> dict[str, str]:
    """The size of what it ran on."""
    cpu = Path("/proc/cpuinfo").read_text()
    models = {line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{os.cpu_count()} x {', '.join(sorted(models)) or platform.machine()}",
        "memory": f"{memory:.1f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
