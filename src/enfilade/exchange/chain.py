"""The chain: filters in front of a handler, compiled to one callable when the configuration is loaded.

Sync first: as long as nobody needs to wait, everything happens in one plain call, and the caller gets a Response. The first
awaitable turns the rest of the chain into a coroutine, which the caller runs in a Task. This file is the only place that knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from enfilade.exchange.exchange import Exchange, Filter, Handler, OnDone
from enfilade.exchange.response import Response

_OnRequest = Callable[[Exchange], Response | Awaitable[Response | None] | None]
_OnResponse = Callable[[Exchange, Response], Response]


def compile_chain(filters: Sequence[Filter], handler: Handler) -> Handler:
    """One handler that runs `filters`, in order, before `handler` and, in reverse order, behind it.

    `on_response` runs for the filters whose `on_request` ran and let the request through, and for the one that answered.
    """
    for f in filters:
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
        answer = handler(x)
        return _unwind(x, answer, last) if isinstance(answer, Response) else _wait_for_handler(x, answer)

    async def _wait_for_filter(x: Exchange, waiting: Awaitable[Response | None], i: int) -> Response:
        early = await waiting
        while early is None:
            i += 1
            if i > last:
                answer = handler(x)
                return _unwind(x, answer if isinstance(answer, Response) else await answer, last)
            before = steps[i][0]
            result = None if before is None else before(x)
            early = result if result is None or isinstance(result, Response) else await result
        return _unwind(x, early, i)

    async def _wait_for_handler(x: Exchange, waiting: Awaitable[Response]) -> Response:
        return _unwind(x, await waiting, last)

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
        answer = handler(x)
        if not isinstance(answer, Response):
            return _wait(x, answer)
        for hook in hooks:
            answer = hook(x, answer)
        return answer

    async def _wait(x: Exchange, waiting: Awaitable[Response]) -> Response:
        answer = await waiting
        for hook in hooks:
            answer = hook(x, answer)
        return answer

    return chain


def _before(f: Filter) -> _OnRequest | None:
    return None if type(f).on_request is Filter.on_request else f.on_request


def _after(f: Filter) -> _OnResponse | None:
    return None if type(f).on_response is Filter.on_response else f.on_response
