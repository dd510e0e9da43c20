"""How many requests may be in flight at once, over all workers: the others wait, or are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from functools import partial
from typing import NamedTuple, Protocol

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter, Outcome
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.limits.gradient import Gradient
from enfilade.limits.line import Line
from enfilade.limits.sketch import Sketch

LOOK = 0.01
"""Seconds between two looks of those who wait at what other workers have in flight."""
_TOO_MANY = reason("concurrency_limited")
_RETRY = Fields([(b"retry-after", b"1")])


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
"""`later(seconds, what)`: call `what` then."""


class Whose(NamedTuple):
    """What is counted by itself: `number`, a hash that strangers cannot choose, and the `places` of the sketch where it is."""

    number: int
    places: tuple[int, ...]


class InFlight:
    """What is kept for a request that was let through: `whose` it is, and `since` when, of its connection's clock."""

    __slots__ = ("since", "whose")

    def __init__(self, whose: Whose, since: float) -> None:
        self.whose = whose
        self.since = since


class Waiter:
    """What is kept for a request that waits. `answer`: None, or why it is not let through."""

    __slots__ = ("answer", "timer", "whose", "x")

    def __init__(self, x: Exchange, whose: Whose, answer: asyncio.Future[Response | None]) -> None:
        self.x = x
        self.whose = whose
        self.answer = answer
        self.timer: Timer


class Bulkhead:
    """One limit in one worker. `key`: what is counted by itself; `sketch` counts it, over all workers. At most `most` of it are
    in flight, or, where there is one, as many as the `gradient` says. `queue` more of it wait in this worker, each `patience`
    seconds; each of what `fair` tells apart in its turn. `later`: the loop's timer.

    Workers that look in the same moment all see the last free place."""

    def __init__(
        self,
        most: int,
        key: Callable[[Exchange], Whose],
        sketch: Sketch,
        queue: int,
        patience: float,
        fair: Callable[[Exchange], Hashable],
        later: Later,
        gradient: Gradient | None = None,
    ) -> None:
        self.key = key
        self.gradient = gradient
        self._most = most
        self._sketch = sketch
        self._queue = queue
        self._patience = patience
        self._fair = fair
        self._later = later
        self._lines: dict[Whose, Line[Waiter]] = {}
        self._looks = False

    def enter(self, x: Exchange, whose: Whose, level: int) -> Waiter | bool:
        """Whether it may go on now; or what it waits for."""
        line = self._lines.get(whose)
        if line is None and self._free(whose):
            self._let_in(x, whose)
            return True
        if not self._queue:
            return False
        if line is None:
            line = self._lines[whose] = Line(self._queue)
        waiter = Waiter(x, whose, asyncio.get_running_loop().create_future())
        out = line.enter(waiter, self._fair(x), level)
        if out is waiter:
            return False
        if out is not None:
            self._refuse(out)
        waiter.timer = self._later(self._patience, partial(self._expire, waiter))
        x.keep(Bulkhead, waiter)
        self._look_soon()
        return waiter

    def leave(self, x: Exchange) -> None:
        """It is over, in whatever way."""
        kept = x.kept(Bulkhead)
        if isinstance(kept, Waiter):
            self._forget(kept)
        elif kept is not None:
            self._sketch.add(kept.whose.places, -1)
            self._serve(kept.whose)

    def measure(self, x: Exchange, gradient: Gradient) -> None:
        """Its answer has begun."""
        kept = x.kept(Bulkhead)
        if isinstance(kept, InFlight):
            now = x.carrier.now()
            gradient.add(now - kept.since, self._sketch.count(kept.whose.places), now)

    def _free(self, whose: Whose) -> bool:
        most = self._most if self.gradient is None else int(self.gradient.limit)
        return self._sketch.count(whose.places) < most

    def _let_in(self, x: Exchange, whose: Whose) -> None:
        self._sketch.add(whose.places, 1)
        x.keep(Bulkhead, InFlight(whose, x.carrier.now()))

    def _serve(self, whose: Whose) -> None:
        """Let in who waits, as long as there is room."""
        line = self._lines.get(whose)
        while line is not None and self._free(whose):
            waiter = line.next()
            if waiter is None:
                break
            waiter.timer.cancel()
            self._let_in(waiter.x, whose)
            waiter.answer.set_result(None)
        if line is not None and not line:
            del self._lines[whose]

    def _expire(self, waiter: Waiter) -> None:
        self._forget(waiter)
        self._refuse(waiter)

    def _forget(self, waiter: Waiter) -> None:
        line = self._lines.get(waiter.whose)
        if line is not None and line.leave(waiter):
            waiter.timer.cancel()
            if not line:
                del self._lines[waiter.whose]

    @staticmethod
    def _refuse(waiter: Waiter) -> None:
        waiter.timer.cancel()
        if not waiter.answer.done():
            waiter.answer.set_result(error_response(_TOO_MANY, waiter.x, _RETRY))

    def _look_soon(self) -> None:
        """What other workers let go of is not told to us."""
        if not self._looks:
            self._looks = True
            self._later(LOOK, self._look)

    def _look(self) -> None:
        self._looks = False
        for whose in list(self._lines):
            self._serve(whose)
        if self._lines:
            self._look_soon()


class Concurrency(Filter):
    """Lets a request through when the `bulkhead` has room for it, for what it is to those who wait there: of `level` (a place in
    LEVELS). 503 with Retry-After where it may not even wait, or waits for too long."""

    def __init__(self, bulkhead: Bulkhead, level: int) -> None:
        self._bulkhead = bulkhead
        self._level = level

    def on_request(self, x: Exchange) -> Response | asyncio.Future[Response | None] | None:
        entered = self._bulkhead.enter(x, self._bulkhead.key(x), self._level)
        if entered is True:
            return None
        return entered.answer if isinstance(entered, Waiter) else error_response(_TOO_MANY, x, _RETRY)

    def on_response(self, x: Exchange, r: Response) -> Response:
        gradient = self._bulkhead.gradient
        if gradient is not None and r.status < 500:
            self._bulkhead.measure(x, gradient)
        return r

    def on_done(self, x: Exchange, outcome: Outcome) -> None:
        self._bulkhead.leave(x)
