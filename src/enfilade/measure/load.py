"""The load client: so many clients, each with one request at a time, for so long (a closed loop)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from time import perf_counter_ns
from typing import Literal

from enfilade.measure.crowd import Crowd, Order, Span
from enfilade.measure.events import Events
from enfilade.measure.processes import Processes
from enfilade.measure.tally import Tally
from enfilade.measure.threads import Threads

Way = Literal["threads", "processes", "asyncio"]
WAYS: dict[Way, Callable[[Order], Crowd]] = {"threads": Threads, "processes": Processes, "asyncio": Events}


STEP = 0.1
QUIET = 1.0
MOST = 10.0
"""Seconds: clients are counted each STEP of a warm-up; it is over where nobody new was served for QUIET, or after MOST."""


def load(
    order: Order,
    seconds: float,
    *,
    warm_up: float = 0.0,
    way: Way = "asyncio",
    watch: Callable[[], object] = lambda: None,
) -> Tally:
    """Load the server for so many seconds, after a warm-up of at least `warm_up` seconds, whose answers are checked but not
    timed; 0: none. `watch` is called twice, while nobody says anything: before what is timed, all are connected, and after it,
    they still are."""
    with closing(WAYS[way](order)) as crowd:
        crowd.connect()
        if warm_up:
            settle(crowd, order.clients, warm_up)
        watch()
        begin = perf_counter_ns()
        tally = crowd.run(Span(begin, begin + int(seconds * 1e9)))
        watch()
    return tally


def settle(crowd: Crowd, clients: int, warm_up: float) -> None:
    """Until each client has had an answer, or it is clear that some will not: a server may take longer to accept them all than
    the time that is measured."""
    began = last = perf_counter_ns()
    served = 0
    while (now := perf_counter_ns()) < began + MOST * 1e9:
        end = now + int(STEP * 1e9)
        found = crowd.run(Span(end, end)).served
        if found > served:
            served, last = found, end
        if end >= began + warm_up * 1e9 and (found == clients or end >= last + QUIET * 1e9):
            return
