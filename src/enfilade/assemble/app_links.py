"""Applications in processes of their own, as an edge worker has them: each an upstream, whose peers are the application's
workers. They come over the line to the supervisor, each with a connected socket, and are gone when that ends."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import ClassVar

from enfilade.assemble.app_specs import how_many
from enfilade.assemble.apps import negotiator
from enfilade.assemble.balance import NO_EJECTION
from enfilade.config.schema import App
from enfilade.exchange.call import Call, Channel, Home
from enfilade.exchange.exchange import Handler
from enfilade.handlers.app.bridge import WebSocketBridge
from enfilade.handlers.app.isolated import Alive, IsolatedApp
from enfilade.http.reasons import Reason, reason
from enfilade.net.client import CallLimits, ClientConnection, ClientContext
from enfilade.net.context import ConnectionLimits, Tracked
from enfilade.observe.metrics import ConnectionMeter
from enfilade.process.app_rows import AppRows
from enfilade.process.links import Links
from enfilade.upstream.budget import RetryBudget
from enfilade.upstream.deaths import Deaths
from enfilade.upstream.health import Health
from enfilade.upstream.health import Policy as HealthPolicy
from enfilade.upstream.late import LateBinding
from enfilade.upstream.later import Later
from enfilade.upstream.peer import Peer
from enfilade.upstream.pick import BALANCERS
from enfilade.upstream.pool import Pool
from enfilade.upstream.queue import Queue
from enfilade.upstream.upstream import Policy, Upstream
from enfilade.wire.link import LinkClient
from enfilade.wire.websocket.plain import PlainFrames

log = logging.getLogger("enfilade.app")

QUEUE_FULL = reason("queue_full")
LOADING = reason("application_loading")
GONE = reason("application_gone")
DEATHS = 2
"""Deaths of each worker within half a minute, on average, after which a request that may have caused one is not tried again."""
STREAMS = 1 << 16
"""Exchanges on one link at once, where the application sets no limit."""


class AppLinks:
    """`handler(name)` answers for an application, whether or not it has workers yet."""

    def __init__(
        self, apps: Mapping[str, App], rows: Mapping[str, AppRows], loop: asyncio.AbstractEventLoop, meter: ConnectionMeter,
        links: Links, cells: memoryview[int], others: Sequence[memoryview[int]],
    ) -> None:  # fmt: skip
        self._apps = apps
        self._rows = rows
        self._loop = loop
        self._links = links
        self._cells = cells
        self._others = others
        self._connections: set[Tracked] = set()
        self._context = ClientContext(
            calls=CallLimits(head=0, silence=0, total=0, keep_alive=0),
            loop=loop,
            # A worker that is busy reads nothing: that is no reason to cut what it has.
            limits=ConnectionLimits(write_timeout=inf),
            meter=meter,
            connections=self._connections,
        )
        self._upstreams = {name: self._upstream(name, app) for name, app in apps.items()}
        self._workers: dict[int, tuple[Upstream, Peer]] = {}
        self._taking: set[asyncio.Task[object]] = set()
        links.on_worker(self._joined)
        links.on_leaving(self._leave)
        links.on_failed(self._failed)

    def handler(self, name: str) -> Handler:
        app = self._apps[name]
        limit = app.websocket_message_limit
        handler: Handler = WebSocketBridge(
            IsolatedApp(self._upstreams[name]),
            lambda request: negotiator(limit)(request),
            partial(PlainFrames, limit),
        )
        return handler if app.live is None else Alive(app.live, handler)

    def tick(self, now: float) -> None:
        """About once a second."""
        for connection in list(self._connections):
            connection.sweep(now)
        for upstream in self._upstreams.values():
            upstream.tick(now)

    def close(self) -> None:
        for connection in list(self._connections):
            connection.close()

    def _upstream(self, name: str, app: App) -> Upstream:
        cells, row = self._cells, self._rows[name].queue

        def counted(waiting: int) -> None:
            cells[row] = waiting

        return Upstream(
            name,
            BALANCERS["least_connections"](random.random),
            Queue(app.queue, app.queue_timeout, self._loop.call_later, counted),
            # A worker that fails is ended by its supervisor, and what an application answers is its own affair.
            Health(HealthPolicy(NO_EJECTION, slow_start=0)),
            time.monotonic,
            Policy(
                budget=RetryBudget(time.monotonic()),
                wake=partial(self._links.wake, name),
                busy=QUEUE_FULL,
                nobody=LOADING,
                deaths=Deaths(DEATHS * how_many(app)[1]),
            ),
        )

    # -- what the supervisor says

    def _joined(self, app: str, identifier: int, slot: int, concurrency: int, sock: socket.socket) -> None:
        upstream, rows = self._upstreams[app], self._rows[app]
        peer = Peer(f"{app}/{identifier}", limit=concurrency)
        peer.share_counts(self._cells, rows.in_flight + slot, rows.requests + slot, self._others)
        sock.setblocking(False)
        pool = _LinkPool(
            partial(self._connect, upstream, peer, sock), self._loop.call_later, partial(self._leave, identifier)
        )
        peer.pool = peer.upgrades = pool
        self._workers[identifier] = upstream, peer
        pool.connect()
        upstream.join(peer)

    def _connect(self, upstream: Upstream, peer: Peer, sock: socket.socket, home: Home) -> None:
        """The one connection that there is to a worker."""
        if sock.fileno() < 0:
            home.refused(GONE)
            return
        make = partial(_Link, self._context, home, upstream, peer)
        task: asyncio.Task[object] = self._loop.create_task(self._loop.create_unix_connection(make, sock=sock))
        self._taking.add(task)
        task.add_done_callback(partial(self._connected, home))

    def _connected(self, home: Home, task: asyncio.Task[object]) -> None:
        self._taking.discard(task)
        if task.exception() is not None:
            home.refused(GONE)

    def _leave(self, identifier: int) -> None:
        upstream, peer = self._workers.pop(identifier, (None, None))
        if upstream is not None and peer is not None:
            upstream.leave(peer)

    def _failed(self, app: str, why: str) -> None:
        log.warning("a worker of %s could not be started: %s", app, why)


class _Link(ClientConnection):
    """The connection to one worker of an application, whose end is that of the worker. It says when that takes up what it is
    sent."""

    __slots__ = ("_late",)

    gone: ClassVar[Reason] = GONE

    def __init__(self, context: ClientContext, home: Home, upstream: Upstream, peer: Peer) -> None:
        engine = LinkClient(STREAMS)
        super().__init__(context, home, lambda alpn: (engine, True))
        self._late = LateBinding(peer, engine, upstream, context.loop.call_later)

    def carry(self, call: Call) -> None:
        super().carry(call)
        if not self._late.watching:
            self._late.watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._late.heard()


class _LinkPool(Pool):
    """The connection to one worker of an application: when it is lost, so is the worker."""

    __slots__ = ("_lost",)

    def __init__(self, dial: Callable[[Home], None], later: Later, lost: Callable[[], None]) -> None:
        super().__init__(dial, later, shared=True)
        self._lost = lost

    def refused(self, why: Reason) -> None:
        self._lost()
        super().refused(why)

    def lost(self, channel: Channel) -> None:
        self._lost()
        super().lost(channel)
