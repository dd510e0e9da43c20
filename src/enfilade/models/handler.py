"""The code that answers: what kind of handler it is, and where it is found."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from enum import Enum
from typing import Any, NamedTuple

from enfilade.framing import Framing
from enfilade.targets import LoadError, find

SHIPPED = ("echo", "zen", "time", "discard")
"""Handlers that come along (shipped.py), known by their names alone."""


class Kind(Enum):
    """What a handler is called with. A `REQUEST` gets one message and returns the answer; a `SESSION` gets the whole connection:
    a socket-like object (blocking.Talk), or asyncio's reader and writer."""

    REQUEST = "request"
    ASYNC_REQUEST = "async request"
    SESSION = "session"
    ASYNC_SESSION = "async session"


class Handler(NamedTuple):
    """`name`: as it was asked for. `framing`: of requests; None: it is a session."""

    name: str
    function: Callable[..., Any]
    kind: Kind
    framing: Framing | None


_KINDS = {
    (True, False): Kind.REQUEST,
    (True, True): Kind.ASYNC_REQUEST,
    (False, False): Kind.SESSION,
    (False, True): Kind.ASYNC_SESSION,
}
_ARGUMENTS = {Kind.REQUEST: 1, Kind.ASYNC_REQUEST: 1, Kind.SESSION: 1, Kind.ASYNC_SESSION: 2}


def check_name(target: str) -> None:
    """Whether `target` may name a handler, without a look at it. Raises ValueError."""
    if target not in SHIPPED and not all(target.partition(":")):
        near = get_close_matches(target, SHIPPED, 1)
        hint = f"did you mean {near[0]}?" if near else f"those that come along are {', '.join(SHIPPED)}"
        raise ValueError(f'"{target}" names no handler: write module:callable; {hint}')


def load(target: str, path: str = ".") -> Handler:
    """The handler that `target` names: "module:callable", looked for in `path` first, or one of `SHIPPED`. Raises LoadError; what
    its module raises passes through."""
    function = find(f"enfilade.models.shipped:{target}" if target in SHIPPED else target, path)
    if not callable(function):
        raise LoadError(f"{target}: a value of type {type(function).__name__} is not callable, so it is no handler")
    return handler_of(target, function)


def handler_of(name: str, function: Callable[..., Any]) -> Handler:
    """What `function` is as a handler. Raises LoadError."""
    framing: Framing | None = getattr(function, "framing", None)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    kind = _KINDS[framing is not None, is_async]
    try:
        inspect.signature(function).bind(*range(_ARGUMENTS[kind]))
    except TypeError:
        raise LoadError(_misfit(name, kind)) from None
    except ValueError:  # built in, and nobody knows
        pass
    return Handler(name, function, kind, framing)


def _misfit(name: str, kind: Kind) -> str:
    called = {
        Kind.REQUEST: "one argument, the message",
        Kind.ASYNC_REQUEST: "one argument, the message",
        Kind.SESSION: "one argument, the connection (handlers of single messages need @framed(...))",
        Kind.ASYNC_SESSION: "two arguments, reader and writer (handlers of single messages need @framed(...))",
    }
    return f"{name}: as a handler of kind {kind.value} it would be called with {called[kind]}, which it does not take"
