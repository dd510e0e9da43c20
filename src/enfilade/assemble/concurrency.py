"""Which routes have a limit on what is in flight, and what it counts in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from enfilade.config.in_force import in_force, who_says
from enfilade.config.schema import Concurrency, Config, Route, Site
from enfilade.config.units import texts
from enfilade.exchange.exchange import Exchange
from enfilade.limits.bulkhead import Bulkhead, Later, Whose
from enfilade.limits.gradient import Gradient
from enfilade.limits.key import compile_key, parse_key
from enfilade.limits.line import LEVELS
from enfilade.limits.sketch import SIZE, Sketch
from enfilade.process.board import Board


class SaidConcurrency(NamedTuple):
    """The limit of a route, or of a site's requests that no route takes. `own`: the route says so, not its site. `level`: what
    the requests of the route are to others."""

    table: Concurrency
    own: bool
    level: int

    def why(self) -> str:
        """What it is, and who says so."""
        table, by = self.table, " and ".join(texts(self.table.by))
        said = f"{who_says(self.own)}: {table.limit} {'by ' + by if by else 'in all'}"
        return f"{said}; {table.queue} may wait, this one as {LEVELS[self.level]}"


def concurrency_of(site: Site, route: Route | None) -> SaidConcurrency | None:
    """`route`: None for requests that no route takes."""
    said, own = in_force(site, route, lambda table: table.concurrency)
    if not said:
        return None
    level = in_force(site, route, lambda table: table.priority).value or "normal"
    table = Concurrency(limit=said) if isinstance(said, int) else said
    return SaidConcurrency(table, own, LEVELS.index(level))


def register_in_flight(config: Config, board: Board) -> int | None:
    """The first row of the sketch that counts what is in flight; None where nobody asks. Raises BoardFull."""
    for site in config.sites.values():
        if any(concurrency_of(site, route) for route in (None, *site.routes.values())):
            return board.rows("in flight", size=SIZE, gauge=True)
    return None


class Bulkheads:
    """Those of one worker: what several routes have of their site is one."""

    def __init__(self, sketch: Sketch, later: Later) -> None:
        self._sketch = sketch
        self._later = later
        self._made: dict[tuple[str, str], Bulkhead] = {}

    def of(self, said: SaidConcurrency, site: str, pattern: str) -> Bulkhead:
        """For the route `pattern` of `site`. ValueError for something to count by that there is not."""
        owner = site, pattern if said.own else ""
        made = self._made.get(owner)
        if made is None:
            made = self._made[owner] = make_bulkhead(said.table, owner, self._sketch, self._later)
        return made


def make_bulkhead(table: Concurrency, owner: tuple[str, str], sketch: Sketch, later: Later) -> Bulkhead:
    """ValueError for something to count by that there is not."""

    def whose(number: int) -> Whose:
        return Whose(number, tuple(sketch.places(number)))

    fair = [parse_key(word) for word in texts(table.fair)]

    def turn(x: Exchange) -> tuple[bytes, ...]:
        return tuple([part(x) for part in fair])

    key = compile_key(hash(("in flight", *owner)), table.by, whose)
    gradient = Gradient(table.limit, time.monotonic()) if table.adaptive else None
    return Bulkhead(table.limit, key, sketch, table.queue, table.wait, turn, later, gradient)


def loop_later(seconds: float, what: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, what)


def no_bulkheads() -> Bulkheads:
    """For limits that are compiled to be looked at."""
    cells = memoryview(bytearray(SIZE * 8)).cast("q")
    return Bulkheads(Sketch(cells, lambda: [cells]), loop_later)
