"""One configuration as the supervisor runs it (process/plan.py says what that asks for)."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from enfilade.assemble.app_specs import app_specs
from enfilade.assemble.apps import negotiator
from enfilade.assemble.authenticating import TokenKeys
from enfilade.assemble.caching import caching_routes
from enfilade.assemble.certificates import Certificates
from enfilade.assemble.concurrency import register_in_flight
from enfilade.assemble.engines import Engines
from enfilade.assemble.guarding import prepare_guard
from enfilade.assemble.limiting import limited_routes, prepare_sharing, share_limits
from enfilade.assemble.ruling import share_rules
from enfilade.assemble.sites import route_names, user_files
from enfilade.assemble.streams import PreparedStream, prepare_streams, register_destinations, stream_listeners
from enfilade.assemble.upstreams import register_upstreams
from enfilade.assemble.worker import EdgeWorker, Prepared
from enfilade.config.networks import list_urls
from enfilade.config.pki_checks import serves_acme
from enfilade.config.schema import Config
from enfilade.config.units import address, texts
from enfilade.config.users import read_users
from enfilade.filters.basic_auth import Users
from enfilade.net.edge import run_edge
from enfilade.observe.metrics import (
    register_cache,
    register_connections,
    register_limit,
    register_route,
)
from enfilade.process.board import Board, Column
from enfilade.process.control import Control
from enfilade.process.plan import EDGE, Crew, Sockets
from enfilade.process.privileges import find_identity
from enfilade.process.sockets import ListenSpec, numbered

if TYPE_CHECKING:
    from enfilade.assemble.acme import Ordering
    from enfilade.assemble.acme_server import PreparedAcme
    from enfilade.assemble.banning import PreparedBans
    from enfilade.assemble.nftables import NftBans
    from enfilade.assemble.stores import SharedCache

START_TIMEOUT = 5.0
ADMIN_SOCKET_MODE = 0o600
"""Who may connect to an admin listener on a Unix socket: the user that started the server."""


class EdgePlan:
    """Raises OSError, ssl.SSLError, ValueError, LookupError or BoardFull where the configuration cannot be run: the start is
    refused."""

    def __init__(self, config: Config, board: Board) -> None:
        server = config.server
        workers = edge_workers(config)
        self.drain_timeout = server.drain_timeout
        self.pid_file = server.pid_file
        self.identity = find_identity(server.user, server.group)
        shared = self._share_cache(config, board)
        self.apps = app_specs(config, board, None if shared is None else shared.purges)
        if self.identity is not None:  # import it now: whoever the workers become may not be able to read it
            codecs.lookup("idna")
            for app in config.apps.values():
                negotiator(app.websocket_message_limit)
        certificates = Certificates(config)
        bans = self._prepare_bans(config, board, workers)
        self.handover = self._prepare_nftables(config, bans, board)
        streams = prepare_streams(config, board, certificates)
        handled = [stream for stream in streams if stream.stream.handler is not None]
        connection_rows = register_connections(board)
        everybody = workers + sum(stream.stream.workers for stream in handled)
        guard = prepare_guard(config, board, everybody, self.identity)
        self._prepared = Prepared(
            config=config,
            board=board,
            workers=workers,
            certificates=certificates,
            engines=Engines(config, http2=server.h2c or certificates.listener is not None),
            route_rows={names: register_route(board, *names) for names in route_names(config)},
            connection_rows=connection_rows,
            app_rows={app.name: app.rows for app in self.apps},
            upstream_rows={**register_upstreams(config, board), **register_destinations(streams, board)},
            streams=[stream for stream in streams if stream.stream.handler is None],
            cache=shared,
            cache_rows={names: register_cache(board, *names) for names in caching_routes(config)},
            limits=share_limits(config, board, workers),
            limit_rows={names: register_limit(board, *names) for names in limited_routes(config)},
            shared_limits=prepare_sharing(config, board),
            in_flight=register_in_flight(config, board),
            rules=share_rules(config, board),
            guard=guard,
            guarded_workers=everybody,
            bans=bans,
            users={file: Users(read_users(file)) for file in user_files(config)},
            tokens=TokenKeys(config),
            ordering=self._prepare_acme(config, board),
            acme_server=self._prepare_acme_server(config, certificates),
        )
        self.crews = [self._edges(workers), *self._handling(handled)]

    def _edges(self, workers: int) -> Crew:
        config = self._prepared.config
        return Crew(
            EDGE,
            list(listeners_of(config)),
            workers,
            self._run_edge,
            # One application is started after the other; what a worker does besides takes a fraction of a second.
            start_timeout=START_TIMEOUT + sum(app.start_timeout for app in config.inline_apps.values()),
            steps=[f"the application {name}" for name in config.inline_apps],
        )

    def _handling(self, streams: Sequence[PreparedStream]) -> Iterator[Crew]:
        """The crews of streams with a handler."""
        if not streams:
            return
        from enfilade.assemble.handling import Surroundings, crew_of  # noqa: PLC0415

        p = self._prepared
        bans = None if p.bans is None or p.bans.table.dry_run else p.bans.bans
        around = Surroundings(
            p.config, p.board, p.connection_rows, p.guard, bans, p.guarded_workers, p.certificates.internal
        )
        first = p.workers
        for stream in streams:
            yield crew_of(stream, first, around)
            first += stream.stream.workers

    def _run_edge(self, sockets: Sockets, column: Column, control: Control) -> None:
        run_edge(lambda loop: EdgeWorker(self._prepared, loop, column, control).serve(sockets))

    def _share_cache(self, config: Config, board: Board) -> SharedCache | None:
        if not any(True for _ in caching_routes(config)):
            return None
        from enfilade.assemble.stores import share_cache  # noqa: PLC0415

        return share_cache(config, board, self.identity)

    def _prepare_acme(self, config: Config, board: Board) -> Ordering | None:
        if not any(site.tls == "acme" for site in config.sites.values()):
            return None
        from enfilade.assemble.acme import prepare_acme  # noqa: PLC0415

        return prepare_acme(config, board, self.identity)

    def _prepare_acme_server(self, config: Config, certificates: Certificates) -> PreparedAcme | None:
        if not serves_acme(config):
            return None
        from enfilade.assemble.acme_server import prepare_acme_server  # noqa: PLC0415

        assert certificates.internal is not None, "it is what signs"
        return prepare_acme_server(config, certificates.internal.authority, self.identity)

    def _prepare_bans(self, config: Config, board: Board, workers: int) -> PreparedBans | None:
        if config.bans is None:
            return None
        from enfilade.assemble.banning import prepare_bans  # noqa: PLC0415

        return prepare_bans(config.bans, board, workers)

    def _prepare_nftables(self, config: Config, bans: PreparedBans | None, board: Board) -> NftBans | None:
        if bans is None or not bans.table.nftables:
            return None
        from enfilade.assemble.nftables import prepare_nftables  # noqa: PLC0415

        return prepare_nftables(config, bans.bans, board)


def edge_workers(config: Config) -> int:
    """How many edge workers there are: none with nothing to listen on, to run or to look after."""
    looked_after = config.bans is not None or bool(list_urls(config.firewall))
    if not (any(True for _ in listeners_of(config)) or config.apps or looked_after):
        return 0
    said = config.server.workers
    return len(os.sched_getaffinity(0)) if said == "auto" else said


def listeners_of(config: Config) -> Iterator[ListenSpec]:
    """What edge workers listen on."""
    server = config.server
    for name, addresses in (("http", server.http), ("https", server.https)):
        yield from numbered(ListenSpec(name, *address(text)) for text in texts(addresses))
    for name, stream in config.streams.items():
        if stream.handler is None:
            yield from (spec for spec, _ in stream_listeners(name, stream))
    if server.admin is not None:
        yield ListenSpec("admin", *address(server.admin), mode=ADMIN_SOCKET_MODE)
