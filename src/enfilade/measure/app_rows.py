"""What `enfilade bench app` has measured, as values and as JSON."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec import Struct

from enfilade.measure.app_ways import SECONDS, WAYS, Holds, Way
from enfilade.measure.samples import Machine

Mode = Literal["inline", "isolated"]
"""Where the application runs: inside the edge workers, or in workers of its own behind one edge worker."""
MODES: tuple[Mode, ...] = get_args(Mode)


class Waits(Struct, frozen=True):
    """Seconds that a probe waited for its answers."""

    p50: float
    worst: float


class Row(Struct, frozen=True):
    """One route under load for `seconds`.

    `workers`: those that run the application. `answers`: requests that were answered, and seconds that this took (`p50`, `p99`).
    `done`: pieces of work that were finished by the end. `ping`: of the same application; `beside`: of the same server, without
    the application. `cpu`: seconds of processor time; `memory`: bytes, proportional (PSS), `threads` and `processes` at the
    end; these four of the whole server. `load_cpu`: seconds of processor time of the clients.
    """

    route: str
    mode: Mode
    workers: int
    seconds: float
    answers: int
    p50: float
    p99: float
    done: int
    ping: Waits
    beside: Waits
    cpu: float
    load_cpu: float
    memory: int
    threads: int
    processes: int

    @property
    def kind(self) -> str:
        return self.route.partition("/")[0]

    @property
    def way(self) -> Way:
        return WAYS[self.route]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    @property
    def done_rate(self) -> float:
        """Finished pieces of work a second."""
        return self.done / self.seconds

    @property
    def at_once(self) -> float:
        """Pieces of work that were under way at once, on average (Little's law), in all workers together."""
        return self.done_rate * SECONDS[self.kind]


class About(Struct, frozen=True):
    """What it was measured with. `threads`, `executor`: how many threads FastAPI's pool and asyncio's executor may have."""

    fastapi: str
    threads: int
    executor: int

    def pool(self, holds: Holds) -> int | None:
        """Of how many of what it holds a worker has, a piece of work takes one; None: there is no limit."""
        return {"nothing": None, "loop": 1, "threads": self.threads, "executor": self.executor}[holds]


class Result(Struct, frozen=True):
    clients: int
    machine: Machine
    about: About
    rows: list[Row]

    def of(self, kind: str) -> list[Row]:
        """Those with work of this kind."""
        return [row for row in self.rows if row.kind == kind]


def read(text: str | bytes) -> Result:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Result)
