"""Answers that clients wait for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from enfilade.cache.query import Query
from enfilade.cache.reasons import CacheReason
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.pending import Pending, call
from enfilade.exchange.response import Response
from enfilade.http.reasons import Reason, reason

_CLIENT_GONE = reason("client_gone")


class Waiter(Pending):
    """A client's exchange that waits for a flight. `why` it was not answered by what is stored."""

    __slots__ = ("_leave", "query", "why", "x")

    def __init__(self, x: Exchange, query: Query, why: CacheReason) -> None:
        super().__init__()
        self.x = x
        self.query = query
        self.why = why
        self._leave: Callable[[Waiter], None] | None = None
        x.on_abort = self.aborted

    def boards(self, leave: Callable[[Waiter], None]) -> None:
        self._leave = leave

    def aborted(self, why: Reason) -> None:
        """The client went away."""
        if self.resolve(Response(499, reason=why)) and self._leave is not None:
            self._leave(self)

    def abandon(self) -> None:
        """See `Pending.abandon`."""
        self.aborted(_CLIENT_GONE)


class Passing(Pending):
    """The answer of an exchange that the handler has for itself."""

    __slots__ = ("_x",)

    def __init__(self, x: Exchange) -> None:
        super().__init__()
        self._x = x

    def abandon(self) -> None:
        """See `Pending.abandon`."""
        if self._x.on_abort is not None:
            self._x.on_abort(_CLIENT_GONE)


def ask(handler: Handler, x: Exchange, made: Callable[[Response], Response]) -> Response | Awaitable[Response]:
    """What `made` makes of the answer of `handler` to `x`."""
    passing = Passing(x)

    def arrived(response: Response) -> None:
        passing.resolve(made(response))

    call(handler, x, arrived)
    return passing if passing.response is None else passing.response
