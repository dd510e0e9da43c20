"""Applications, imported and started: inside an edge worker, or in a process of their own."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from enfilade.exchange.exchange import Handler
from enfilade.handlers.app.asgi import AsgiHandler, WebSocketHandler
from enfilade.handlers.app.lifespan import Lifespan, LifespanFailed
from enfilade.handlers.app.load import Interface, interface_of, load
from enfilade.handlers.app.wsgi import WsgiHandler


class RunningApp(Protocol):
    """An application that serves."""

    interface: Interface

    @property
    def handler(self) -> Handler:
        """Answers its requests."""

    @property
    def concurrency(self) -> int:
        """How many exchanges at once it makes sense to give it; 0: any number."""

    async def stop(self, timeout: float) -> None:
        """After the last answer: wait `timeout` seconds at most for work in the background, and end it."""


class RunningAsgi:
    interface: Interface = "asgi"
    # Also with views that block: Django has a thread for each exchange (asgiref's ThreadSensitiveContext).
    concurrency = 0

    def __init__(self, handler: AsgiHandler, lifespan: Lifespan | None) -> None:
        self.handler = handler
        self._lifespan = lifespan

    async def stop(self, timeout: float) -> None:
        running = self.handler.running
        if running:
            await asyncio.wait(running, timeout=timeout)
            for task in running:
                task.cancel()
            await asyncio.sleep(0)  # so that they hear of it before the loop is closed
        if self._lifespan is not None:
            await self._lifespan.shutdown()


class RunningWsgi:
    interface: Interface = "wsgi"

    def __init__(self, handler: WsgiHandler, threads: int) -> None:
        self.handler = handler
        self.concurrency = threads

    async def stop(self, timeout: float) -> None:
        self.handler.close()


async def start_app(
    target: str,
    path: str | None,
    *,
    factory: bool,
    interface: Literal["auto", "asgi", "wsgi"],
    lifespan: Literal["auto", "on", "off"],
    threads: int,
    start_timeout: float,
    websocket: WebSocketHandler,
) -> RunningApp:
    """Import the application `target` and run its start-up, for `start_timeout` seconds at most; `websocket` answers its requests
    for one. Raises LoadError or LifespanFailed where it cannot serve; what its module raises passes through."""
    app = load(target, path, factory=factory)
    if (interface_of(app) if interface == "auto" else interface) == "wsgi":
        return RunningWsgi(WsgiHandler(app, threads), threads)
    life = None
    if lifespan != "off":
        life = Lifespan(app, start_timeout)
        await life.startup()
        if lifespan == "on" and life.state is None:
            raise LifespanFailed("it does not know the lifespan protocol, and lifespan is on")
    return RunningAsgi(AsgiHandler(app, life.state if life else None, websocket), life)
