"""Starting a Task whose first step runs at once: an application that answers without waiting costs no turn of the loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Optional, TypeVar

T = TypeVar("T")


def _start_eagerly(coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Task[T]:
    # The eager *factory* fails on uvloop; the constructor's argument works on every loop.
    return asyncio.Task(coro, loop=loop, name=_NAME, eager_start=True)  # type: ignore[call-arg, unused-ignore]


_Call = tuple[Callable[..., object], tuple[object, ...], Optional[Context]]
_calls: list[_Call] = []


def _capture(step: Callable[..., object], *args: object, context: Context | None = None) -> None:
    """Stands in for `loop.call_soon` while a Task is constructed."""
    _calls.append((step, args, context))


def _start_captured(coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> asyncio.Task[T]:
    """Before Python 3.12 there are no eager tasks. But all that a Task's constructor does with its loop is to schedule its first
    step by `call_soon`: we take that step, and run it in the context that the Task made for it. The rest is the genuine Task.
    """
    attributes = getattr(loop, "__dict__", None)
    if attributes is None:  # a loop that cannot be asked
        return asyncio.Task(coro, loop=loop)
    attributes["call_soon"] = _capture
    try:
        task = asyncio.Task(coro, loop=loop, name=_NAME)
    finally:
        del attributes["call_soon"]
    step, _, context = _calls.pop() if len(_calls) == 1 else _own_step(task, loop)
    assert context is not None
    try:
        context.run(step)
    except (
        RuntimeError
    ):  # a step raises nothing but this, before it began: another task is running, and steps do not nest
        loop.call_soon(step, context=context)
    return task


def _own_step(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> _Call:
    """The call that `task` asked for, where the garbage collector ran meanwhile and some finalizer asked for one, too."""
    calls = _calls[:]
    _calls.clear()
    own = next(call for call in calls if getattr(call[0], "__self__", None) is task)
    for step, args, context in calls:
        if step is not own[0]:
            loop.call_soon(step, *args, context=context)
    return own


# Numbering the names of tasks costs more than starting them.
_NAME = "exchange"

start: Callable[[Coroutine[Any, Any, T], asyncio.AbstractEventLoop], asyncio.Task[T]]
"""Start `coro` as a Task of `loop`, which must be running; its first step is done when this returns, where that can be had."""
start = _start_eagerly if sys.version_info >= (3, 12) else _start_captured
