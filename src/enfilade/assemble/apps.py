"""Applications that run inside an edge worker."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from enfilade.config.schema import App
from enfilade.handlers.app import running
from enfilade.handlers.app.lifespan import LifespanFailed
from enfilade.handlers.app.running import RunningApp
from enfilade.handlers.app.websocket import Handshake, WebSockets
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.process.plan import StartError
from enfilade.targets import LoadError


async def start_app(name: str, app: App) -> RunningApp:
    """Import `app` and run its start-up. Raises StartError with the reason where it cannot serve."""
    os.environ.update(app.env)
    try:
        return await running.start_app(
            app.target,
            app.path,
            factory=app.factory,
            interface=app.interface,
            lifespan=app.lifespan,
            threads=app.threads,
            start_timeout=app.start_timeout,
            websocket=WebSockets(lambda request: negotiator(app.websocket_message_limit)(request)),
        )
    except (LoadError, LifespanFailed) as error:
        raise StartError(f"the application {name} cannot be started: {error}") from error


@cache
def negotiator(max_size: int) -> Callable[[Request], Handshake | Reason]:
    """Answers handshakes of WebSockets, whose messages may have `max_size` bytes; made for the first of them."""
    # The library costs a fifth of the start (35 ms), which an application without WebSockets need not pay.
    from enfilade.wire.websocket.handshake import Negotiator  # noqa: PLC0415

    return Negotiator(max_size)
