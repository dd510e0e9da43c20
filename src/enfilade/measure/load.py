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


def load(
    order: Order,
    seconds: float,
    *,
    warm_up: float = 0.0,
    way: Way = "asyncio",
    watch: Callable[[], object] = lambda: None,
) -> Tally:
    """Load the server for `warm_up` seconds, whose answers are checked but not timed, and `seconds` more. `watch` is called
    twice, while nobody says anything: when all are connected, and when it is over and they still are."""
    with closing(WAYS[way](order)) as crowd:
        crowd.connect()
        watch()
        begin = perf_counter_ns() + int(warm_up * 1e9)
        tally = crowd.run(Span(begin, begin + int(seconds * 1e9)))
        watch()
    return tally
