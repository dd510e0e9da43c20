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
"""Seconds: when clients greet, they are counted each STEP, until nobody new was served for QUIET, or for MOST in all."""


def load(
    order: Order,
    seconds: float,
    *,
    warm_up: float = 0.0,
    way: Way = "asyncio",
    watch: Callable[[], object] = lambda: None,
) -> Tally:
    """Load the server for so many seconds. With a `warm_up`, the clients greet first, and are as busy for so many seconds, or as
    long as the greeting took: whoever serves one after the other has had all of them in its queue then. What is answered
    meanwhile is checked but not timed. `watch` is called twice, while nobody says anything: before what is timed, all are
    connected, and after it, they still are."""
    with closing(WAYS[way](order)) as crowd:
        crowd.connect()
        if warm_up:
            began = perf_counter_ns()
            greet(crowd, order.clients)
            now = perf_counter_ns()
            begin = now + max(int(warm_up * 1e9), now - began)
            crowd.run(Span(begin, begin))
        watch()
        begin = perf_counter_ns()
        tally = crowd.run(Span(begin, begin + int(seconds * 1e9)))
        watch()
    return tally


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
