"""Server-Timing (W3C): how long a request was in each room, for the browser's developer tools."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from enfilade.exchange.exchange import Exchange, Filter, Handler
from enfilade.exchange.response import Response


class _Marks:
    """Clock readings. `handler` and `answered` are None where a filter answered in the handler's place."""

    __slots__ = ("answered", "entered", "handler")

    def __init__(self, entered: float) -> None:
        self.entered = entered
        self.handler: float | None = None
        self.answered: float | None = None


class Timing(Filter):
    """Adds `Server-Timing: wire;dur=.., filters;dur=.., handler;dur=.., total;dur=..` in milliseconds.

    - `wire`: from the bytes that completed the head to this filter, the first of its route: what else came in these bytes
      before it, parsing, host to site, path to route.
    - `filters`: those of the route, before and behind the handler, with what they wait for.
    - `handler`: from its call to its answer's head, with all that it waits for.
    - `total`: all together. A body that flows after the head is in none of them, as this field goes before it.

    `clock`: the monotonic clock that `Exchange.started` was read from.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def around(self, handler: Handler) -> Handler:
        clock = self._clock

        def timed(x: Exchange) -> Response | Awaitable[Response]:
            marks: _Marks = x.kept(Timing)
            marks.handler = clock()
            try:
                answer = handler(x)
            finally:
                marks.answered = clock()
            return answer if isinstance(answer, Response) else wait(answer, marks)

        async def wait(waiting: Awaitable[Response], marks: _Marks) -> Response:
            try:
                return await waiting
            finally:
                marks.answered = clock()

        return timed

    def on_request(self, x: Exchange) -> None:
        x.keep(Timing, _Marks(self._clock()))

    def on_response(self, x: Exchange, r: Response) -> Response:
        now = self._clock()
        marks: _Marks = x.kept(Timing)
        handler = 0.0 if marks.handler is None or marks.answered is None else marks.answered - marks.handler
        rooms = [("wire", marks.entered - x.started), ("filters", now - marks.entered - handler)]
        if marks.handler is not None:
            rooms.append(("handler", handler))
        rooms.append(("total", now - x.started))
        value = ", ".join([f"{name};dur={seconds * 1000:.3f}" for name, seconds in rooms])
        return r.with_fields(r.fields.adding((b"server-timing", value.encode())))
