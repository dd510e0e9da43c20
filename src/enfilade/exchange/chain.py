"""The chain: filters in front of a handler, compiled to one callable when the configuration is loaded.

Sync first: as long as nobody needs to wait, everything happens in one plain call, and the caller gets a Response. The first
awaitable turns the rest of the chain into a coroutine, which the caller runs in a Task. This file is the only place that knows.

A handler that raises is answered for here, so that its filters see the error answer too; a try costs nothing until then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Optional, Union

from enfilade.exchange.errors import failure_response
from enfilade.exchange.exchange import Exchange, Filter, Handler, OnDone
from enfilade.exchange.response import Response

_OnRequest = Callable[[Exchange], Union[Response, Awaitable[Optional[Response]], None]]
_OnResponse = Callable[[Exchange, Response], Response]


def compile_chain(filters: Sequence[Filter], handler: Handler) -> Handler:
    """One handler that runs `filters`, in order, before `handler` and, in reverse order, behind it.

    `on_response` runs for the filters whose `on_request` ran and let the request through, and for the one that answered; also
    where the handler raised. What a filter raises, or a handler without filters, is the caller's. What the first filter puts
    around the handler is the outermost.
    """
    for f in reversed(filters):
        handler = f.around(handler)
    steps = tuple(step for f in filters if (step := (_before(f), _after(f))) != (None, None))
    if not steps:
        return handler
    if all(before is None for before, _ in steps):
        return _compile_responses([after for _, after in steps if after is not None], handler)

    def chain(x: Exchange) -> Response | Awaitable[Response]:
        for i, (before, _) in enumerate(steps):
            if before is None:
                continue
            early = before(x)
            if early is None:
                continue
            if isinstance(early, Response):
                return _unwind(x, early, i)
            return _wait_for_filter(x, early, i)
        try:
            answer = handler(x)
        except Exception as e:
            answer = failure_response(x, e)
        return _unwind(x, answer, last) if isinstance(answer, Response) else _wait_for_handler(x, answer)

    async def _wait_for_filter(x: Exchange, waiting: Awaitable[Response | None], i: int) -> Response:
        early = await waiting
        while early is None:
            i += 1
            if i > last:
                try:
                    answer = handler(x)
                    answer = answer if isinstance(answer, Response) else await answer
                except Exception as e:
                    answer = failure_response(x, e)
                return _unwind(x, answer, last)
            before = steps[i][0]
            result = None if before is None else before(x)
            early = result if result is None or isinstance(result, Response) else await result
        return _unwind(x, early, i)

    async def _wait_for_handler(x: Exchange, waiting: Awaitable[Response]) -> Response:
        try:
            answer = await waiting
        except Exception as e:
            answer = failure_response(x, e)
        return _unwind(x, answer, last)

    def _unwind(x: Exchange, response: Response, i: int) -> Response:
        for j in range(i, -1, -1):
            after = steps[j][1]
            if after is not None:
                response = after(x, response)
        return response

    last = len(steps) - 1
    return chain


def done_hooks(filters: Sequence[Filter]) -> tuple[OnDone, ...]:
    """The `on_done` hooks of `filters`, for whoever ends the exchange."""
    return tuple(f.on_done for f in filters if type(f).on_done is not Filter.on_done)


def _compile_responses(hooks: Sequence[_OnResponse], handler: Handler) -> Handler:
    hooks = tuple(reversed(hooks))

    def chain(x: Exchange) -> Response | Awaitable[Response]:
        try:
            answer = handler(x)
        except Exception as e:
            answer = failure_response(x, e)
        if not isinstance(answer, Response):
            return _wait(x, answer)
        for hook in hooks:
            answer = hook(x, answer)
        return answer

    async def _wait(x: Exchange, waiting: Awaitable[Response]) -> Response:
        try:
            answer = await waiting
        except Exception as e:
            answer = failure_response(x, e)
        for hook in hooks:
            answer = hook(x, answer)
        return answer

    return chain


def _before(f: Filter) -> _OnRequest | None:
    return None if type(f).on_request is Filter.on_request else f.on_request


def _after(f: Filter) -> _OnResponse | None:
    return None if type(f).on_response is Filter.on_response else f.on_response
