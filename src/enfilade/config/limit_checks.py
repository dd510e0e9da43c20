"""What must hold between the keys of limits."""

from __future__ import annotations

from collections.abc import Iterator

from enfilade.config import units
from enfilade.config.errors import Path, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Policies, RateLimit


def check_limits(table: Policies, path: Path, report: Report) -> None:
    """Of the site or route at `path`."""
    for limit, where in limits_in(table, path):
        rate, at = (limit, where) if isinstance(limit, str) else (limit.rate, (*where, "rate"))
        try:
            units.rate(rate)
        except ValueError as error:
            report(at, False, f"{dotted(at)}: {error}")
        if isinstance(limit, RateLimit) and limit.burst is not None and limit.algorithm == "sliding_window":
            text = (
                f"{dotted(where)} is a sliding window, which has no burst: as many as the rate names may come at once"
            )
            report((*where, "burst"), True, text, "leave burst out")


def limits_in(table: Policies, path: Path) -> Iterator[tuple[str | RateLimit, Path]]:
    """The limits of a site or route at `path`, each with its own place."""
    said = table.limit
    if isinstance(said, list):
        yield from ((one, (*path, "limit", i)) for i, one in enumerate(said))
    elif said is not None:
        yield said, (*path, "limit")
