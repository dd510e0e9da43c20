"""An answer that will come, for handlers that wait without a Task of their own, as applications do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

from enfilade.exchange.response import Response


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
