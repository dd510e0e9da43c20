"""The chain: filters in front of a handler, compiled to one callable when the configuration is loaded.

Sync first: as long as nobody needs to wait, everything happens in one plain call, and the caller gets a Response. The first
awaitable turns the rest of the chain into a coroutine, which the caller runs in a Task. This file is the only place that knows.

A handler that raises is answered for here, so that its filters see the error answer too; a try costs nothing until then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import FunctionType, MethodType
from typing import Optional, Union

from enfilade.exchange.errors import failure_response
from enfilade.exchange.exchange import Exchange, Filter, Handler, OnDone
from enfilade.exchange.response import Response

_OnRequest = Callable[[Exchange], Union[Response, Awaitable[Optional[Response]], None]]
_Back = tuple[Callable[[Exchange, Response], Response], ...]
"""The `on_response` hooks that an answer goes through, in their order."""
_Step = tuple[_OnRequest, _Back]
"""An `on_request`, and the way back of what it answers."""


def compile_chain(filters: Sequence[Filter], handler: Handler) -> Handler:
    """One handler that runs `filters`, in order, before `handler` and, in reverse order, behind it.

    `on_response` runs for the filters whose `on_request` ran and let the request through, and for the one that answered; also
    where the handler raised. What a filter raises, or a handler without filters, is the caller's. What the first filter puts
    around the handler is the outermost.
    """
    for f in reversed(filters):
        handler = f.around(handler)
    # Its method, where it is an object: to call that itself costs more, with each request.
    if not isinstance(handler, (FunctionType, MethodType)):
        handler = handler.__call__  # type: ignore[operator]  # mypy knows no callable that is neither
    steps: list[_Step] = []
    back: _Back = ()
    for f in filters:
        if type(f).on_response is not Filter.on_response:
            back = (f.on_response, *back)
        if type(f).on_request is not Filter.on_request:
            steps.append((f.on_request, back))
    return _compile(tuple(steps), handler, back) if back or steps else handler


def _compile(steps: tuple[_Step, ...], handler: Handler, back: _Back) -> Handler:
    """`back`: the way back of what the handler answers."""

    def chain(x: Exchange) -> Response | Awaitable[Response]:
        left = iter(steps)
        for before, early_back in left:
            early = before(x)
            if early is None:
                continue
            return _unwind(x, early, early_back) if isinstance(early, Response) else _wait(x, early, early_back, left)
        try:
            answer = handler(x)
        except Exception as e:
            answer = failure_response(x, e)
        if not isinstance(answer, Response):
            return _wait_for_handler(x, answer)
        for after in back:
            answer = after(x, answer)
        return answer

    async def _wait(
        x: Exchange, waiting: Awaitable[Response | None], early_back: _Back, left: Iterator[_Step]
    ) -> Response:
        early = await waiting
        while early is None:
            step = next(left, None)
            if step is None:
                return await _ask_handler(x)
            before, early_back = step
            result = before(x)
            early = result if result is None or isinstance(result, Response) else await result
        return _unwind(x, early, early_back)

    async def _ask_handler(x: Exchange) -> Response:
        try:
            answer = handler(x)
            answer = answer if isinstance(answer, Response) else await answer
        except Exception as e:
            answer = failure_response(x, e)
        return _unwind(x, answer, back)

    async def _wait_for_handler(x: Exchange, waiting: Awaitable[Response]) -> Response:
        try:
            answer = await waiting
        except Exception as e:
            answer = failure_response(x, e)
        return _unwind(x, answer, back)

    return chain


def _unwind(x: Exchange, response: Response, back: _Back) -> Response:
    for after in back:
        response = after(x, response)
    return response


def done_hooks(filters: Sequence[Filter]) -> tuple[OnDone, ...]:
    """The `on_done` hooks of `filters`, for whoever ends the exchange."""
    return tuple(f.on_done for f in filters if type(f).on_done is not Filter.on_done)
