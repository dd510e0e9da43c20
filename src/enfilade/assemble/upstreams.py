"""Upstreams as a worker has them: peers with their pools, dialers and engines."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cache, partial
from math import inf
from typing import Literal, NamedTuple

from enfilade.assemble.balance import Kind, check_of, make_kind
from enfilade.assemble.certificates import peer_context
from enfilade.assemble.discovery import Resolvers, discovery_of
from enfilade.assemble.upstream_rows import UpstreamCells, UpstreamRows, UpstreamStatus, register_upstream
from enfilade.config.networks import reachable
from enfilade.config.peers import wanted_of
from enfilade.config.schema import Auth, Config, Discover, PeerTls, Proxy
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.config.units import is_name
from enfilade.http.addresses import Addresses
from enfilade.http.ends import Ends
from enfilade.net.client import CallLimits, ClientContext, Engine
from enfilade.net.context import ConnectionLimits, Tracked
from enfilade.net.dialer import Dialer
from enfilade.observe.metrics import ConnectionMeter
from enfilade.process.board import Board
from enfilade.upstream.addresses import Address, Wanted
from enfilade.upstream.peer import Peer
from enfilade.upstream.pool import Pool
from enfilade.upstream.private import PrivatePools
from enfilade.upstream.prober import HttpProbe, MakeProbe, Prober
from enfilade.upstream.roster import merge
from enfilade.upstream.shared import SharedTimes
from enfilade.upstream.upstream import Upstream
from enfilade.wire.codec import ClientCodec
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.proxy_protocol import announce

log = logging.getLogger("enfilade.upstream")

PeerContext = Callable[[PeerTls, tuple[str, ...]], ssl.SSLContext]
"""As `peer_context`."""
HTTP2, HTTP1 = "h2", "http/1.1"


What = Literal["http", "tcp", "udp"]


class Sources(NamedTuple):
    """`name`: what servers register themselves for; `what` they must speak."""

    name: str
    what: What


def register_upstreams(config: Config, board: Board) -> dict[str, UpstreamRows]:
    """The rows of all upstreams that routes of `config` name. Raises BoardFull."""
    names = [find_table(config, to, balance)[0] for to, balance in references(config)]
    return {name: register_upstream(board, name) for name in names}


def references(config: Config) -> list[tuple[str | Sequence[str], str | None]]:
    """What routes hand requests on to, and how they say it is balanced."""
    found: list[tuple[str | Sequence[str], str | None]] = []
    for site in config.sites.values():
        for route in site.routes.values():
            said = route.proxy
            if isinstance(said, Proxy):
                found += [(to, route.balance) for to in (said.to, *(branch.to for branch in said.split)) if to]
                found += [(said.mirror.to, None)] if said.mirror is not None else []
            elif said is not None:
                found.append((said, route.balance))
        tables = (site, *site.routes.values())
        found += [(t.auth.forward.to, None) for t in tables if isinstance(t.auth, Auth) and t.auth.forward is not None]
    return found


def find_table(config: Config, to: str | Sequence[str], balance: str | None) -> tuple[str, UpstreamTable]:
    """The upstream called `to`, or one of the servers with these URLs; and how it is called."""
    if isinstance(to, str) and is_name(to):
        return to, config.upstreams[to]
    peers = [to] if isinstance(to, str) else list(to)
    balance = balance or "round_robin"
    return f"{', '.join(peers)} ({balance})", UpstreamTable(peers=list(peers), balance=balance)


class Upstreams:
    """The upstreams of a configuration in one worker. `cells` are its own on the board, `others` those of all other workers.
    `probes`: whether it makes the active checks for all. `announcing`: those whose peers are told who the client is."""

    def __init__(
        self, config: Config, rows: Mapping[str, UpstreamRows], loop: asyncio.AbstractEventLoop, meter: ConnectionMeter,
        cells: memoryview[int], others: Sequence[memoryview[int]], *, probes: bool,
    ) -> None:  # fmt: skip
        self._config = config
        self._rows = rows
        self._loop = loop
        self._meter = meter
        self._cells = cells
        self._others = others
        self._probes = probes
        self._reachable = reachable(config.firewall.outbound)
        self._made: dict[str, _Group] = {}
        self._probers: list[Prober] = []
        self._resolvers = Resolvers()
        self._unsettled: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: set[Tracked] = set()
        self.announcing: list[Upstream] = []

    def of(self, to: str | Sequence[str], balance: str | None) -> Upstream:
        """The upstream called `to`, or of the servers with these URLs; whoever says the same shares one."""
        name, table = find_table(self._config, to, balance)
        made = self._made.get(name)
        return self._make(name, table) if made is None else made.upstream

    def make(self, kind: type[Kind], name: str, table: UpstreamTable) -> Kind:
        """An upstream that has not got its peers yet: `look_after` it."""
        shared = SharedTimes(self._cells, self._others)
        return make_kind(kind, name, table, self._loop.call_later, time.monotonic, shared)

    def look_after(
        self, upstream: Upstream, table: UpstreamTable, sources: Sources, equip: Callable[[Peer, Address], None],
        probe: MakeProbe,
    ) -> None:  # fmt: skip
        """From now on `upstream` has the peers that its `table` says, and asks them how they are by what `probe` makes. `equip`
        gives a new one what it takes to be asked anything."""
        check = check_of(table)
        if check is not None and self._probes:
            self._probers.append(Prober(upstream, check, random.random, probe))
        cells = UpstreamCells(self._rows[upstream.name], self._cells, self._others)
        group = self._made[upstream.name] = _Group(upstream, sources.what, equip, cells, self._reachable)
        wanted = [wanted_of(peer) for peer in table.peers]
        if table.discover == Discover() and all(peer.address.is_literal for peer in wanted):
            group.change(wanted)  # nothing needs to be looked up
        else:
            discovery = discovery_of(sources.name, table, self._resolvers)
            self._unsettled.append(discovery.settled)
            self._watch(discovery.watch(group.change))

    def sweep(self, now: float) -> None:
        """About once a second."""
        for connection in list(self.connections):
            connection.sweep(now)
        for group in self._made.values():
            group.tick(now)
        for prober in self._probers:
            prober.tick(now)

    def client_gone(self, ends: Ends) -> None:
        """The client's connection with these `ends` is over, and so are those that were made for it alone."""
        for upstream in self.announcing:
            assert upstream.announce is not None
            announcement = upstream.announce(ends)
            for peer in upstream.peers:
                for pool in {peer.pool, peer.upgrades}:
                    assert isinstance(pool, PrivatePools)
                    pool.dismiss(announcement)

    def drain(self) -> None:
        """Keep no connection that has nothing to do."""
        for group in self._made.values():
            for peer in group.upstream.peers:
                group.upstream.retire(peer)

    def close(self) -> None:
        for group in self._made.values():
            group.cells.note(group.upstream, time.monotonic())
        for task in self._tasks:
            task.cancel()
        for connection in list(self.connections):
            connection.close()

    def status(self, board: Board) -> list[UpstreamStatus]:
        """How they are doing, in all workers together."""
        return [group.cells.status(board, name) for name, group in self._made.items()]

    def _make(self, name: str, table: UpstreamTable) -> Upstream:
        upstream = self.make(Upstream, name, table)
        if upstream.announce is not None:
            self.announcing.append(upstream)
        context = ClientContext(
            calls=call_limits(table),
            loop=self._loop,
            limits=ConnectionLimits(),
            meter=self._meter,
            connections=self.connections,
        )
        equipped = partial(equip, table=table, context=context, tls_context=cache(peer_context))
        self.look_after(upstream, table, Sources(name, "http"), equipped, HttpProbe)
        return upstream

    def _watch(self, watching: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(watching)
        self._tasks.add(task)
        task.add_done_callback(_ended)

    async def settle(self, timeout: float) -> None:
        """Wait until all names were looked up once, for `timeout` seconds at most: until then there is nobody to ask."""
        waits = [asyncio.ensure_future(settled.wait()) for settled in self._unsettled]
        if waits:
            _, late = await asyncio.wait(waits, timeout=timeout)
            for wait in late:
                wait.cancel()


class _Group:
    """One upstream, whose peers come and go."""

    def __init__(
        self, upstream: Upstream, what: What, equip: Callable[[Peer, Address], None], cells: UpstreamCells,
        reachable: Addresses,
    ) -> None:  # fmt: skip
        self.upstream = upstream
        self.cells = cells
        self._what = what
        self._equip = equip
        self._reachable = reachable
        self._peers: dict[str, Peer] = {}
        self._out: set[Peer] = set()

    def tick(self, now: float) -> None:
        """About once a second."""
        self.upstream.tick(now)
        tell_changes(self.upstream, self._out)
        self.cells.note(self.upstream, now)

    def change(self, wanted: Sequence[Wanted]) -> None:
        """From now on the peers are those that are `wanted`."""
        change = merge(self._peers, [one for one in wanted if self._fits(one.address)])
        for peer in change.left:
            self.upstream.leave(peer)
            self.cells.leave(peer)
            self._out.discard(peer)
        for peer in change.joined:
            self._equip(peer, change.addresses[peer.name])
            self.upstream.join(peer, self.cells.join(peer))
        self._peers = change.peers
        self.upstream.arrange(tuple(change.peers.values()))

    def _fits(self, address: Address) -> bool:
        """A file, a registration or a name may lead to anybody. What is connected to is this very address: nothing is looked up
        again."""
        why = "" if address.speaks(self._what) else f"it is no server for {self._what}"
        if not (address.path or (address.at or address.host) in self._reachable):
            why = "firewall.outbound lets nobody connect to it"
        if why:
            log.warning("%s: %s is passed over: %s", self.upstream.name, address.name, why)
        return not why


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the peers of an upstream are not watched any more", exc_info=task.exception())


def tell_changes(upstream: Upstream, out: set[Peer]) -> None:
    """Say in the log which peers get nothing any more, and which do again; `out` are those that got nothing so far."""
    for peer in upstream.peers:
        usable = peer.up or peer.trial
        if usable and peer in out:
            out.discard(peer)
            log.warning("%s: %s is used again", upstream.name, peer.name)
        elif not usable and peer not in out:
            out.add(peer)
            log.warning("%s: %s is left alone (%s)", upstream.name, peer.name, upstream.health.condition(peer).value)


def call_limits(table: UpstreamTable) -> CallLimits:
    return CallLimits(
        head=table.answer_timeout,
        silence=table.silence_timeout,
        total=table.total_timeout,
        keep_alive=table.keep_alive,
    )


def equip(peer: Peer, address: Address, table: UpstreamTable, context: ClientContext, tls_context: PeerContext) -> None:
    """Give `peer` what it takes to be asked: what it speaks, and pools for its connections."""
    peer.authority, peer.tls, peer.http2 = address.authority, address.tls, address.protocol == "h2c"
    dial = partial(_dialer, address, table, context)
    kind = Pool if table.send_proxy is None else partial(PrivatePools, own=announce(table.send_proxy, None))
    pool = partial(
        kind, later=context.loop.call_later, most=table.connections, length=table.queue, patience=table.queue_timeout,
        keep=table.keep,
    )  # fmt: skip
    tls = tls_context(table.tls, (HTTP2, HTTP1)) if address.tls else None
    peer.pool = peer.upgrades = pool(dial(tls), shared=peer.http2)
    if tls is not None:  # whatever the peer prefers, an upgrade is asked for in HTTP/1.1
        peer.upgrades = pool(dial(tls_context(table.tls, (HTTP1,))))


def _dialer(address: Address, table: UpstreamTable, context: ClientContext, tls: ssl.SSLContext | None) -> Dialer:
    return Dialer(
        context,
        address.where,
        _engine(address.protocol == "h2c", h2=tls is not None, timeout=table.connect_timeout),
        timeout=table.connect_timeout,
        tls=tls,
        server_name=table.tls.name or address.host,
        name=address.name,
    )


def _engine(prior_knowledge: bool, *, h2: bool, timeout: float) -> Engine:
    """What makes engines for connections to a peer: `prior_knowledge` of HTTP/2, or whatever TLS agrees on; `timeout`: for its
    first frame."""
    limits = Http1Limits()
    http2 = _http2_client(timeout) if prior_knowledge or h2 else None

    def make(alpn: str | None) -> tuple[ClientCodec, bool]:
        if http2 is not None and (prior_knowledge or alpn == "h2"):
            return http2(), True
        return Http1Client(limits), False

    return make


def _http2_client(timeout: float) -> Callable[[], ClientCodec]:
    # The tables of HTTP/2 and HPACK cost 10 ms, which only those pay whose peers may speak it.
    from enfilade.wire.http2 import Http2Client, Http2Limits  # noqa: PLC0415

    # Answers may be as slow and as silent as they like: the time-outs of calls are others. One that is not read must not hold
    # up those beside it, and peers may do more often what would be a flood from a stranger: gRPC pings and resets a lot.
    limits = Http2Limits(
        settings_timeout=timeout or inf, idle_timeout=inf, body_timeout=inf, min_rate=0, connection_window=32 << 20,
        flood_budget=100_000, flood_refill=33_000,
    )  # fmt: skip
    return partial(Http2Client, limits)
