"""What the table of an upstream makes of its sources: read, asked and told as one list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from tests.net.dns_server import dns_server
from tests.redis_server import redis_server

from enfilade.assemble.discovery import Resolvers, discovery_of
from enfilade.config.schema import Discover, Dns, Peer, Redis, Upstream
from enfilade.net.edge import EdgeLoop
from enfilade.upstream.addresses import Wanted


def test_resolvers_are_shared_by_those_who_look_up_in_the_same_way() -> None:
    resolvers = Resolvers()
    one = resolvers.of(Dns(servers=["10.0.0.1"]))
    assert resolvers.of(Dns(servers=["10.0.0.1"])) is one
    assert resolvers.of(Dns(servers=["10.0.0.1:8600"])) is not one
    assert resolvers.of(Dns(servers=["10.0.0.1"], family="all")) is not one


def test_peers_of_every_source_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "peers.txt").write_text("http://10.0.2.1\nhttp://api.test:81\n")

    async def run() -> None:
        async with dns_server() as dns:
            dns.zone["api.test"] = {"A": ["10.0.3.1"], "AAAA": ["2001:db8::1"]}
            discover = Discover(
                file=str(tmp_path / "peers.txt"),
                redis=Redis(url=redis.url, prefix="shop"),
                dns=Dns(family="all", servers=[f"127.0.0.1:{dns.port}"]),
            )
            table = Upstream(peers=["http://api.test", Peer(url="unix:/run/a.sock", weight=2)], discover=discover)
            discovery = discovery_of("api", table, Resolvers())
            lists: list[Sequence[Wanted]] = []
            watching = asyncio.create_task(discovery.watch(lists.append))
            async with asyncio.timeout(30):
                await discovery.settled.wait()
            assert [(one.address.name, one.weight) for one in lists[-1]] == [
                ("http://api.test:80@10.0.3.1", 1),
                ("http://api.test:80@2001:db8::1", 1),
                ("unix:/run/a.sock", 2),
                ("http://10.0.2.1:80", 1),
                ("http://api.test:81@10.0.3.1", 1),
                ("http://api.test:81@2001:db8::1", 1),
                ("http://10.0.4.1:80", 3),
            ]
            assert sorted(dns.asked) == ["api.test. A", "api.test. AAAA"]
            watching.cancel()

    with redis_server(tmp_path) as redis:
        with redis.client() as client:
            client.set("shop:api:m", json.dumps({"url": "http://10.0.4.1", "weight": 3}))
        with asyncio.Runner(loop_factory=EdgeLoop) as runner:
            runner.run(run())
