"""ASGI lifespan (lifespan specification 2.0): the application's start and end, in one Task around all that it serves."""

from __future__ import annotations

import asyncio
from typing import Any

from enfilade.handlers.app.answer import Message, log
from enfilade.handlers.app.asgi import ASGI_VERSION, App

STARTUP_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0


class LifespanFailed(Exception):
    """The application cannot serve; the text says why."""


class Lifespan:
    """`await startup()` before the first request, `await shutdown()` after the last. `state` is what the application left
    for its requests; None if it does not know the protocol, which is not an error."""

    __slots__ = ("_app", "_ended", "_inbox", "_shutdown_timeout", "_started", "_startup_timeout", "_task", "state")

    def __init__(
        self, app: App, startup_timeout: float = STARTUP_TIMEOUT, shutdown_timeout: float = SHUTDOWN_TIMEOUT
    ) -> None:
        self._app = app
        self._startup_timeout = startup_timeout
        self._shutdown_timeout = shutdown_timeout
        self._task: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()  # never more than two messages
        self._started: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self.state: dict[str, Any] | None = {}

    async def startup(self) -> None:
        """Raises LifespanFailed if the application says so, or takes too long."""
        loop = asyncio.get_running_loop()
        self._started, self._ended = loop.create_future(), loop.create_future()
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = loop.create_task(self._run(), name="lifespan")
        await asyncio.wait((self._started, self._task), timeout=self._startup_timeout, return_when="FIRST_COMPLETED")
        if self._started.done():
            if self._started.exception() is not None:
                await self._end(self._task)
            self._started.result()
        elif self._task.done():  # it raised, or returned, without a word: it does not know the protocol
            self.state = None
        else:
            await self._end(self._task)
            raise LifespanFailed(f"the application did not start within {self._startup_timeout:g} seconds")

    async def shutdown(self) -> None:
        """Ends the application. What goes wrong is logged: nothing can be done about it any more."""
        task, ended = self._task, self._ended
        if task is None or ended is None or task.done():
            return
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait((ended, task), timeout=self._shutdown_timeout, return_when="FIRST_COMPLETED")
        if not ended.done() and not task.done():
            log.error("the application did not shut down within %g seconds", self._shutdown_timeout)
        elif ended.done() and (error := ended.exception()) is not None:
            log.error("%s", error)
        await self._end(task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait((task,))

    async def _run(self) -> None:
        scope: dict[str, Any] = {
            "type": "lifespan",
            "asgi": ASGI_VERSION | {"spec_version": "2.0"},
            "state": self.state,
        }
        assert self._started is not None
        try:
            await self._app(scope, self._inbox.get, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self._started.done():
                log.error("application raised in its lifespan", exc_info=error)
            else:
                log.debug("the application does not speak lifespan: %r", error)

    async def _send(self, message: Message) -> None:
        assert self._started is not None and self._ended is not None
        verb = message["type"]
        future = self._started if verb.startswith("lifespan.startup.") else self._ended
        if verb not in _WORDS or future.done():
            raise RuntimeError(f"{verb!r} cannot be sent here")
        if verb.endswith(".complete"):
            future.set_result(None)
        else:
            future.set_exception(LifespanFailed(f"{_WORDS[verb]}: {message.get('message') or 'no reason was given'}"))


_WORDS = {
    "lifespan.startup.complete": "",
    "lifespan.startup.failed": "the application failed to start",
    "lifespan.shutdown.complete": "",
    "lifespan.shutdown.failed": "the application failed to shut down",
}
