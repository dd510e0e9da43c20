"""The load client: so many clients, each with one request at a time, for so long (a closed loop)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from time import perf_counter_ns
from typing import Literal, TypeVar

from enfilade.measure.crowd import Crowd, Order, Span
from enfilade.measure.events import Events
from enfilade.measure.processes import Processes
from enfilade.measure.tally import Tally
from enfilade.measure.threads import Threads

T = TypeVar("T")
Way = Literal["threads", "processes", "asyncio"]
WAYS: dict[Way, Callable[[Order], Crowd]] = {"threads": Threads, "processes": Processes, "asyncio": Events}

WARM_UP = 0.3
"""Seconds at least."""
STEP = 0.1
QUIET = 1.0
MOST = 10.0
"""Seconds: when clients greet, they are counted each STEP, until nobody new was served for QUIET, or for MOST in all."""


def load(order: Order, seconds: float, way: Way, watch: Callable[[], T]) -> tuple[T, Tally, T]:
    """Load the server for so many seconds. What `watch` says before and after that, while nobody says anything, but all are
    connected; and what the clients counted.

    Before, the clients greet, and are as busy for WARM_UP, or as long as the greeting took: whoever serves one after the other
    has had all of them in its queue then. What is answered meanwhile is checked but not timed."""
    with closing(WAYS[way](order)) as crowd:
        crowd.connect()
        began = perf_counter_ns()
        greet(crowd, order.clients)
        now = perf_counter_ns()
        begin = now + max(int(WARM_UP * 1e9), now - began)
        crowd.run(Span(begin, begin))
        before = watch()
        begin = perf_counter_ns()
        tally = crowd.run(Span(begin, begin + int(seconds * 1e9)))
        return before, tally, watch()


def greet(crowd: Crowd, clients: int) -> None:
    """Have each client ask once, until all have had their answers, or it is clear that some will have none: a server that is
    busy with the first may take longer to accept the last than the time that is measured."""
    began = last = perf_counter_ns()
    served = 0
    while served < clients and last < began + MOST * 1e9:
        end = perf_counter_ns() + int(STEP * 1e9)
        found = crowd.run(Span(end, end, each=1)).served
        if found > served:
            served, last = found, end
        elif end >= last + QUIET * 1e9:
            return
