"""Which models there are, and what each of them can run."""

from __future__ import annotations

import select
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, NamedTuple

from enfilade.models.handler import Handler, Kind

BLOCKING = frozenset({Kind.REQUEST, Kind.SESSION})
READINESS = frozenset({Kind.REQUEST})
CALLBACKS = frozenset({Kind.REQUEST, Kind.ASYNC_REQUEST})
COROUTINES = frozenset({Kind.REQUEST, Kind.ASYNC_REQUEST, Kind.ASYNC_SESSION})


class Model(NamedTuple):
    """`kinds`: of handlers. `udp`: whether there is any. `loop`: whose event loop `serve` runs on, which is a coroutine function
    then. `text`: what it does, in a line. `connections`: how many there may be at once where nobody says; 0: any number."""

    module: str
    kinds: frozenset[Kind]
    udp: bool
    loop: Literal["asyncio", "uvloop"] | None
    text: str
    connections: int = 0

    def load(self) -> Callable[..., Any]:
        """Its `serve(server)`."""
        serve: Callable[..., Any] = import_module(f"enfilade.models.{self.module}").serve
        return serve


MODELS = {
    "single": Model("single", BLOCKING, True, None, "One after the other."),
    "thread": Model("thread", BLOCKING, True, None, "A thread for each connection.", 4096),
    "thread_pool": Model("thread_pool", BLOCKING, True, None, "Threads that are there already.", 4096),
    "fork": Model("fork", BLOCKING, True, None, "A process for each connection.", 512),
    "process_pool": Model("process_pool", BLOCKING, True, None, "Processes that are there already (prefork)."),
    "socketserver_threading": Model(
        "socketserver_threading", BLOCKING, True, None, "The standard library's threads.", 4096
    ),
    "socketserver_forking": Model(
        "socketserver_forking", BLOCKING, True, None, "The standard library's processes.", 512
    ),
    "select": Model("select", READINESS, True, None, "One thread waits for all: select(2)."),
    "poll": Model("poll", READINESS, True, None, "One thread waits for all: poll(2)."),
    "epoll": Model("epoll", READINESS, True, None, "One thread waits for all: epoll(7), of Linux."),
    "asyncio_protocol": Model("asyncio_protocol", CALLBACKS, True, "asyncio", "asyncio, by callbacks."),
    "asyncio_streams": Model("asyncio_streams", COROUTINES, False, "asyncio", "asyncio, by coroutines."),
    "uvloop_protocol": Model("asyncio_protocol", CALLBACKS, True, "uvloop", "The same callbacks on uvloop."),
    "uvloop_streams": Model("asyncio_streams", COROUTINES, False, "uvloop", "The same coroutines on uvloop."),
}

DEFAULTS = {
    Kind.REQUEST: "uvloop_protocol",
    Kind.ASYNC_REQUEST: "uvloop_protocol",
    Kind.SESSION: "thread",
    Kind.ASYNC_SESSION: "uvloop_streams",
}
"""The model of a handler where none is named."""
CALLS = ("select", "poll", "epoll")
"""Models that are called like what they ask the system by, which not every system has."""


class Misfit(Exception):
    """The handler cannot be served so; the text says what can be done."""


def check_transport(name: str, *, udp: bool) -> None:
    """Whether the model called `name` can serve UDP, where it is asked for. Raises ValueError."""
    if udp and not MODELS[name].udp:
        able = [n for n, m in MODELS.items() if m.udp]
        raise ValueError(f'the model "{name}" cannot serve UDP; these can: {", ".join(able)}')


def model_for(handler: Handler, name: str | None, *, udp: bool) -> Model:
    """The model called `name`, or that of the handler's kind. Raises Misfit where it cannot run the handler."""
    name = name or DEFAULTS[handler.kind]
    model = MODELS[name]
    if name in CALLS and not hasattr(select, name):
        raise Misfit(f"{handler.name}: the model {name} needs the call of that name, which this system does not have")
    if udp and handler.framing is None:
        raise Misfit(f"{handler.name}: a {handler.kind.value} needs a connection, and UDP has none")
    if handler.kind not in model.kinds or (udp and not model.udp):
        what = f"a handler of kind {handler.kind.value}" + (" over UDP" if udp else "")
        able = [n for n, m in MODELS.items() if handler.kind in m.kinds and (m.udp or not udp)]
        raise Misfit(f"{handler.name}: the model {name} cannot run {what}; these can: {', '.join(able)}")
    return model
