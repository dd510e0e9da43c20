"""The life of an application's process: start, serve, drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from enfilade.app import connect
from enfilade.appworker.links import Links
from enfilade.appworker.logs import set_up_logging
from enfilade.appworker.signals import overhear
from enfilade.appworker.spec import Spec
from enfilade.appworker.warm_up import WarmUpFailed, warm_up
from enfilade.cache.purges import Purges
from enfilade.handlers.app.lifespan import LifespanFailed
from enfilade.handlers.app.running import RunningApp, start_app
from enfilade.handlers.app.websocket import WebSockets
from enfilade.process.channel import Channel
from enfilade.process.shared import Shared
from enfilade.targets import LoadError
from enfilade.wire.websocket.plain import PlainNegotiator

log = logging.getLogger("enfilade.appworker")

MAX_TEXT = 8192
"""Characters of a failed worker's explanation."""


class CannotStart(Exception):
    """The application cannot be served; the text says why."""


class AppWorker:
    """What the supervisor says over the channel:

    - `{"purges": true}`, with a descriptor: the memory in which it is written what is purged (cache/purges.py).
    - `{"start": SPEC}`: import and start the application, and answer `{"ready": {"interface": ..., "concurrency": ...}}` or
      `{"failed": TEXT}`.
    - `{"link": ID}`, with a descriptor: serve the edge worker at the other end of that socket.
    - `{"drain": SECONDS}`: answer what has come, for so long at most, and end. So does the end of the channel.
    - `{"stop": true}`: end, and wait for nothing but the application's own shutdown.
    """

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._spec: asyncio.Future[Spec] = loop.create_future()
        self._drain: asyncio.Future[float] = loop.create_future()
        self._stop: asyncio.Future[None] = loop.create_future()
        self._links: Links | None = None
        self._taking: set[asyncio.Task[None]] = set()
        loop.add_reader(channel.fileno(), self._hear)

    async def run(self) -> int:
        """The exit code."""
        await self._unless(self._drain, self._spec)
        return await self._live(self._spec.result()) if self._spec.done() else 0

    def disown(self) -> None:
        """In a child that the application forks: whoever is at the other ends must see when this process ends, not that one."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (self._channel.fileno(), *(self._links.descriptors() if self._links is not None else ())):
            os.dup2(
                null, fd, inheritable=False
            )  # the numbers stay taken: objects that nobody uses here still hold them
        os.close(null)

    async def _live(self, spec: Spec) -> int:
        set_up_logging(spec.log_level)
        starting = self._loop.create_task(self._start(spec), name="start")
        await self._unless(self._drain, starting)
        if not starting.done():  # nobody waits for it any more
            return 0
        try:
            app = starting.result()
        except CannotStart as error:
            self._say({"failed": str(error)[:MAX_TEXT]})
            return 1
        # What was made so far stays: without it, looking for garbage takes a fraction of the time, and stalls nobody.
        gc.collect()
        gc.freeze()
        self._links = Links(self._loop, app.handler)
        overhear(signal.SIGTERM)  # until now it ends a start that nobody waits for any more
        concurrency = app.concurrency if spec.concurrency is None else spec.concurrency
        self._say({"ready": {"interface": app.interface, "concurrency": concurrency}})
        await self._end(app, self._links, await self._drain)
        return 0

    async def _start(self, spec: Spec) -> RunningApp:
        try:
            app = await start_app(
                spec.target,
                spec.path,
                factory=spec.factory,
                interface=spec.interface,
                lifespan=spec.lifespan,
                threads=spec.threads,
                start_timeout=spec.start_timeout,
                websocket=WebSockets(PlainNegotiator(spec.websocket_message_limit), ping_interval=0),
            )
            if spec.warm_up is not None:
                await warm_up(app.handler, spec.warm_up, spec.start_timeout)
        except (LoadError, LifespanFailed, WarmUpFailed) as error:
            raise CannotStart(str(error)) from error
        except SystemExit as error:
            raise CannotStart(f"it called sys.exit({error.code!r})") from error
        except Exception as error:
            log.exception("the application %s cannot be started", spec.name)
            raise CannotStart(f"{type(error).__name__}: {error}") from error
        return app

    async def _end(self, app: RunningApp, links: Links, timeout: float) -> None:
        deadline = self._loop.time() + timeout
        await self._unless(self._stop, self._loop.create_task(links.drain(timeout), name="drain"))
        links.abort()
        await app.stop(0.0 if self._stop.done() else max(0.0, deadline - self._loop.time()))

    @staticmethod
    async def _unless(told: asyncio.Future[Any], done: asyncio.Future[Any]) -> None:
        """Wait until `done`, unless we are `told` otherwise."""
        await asyncio.wait((told, done), return_when=asyncio.FIRST_COMPLETED)

    # -- the channel

    def _hear(self) -> None:
        try:
            messages = self._channel.receive()
        except EOFError:  # the supervisor is gone, and nobody will ever write here again
            self._loop.remove_reader(self._channel.fileno())
            self._leave(self._spec.result().drain_timeout if self._spec.done() else 0.0)
            return
        for message, fd in messages:
            for verb, content in message.items():
                _ORDERS[verb](self, content, fd)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except OSError:  # the supervisor is gone: the end of the channel says so
            pass

    def _begin(self, content: dict[str, Any], _: int | None) -> None:
        self._spec.set_result(Spec(**content))

    def _purge_in(self, _: object, fd: int | None) -> None:
        assert fd is not None
        shared = Shared(fd)
        connect(Purges(shared.cells, shared.locked))

    def _link(self, _: object, fd: int | None) -> None:
        sock = socket.socket(fileno=fd)
        if self._links is None or self._drain.done():
            sock.close()
            return
        task = self._loop.create_task(self._links.take(sock))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    def _leave(self, timeout: float, _: int | None = None) -> None:
        if not self._drain.done():
            self._drain.set_result(timeout)

    def _halt(self, _: bool, __: int | None) -> None:
        self._leave(0.0)
        if not self._stop.done():
            self._stop.set_result(None)


_ORDERS: dict[str, Callable[[AppWorker, Any, int | None], None]] = {
    "purges": AppWorker._purge_in,
    "start": AppWorker._begin,
    "link": AppWorker._link,
    "drain": AppWorker._leave,
    "stop": AppWorker._halt,
}
