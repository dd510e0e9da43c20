"""Applications, imported and started in a worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from enfilade.config.schema import App
from enfilade.exchange.exchange import Handler
from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.handlers.app.lifespan import Lifespan, LifespanFailed
from enfilade.handlers.app.load import LoadError, interface_of, load
from enfilade.handlers.app.websocket import Handshake, WebSockets
from enfilade.handlers.app.wsgi import WsgiHandler
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.process.plan import StartError


class RunningApp(Protocol):
    """An application that serves."""

    @property
    def handler(self) -> Handler:
        """Answers its requests."""

    async def stop(self, timeout: float) -> None:
        """After the last answer: wait `timeout` seconds at most for work in the background, and end it."""


class RunningAsgi:
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
    def __init__(self, handler: WsgiHandler) -> None:
        self.handler = handler

    async def stop(self, timeout: float) -> None:
        self.handler.close()


async def start_app(name: str, app: App) -> RunningApp:
    """Import `app` and run its start-up. Raises StartError with the reason where it cannot serve."""
    os.environ.update(app.env)
    try:
        target = load(app.target, app.path, factory=app.factory)
        interface = interface_of(target) if app.interface == "auto" else app.interface
        return await _start_asgi(app, target) if interface == "asgi" else RunningWsgi(WsgiHandler(target, app.threads))
    except (LoadError, LifespanFailed) as error:
        raise StartError(f"the application {name} cannot be started: {error}") from error


async def _start_asgi(app: App, target: Callable[..., Any]) -> RunningApp:
    lifespan = None
    if app.lifespan != "off":
        lifespan = Lifespan(target, app.start_timeout)
        await lifespan.startup()
        if app.lifespan == "on" and lifespan.state is None:
            raise LifespanFailed("it does not know the lifespan protocol, and lifespan is on")
    websockets = WebSockets(lambda request: negotiator(app.websocket_message_limit)(request))
    handler = AsgiHandler(target, lifespan.state if lifespan else None, websockets)
    return RunningAsgi(handler, lifespan)


@cache
def negotiator(max_size: int) -> Callable[[Request], Handshake | Reason]:
    """Answers handshakes of WebSockets, whose messages may have `max_size` bytes; made for the first of them."""
    # The library costs a fifth of the start (35 ms), which an application without WebSockets need not pay.
    from enfilade.wire.websocket.handshake import Negotiator  # noqa: PLC0415

    return Negotiator(max_size)
