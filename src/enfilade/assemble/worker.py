"""An edge worker: the configuration's listeners, sites and applications on one event loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from enfilade.app import connect
from enfilade.assemble.administration import Administration
from enfilade.assemble.app_links import AppLinks
from enfilade.assemble.apps import start_app
from enfilade.assemble.authenticating import TokenKeys, jwt_filter
from enfilade.assemble.certificates import Certificates
from enfilade.assemble.concurrency import Bulkheads, SaidConcurrency
from enfilade.assemble.engines import Engines
from enfilade.assemble.guarding import PreparedGuard, make_connections, make_guard
from enfilade.assemble.limiting import Said, Tables, make_limits, make_tables, shared_tables
from enfilade.assemble.ruling import Rulings, SharedRules
from enfilade.assemble.sites import Sites
from enfilade.assemble.sketches import sketch_of
from enfilade.assemble.streams import PreparedStream, Streams
from enfilade.assemble.upstream_rows import UpstreamRows
from enfilade.assemble.upstreams import Upstreams
from enfilade.cache.purges import Purges
from enfilade.config.schema import CacheRules, Config, Jwt, OwnRule, RequestRules
from enfilade.exchange.dispatch import Dispatcher
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Filter, Handler, Match, Meter, Route
from enfilade.filters.basic_auth import Users
from enfilade.handlers.app.running import RunningApp
from enfilade.http.addresses import Networks
from enfilade.http.ends import Ends
from enfilade.http.request import Request
from enfilade.limits.bulkhead import Bulkhead
from enfilade.net.context import ConnectionLimits
from enfilade.net.edge import Edge, serving
from enfilade.net.http import HttpConnection
from enfilade.net.service import Service
from enfilade.net.trusted import TrustedProxies
from enfilade.observe.log import LogSink
from enfilade.observe.metrics import (
    CacheMeter,
    CertificateMeter,
    ConnectionMeter,
    ConnectionRows,
    LimitMeter,
    RouteMeter,
    RuleMeter,
)
from enfilade.process.app_rows import AppRows
from enfilade.process.board import SUPERVISOR, Board, Column
from enfilade.process.control import Control
from enfilade.process.plan import Sockets, StartError
from enfilade.process.shared import Shared
from enfilade.process.status import is_worker
from enfilade.upstream.upstream import Upstream
from enfilade.wire.codec import DateStamp

if TYPE_CHECKING:
    from enfilade.assemble.acme import AcmeWorker, Ordering
    from enfilade.assemble.acme_server import PreparedAcme
    from enfilade.assemble.banning import Banning, PreparedBans
    from enfilade.assemble.stores import SharedCache, Stores
    from enfilade.cache.filter import Cache

LOG_DELAY = 0.1
"""Seconds that a line of an access log may wait for others to be written with it."""
SETTLE = 4.0
"""Seconds that the first look at the names of upstreams may hold up a start."""
SWEEP = 60.0
"""Seconds between two looks at the directory of the cache; what is written makes further ones necessary."""


class Prepared(NamedTuple):
    """What was made of a configuration in the supervisor, before the fork."""

    config: Config
    board: Board
    certificates: Certificates
    engines: Engines
    route_rows: dict[tuple[str, str], int]
    connection_rows: ConnectionRows
    app_rows: dict[str, AppRows]
    upstream_rows: dict[str, UpstreamRows]
    streams: list[PreparedStream]
    cache: SharedCache | None
    workers: int
    cache_rows: dict[tuple[str, str], int]
    limits: Shared | None
    limit_rows: dict[tuple[str, str], int]
    in_flight: int | None
    rules: SharedRules | None
    shared_limits: tuple[Shared, int] | None
    guard: PreparedGuard
    guarded_workers: int
    bans: PreparedBans | None
    users: dict[str, Users]
    tokens: TokenKeys
    ordering: Ordering | None
    acme_server: PreparedAcme | None


class EdgeWorker:
    """Also the `Parts` of its sites: what a compiled route needs of the worker that it runs in."""

    def __init__(self, prepared: Prepared, loop: asyncio.AbstractEventLoop, column: Column, control: Control) -> None:
        self._prepared = prepared
        self._config = prepared.config
        self._loop = loop
        self._column = column
        self._control = control
        self._sinks: dict[str, LogSink] = {}
        self._apps: dict[str, RunningApp] = {}
        self._stores: Stores | None = None
        self._acme_server: Handler | None = None
        self._bulkheads: Bulkheads | None = None
        self._rulings: Rulings | None = None
        self._tables: Tables | None = None
        cache = prepared.cache
        self._purges = None if cache is None else Purges(cache.purges.cells, cache.purges.locked)
        self._date = DateStamp()
        meter = self._meter = ConnectionMeter(column.cells, prepared.connection_rows)
        self._others: list[memoryview[int]] = []
        self._upstreams = Upstreams(
            prepared.config, prepared.upstream_rows, loop, meter, column.cells, self._others, probes=control.slot == 0
        )
        self._app_links = AppLinks(
            prepared.config.isolated_apps, prepared.app_rows, loop, meter, control.links, column.cells, self._others
        )
        board, door = prepared.board, prepared.guard
        self._edge = Edge(loop, self._date, make_connections(door, board, column))
        self._edge.on_tick += [self._look_around, self._upstreams.sweep, self._app_links.tick]
        self._banning = self._start_bans()
        banned = None if self._banning is None else self._banning.enforced
        self.guard = make_guard(prepared.config, door, board, column, prepared.guarded_workers, control.slot, banned)
        if door.admitted is not None:
            self._edge.on_tick.append(door.admitted.look)
        if prepared.certificates.internal is not None:
            self._edge.on_tick.append(prepared.certificates.internal.look)
        if prepared.tokens:
            self._edge.on_tick.append(prepared.tokens.tick)
        self._acme = self._make_acme(prepared)
        self._over = loop.create_future()
        server = prepared.config.server
        self._senders = Networks(server.proxy_protocol)
        self._proxies = TrustedProxies(Networks(server.trusted_proxies)) if server.trusted_proxies else None

    def _start_bans(self) -> Banning | None:
        prepared = self._prepared
        if prepared.bans is None:
            return None
        from enfilade.assemble.banning import Banning  # noqa: PLC0415

        banning = Banning(
            self._config,
            prepared.bans,
            prepared.workers,
            self._control.slot,
            self._column.cells,
            self._edge.connections,
            self._loop,
        )
        self._edge.on_tick.append(banning.look)
        return banning

    def _follow_lists(self) -> asyncio.Task[None] | None:
        door = self._prepared.guard
        if door.lists is None or self._control.slot != 0:
            return None
        return self._loop.create_task(door.lists.follow(door.every))

    @property
    def offences(self) -> Filter | None:
        return None if self._banning is None else self._banning.offences

    async def serve(self, sockets: Sockets) -> None:
        """Start the applications, serve until the supervisor says drain, drain, and stop the applications."""
        self._control.attach(self._loop)
        self._control.links.attach(self._loop)
        self._control.on_drain(lambda: self._end(now=False))
        self._control.on_stop_now(lambda: self._end(now=True))
        await self._start_apps()
        sites = Sites(self._config, self)
        streams = Streams(
            self._prepared.streams,
            self._config,
            self._edge,
            self._column,
            self._meter,
            self.sink,
            self._upstreams,
            self.guard,
        )
        await self._upstreams.settle(SETTLE)
        if self._acme is not None:
            await self._acme.start()
            self._edge.on_tick.append(self._acme.look)
        if self._stores is not None:
            await self._stores.catch_up()
            if self._control.slot == 0:
                self._stores.follow()
                self._loop.call_soon(self._sweep_stores, self._stores)
        for sink in self._sinks.values():
            self._edge.on_tick.append(sink.flush)
        self._control.on_reopen_logs(self._reopen_logs)
        # What was made so far stays: without it, looking for garbage takes a fraction of the time, and stalls nobody.
        gc.collect()
        gc.freeze()
        for spec, bound in sockets.items():
            for sock in bound:
                if spec in streams:
                    await streams.listen(spec, sock)
                else:
                    await self._listen(spec.name, sock, sites)
        if self._banning is not None:
            self._banning.follow()
        following = self._follow_lists()
        self._control.ready()
        if self._acme is not None and self._control.slot == 0:
            self._acme.manage()
        sharing = None if self._tables is None else self._tables.sharing
        telling = sharing and self._loop.create_task(sharing.run(listen=self._control.slot == 0))
        now = await self._over
        if telling:
            telling.cancel()
        if self._acme is not None:
            await self._acme.stop()
        if not now:
            streams.stop()
            await self._drain()
        self._upstreams.close()
        self._app_links.close()
        if self._stores is not None:
            await self._stores.close()
        if self._banning is not None:
            self._banning.close()
        if following is not None:
            following.cancel()
        self._edge.close()
        if self._acme is not None:
            await self._acme.close()
        for sink in self._sinks.values():
            sink.close()

    def _make_acme(self, prepared: Prepared) -> AcmeWorker | None:
        if prepared.ordering is None:
            return None
        from enfilade.assemble.acme import AcmeWorker  # noqa: PLC0415

        meter = CertificateMeter(self._column.cells, prepared.ordering.rows)
        return AcmeWorker(prepared.config, prepared.certificates, prepared.ordering, meter)

    async def _start_apps(self) -> None:
        if self._purges is not None:
            connect(self._purges)
        try:
            for step, (name, app) in enumerate(self._config.inline_apps.items()):
                self._control.starts(step)
                self._apps[name] = await start_app(name, app)
        except BaseException:
            await self._stop_apps(time.monotonic())
            raise

    async def _stop_apps(self, deadline: float) -> None:
        for running in self._apps.values():
            left = 0.0 if self._edge.abandoned else max(0.0, deadline - time.monotonic())
            await running.stop(left)

    async def _drain(self) -> None:
        self._upstreams.drain()
        timeout = self._config.server.drain_timeout
        deadline = time.monotonic() + timeout
        await self._edge.drain(timeout, close_idle=lambda: self._control.stopping)
        await self._stop_apps(deadline)

    def _look_around(self, now: float) -> None:
        """Who else has a column on the board?"""
        own = self._column.index
        columns = self._prepared.board.columns()
        self._others[:] = [column.cells for column in columns if column.index not in (SUPERVISOR, own)]

    def _sweep_stores(self, stores: Stores) -> None:
        stores.sweep()
        self._loop.call_later(SWEEP, self._sweep_stores, stores)

    def _end(self, *, now: bool) -> None:
        if self._over.done():
            self._edge.abandon()
        else:
            self._over.set_result(now)

    def _reopen_logs(self) -> None:
        for sink in self._sinks.values():
            sink.reopen()

    # -- Parts

    def sink(self, to: str) -> LogSink:
        sink = self._sinks.get(to)
        if sink is None:
            try:
                sink = self._sinks[to] = LogSink(to)
            except OSError as error:
                raise StartError(f"cannot open the log {to}: {error.strerror}") from error
            sink.soon = partial(self._loop.call_later, LOG_DELAY, self._flush, sink)
        return sink

    @staticmethod
    def _flush(sink: LogSink) -> None:
        sink.flush(time.monotonic())

    def app(self, name: str) -> Handler:
        running = self._apps.get(name)
        return self._app_links.handler(name) if running is None else running.handler

    def upstream(self, to: str | Sequence[str], balance: str | None) -> Upstream:
        return self._upstreams.of(to, balance)

    def meter(self, site: str, pattern: str) -> Meter:
        return RouteMeter(self._column.cells, self._prepared.route_rows[site, pattern])

    def cache(self, rules: CacheRules, site: str, pattern: str) -> Cache:
        from enfilade.assemble.stores import cache_filter, open_stores  # noqa: PLC0415

        if self._stores is None:
            prepared = self._prepared
            assert prepared.cache is not None and self._purges is not None, "some route caches"
            alive = partial(is_worker, prepared.board)
            self._stores = open_stores(self._config, prepared.cache, self._purges, prepared.workers, alive)
        return cache_filter(
            rules, self._stores, CacheMeter(self._column.cells, self._prepared.cache_rows[site, pattern])
        )

    def limits(self, said: Said, site: str, pattern: str) -> list[Filter]:
        prepared = self._prepared
        if self._tables is None:
            assert prepared.limits is not None, "some route has a limit"
            self._tables = make_tables(prepared.limits.cells, prepared.workers, self._control.slot)
            shared = prepared.shared_limits
            if shared is not None:
                self._tables = shared_tables(self._config.limits, self._tables, *shared, self._column)
        meter = LimitMeter(self._column.cells, prepared.limit_rows[site, pattern])
        return make_limits(said, site, pattern, self._tables, meter)

    def acme(self) -> Handler:
        if self._acme_server is None:
            from enfilade.assemble.acme_server import acme_handler  # noqa: PLC0415

            assert self._prepared.acme_server is not None, "some route has it"
            self._acme_server = acme_handler(self._prepared.acme_server)
        return self._acme_server

    def bulkhead(self, said: SaidConcurrency, site: str, pattern: str) -> Bulkhead:
        if self._bulkheads is None:
            first = self._prepared.in_flight
            assert first is not None, "some route has a limit on what is in flight"
            self._bulkheads = Bulkheads(sketch_of(self._prepared.board, self._column, first), self._loop.call_later)
        return self._bulkheads.of(said, site, pattern)

    def rules(self, said: RequestRules, own: dict[str, OwnRule]) -> Filter:
        if self._rulings is None:
            shared = self._prepared.rules
            assert shared is not None, "some route has rules"
            self._rulings = Rulings(own, RuleMeter(self._column.cells, shared.rows), bytes(shared.secret.bytes))
        return self._rulings.of(said)

    def users(self, file: str) -> Users:
        return self._prepared.users[file]

    def jwt(self, table: Jwt) -> Filter:
        return jwt_filter(table, self._prepared.tokens.of(table))

    def tls(self, site: str) -> object | None:
        return self._prepared.certificates.of(site)

    # -- listeners

    async def _listen(self, name: str, sock: socket.socket, sites: Sites) -> None:
        tls = self._prepared.certificates.listener if name == "https" else None
        find: Callable[[Request, Ends], Match] = Dispatcher(sites.find, sites.misdirected)
        if self._acme is not None:
            find = self._acme.answering(find, sites.besides(self._acme.answer))
        refused = sites.rejected
        if name == "admin":
            refused = self._admin()
            find = partial(_always, refused)
        limits = self._config.server.limits
        service = Service(
            loop=self._loop,
            find=find,
            refused=refused,
            error=error_response,
            make_codec=self._prepared.engines.maker("https" if tls else "http", self._date),
            limits=connection_limits(self._config),
            meter=self._meter,
            connections=self._edge.connections,
            # Whoever wants to know why a server is full must get in.
            max_connections=0 if name == "admin" else limits.connections,
            unix_path=str(sock.getsockname()) if sock.family == socket.AF_UNIX else None,
            guarded=name != "admin",
            proxies=None if name == "admin" else self._proxies,
            h2c=self._config.server.h2c and tls is None and name == "http",
            gone=self._upstreams.client_gone if self._upstreams.announcing else None,
        )
        senders, guard = (None, None) if name == "admin" else (self._senders, self.guard)
        make = serving(service, partial(HttpConnection, service), tls=tls, senders=senders, guard=guard)
        await self._edge.listen(sock, make)

    def _admin(self) -> Match:
        handler = Administration(
            board=self._prepared.board,
            control=self._control,
            apps=self._config.isolated_apps,
            upstreams=self._upstreams,
            stores=self._stores,
            purges=self._purges,
            acme=self._acme,
            banning=self._banning,
        ).handler(self._config.server.admin_token)
        # Its exchanges are counted nowhere: who looks at the figures must not change them.
        return Match(Route("admin", "/*", handler), {}, "")


def _always(match: Match, request: Request, ends: Ends) -> Match:
    return match


def connection_limits(config: Config) -> ConnectionLimits:
    limits = config.server.limits
    return ConnectionLimits(
        write_timeout=limits.write_timeout,
        min_rate=limits.min_rate,
        request_timeout=limits.request_timeout,
        handshake_timeout=limits.head_timeout,
    )
