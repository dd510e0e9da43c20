"""Where the peers of an upstream come from, as its table says."""

from __future__ import annotations

from functools import partial

from enfilade.config.peers import read_peer, read_peers, wanted_of
from enfilade.config.schema import Dns as DnsTable
from enfilade.config.schema import Upstream
from enfilade.config.units import dns_server
from enfilade.net.discover import Discovery, Source
from enfilade.net.peer_file import PeerFile
from enfilade.net.redis.registrations import redis_store
from enfilade.net.registry import Registry
from enfilade.net.resolver import Dns, Resolver


class Resolvers:
    """Those of one worker: upstreams that look up names in the same way share one, and so each question."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], Resolver] = {}

    def of(self, table: DnsTable) -> Resolver:
        key = (table.family, *table.servers)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = Resolver(Dns([dns_server(text) for text in table.servers]), table.family)
        return made


def discovery_of(name: str, table: Upstream, resolvers: Resolvers) -> Discovery:
    """What keeps the peers of the upstream called `name` fresh."""
    discover = table.discover
    sources: list[Source] = []
    if discover.file is not None:
        sources.append(PeerFile(discover.file, partial(read_peers, name=discover.file)))
    if discover.redis is not None:
        connect = partial(redis_store, discover.redis.url, discover.redis.prefix, name)
        sources.append(Registry(name, connect, read_peer))
    return Discovery(name, [wanted_of(peer) for peer in table.peers], sources, resolvers.of(discover.dns))
