"""An answer that will come: for handlers that wait without a Task of their own, as applications do, and for who calls them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from functools import partial

from enfilade.exchange.errors import failure_response
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import Response
from enfilade.http.reasons import Reason


class Pending:
    """`resolve` hands the Response to whoever waits, in the same turn of the loop: to a callback (`then`), which costs nothing
    more, or to a coroutine (`await`). There is one waiter. `abandoned` is called if the waiting coroutine is cancelled.
    """

    __slots__ = ("_abandoned", "_callback", "response")

    def __init__(self, abandoned: Callable[[], None] | None = None) -> None:
        self.response: Response | None = None
        self._callback: Callable[[Response], None] | None = None
        self._abandoned = abandoned

    def then(self, callback: Callable[[Response], None]) -> None:
        """Call `callback` with the Response, at once if it is there."""
        if self.response is not None:
            callback(self.response)
        else:
            self._callback = callback

    def resolve(self, response: Response) -> bool:
        """Here it is. False if there was one already, which then stays."""
        if self.response is not None:
            return False
        self.response = response
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(response)
        return True

    def abandon(self) -> None:
        """Whoever waited gave up."""
        if self._abandoned is not None:
            self._abandoned()

    def __await__(self) -> Generator[object, None, Response]:
        if self.response is None:
            arrived: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
            self.then(lambda response: None if arrived.done() else arrived.set_result(response))
            try:
                return (yield from arrived.__await__())
            except asyncio.CancelledError:
                self.abandon()
                raise
        return self.response


def call(handler: Handler, x: Exchange, then: Callable[[Response], None]) -> None:
    """Call `handler` with `x`, and `then` with its Response, at once if it gives one at once. What it raises is answered for;
    `x.on_abort` ends it in any case."""
    try:
        answer = handler(x)
    except Exception as e:
        answer = failure_response(x, e)
    if isinstance(answer, Response):
        then(answer)
    else:
        wait(x, answer, then)


def wait(x: Exchange, answer: Awaitable[Response], then: Callable[[Response], None]) -> None:
    """Call `then` with the Response to `x` when it is there. What is raised is answered for; `x.on_abort` ends it in any case."""
    if isinstance(answer, Pending):
        answer.then(then)
    else:
        future = asyncio.ensure_future(answer)
        if x.on_abort is None:
            x.on_abort = partial(_cancel, future)
        future.add_done_callback(partial(_arrived, x, then))


def _cancel(future: asyncio.Future[Response], why: Reason) -> None:
    future.cancel()


def _arrived(x: Exchange, then: Callable[[Response], None], future: asyncio.Future[Response]) -> None:
    try:
        response = future.result()
    except (Exception, asyncio.CancelledError) as e:
        response = failure_response(x, e)
    then(response)
