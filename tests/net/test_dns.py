"""Questions to a real DNS server, on the loop that edge workers run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest
from tests.net.dns_server import DnsServer, dns_server

from enfilade.net.discover import Discovery
from enfilade.net.edge import EdgeLoop
from enfilade.net.resolver import Dns, Kind, Reply, ResolveError, Resolver
from enfilade.upstream.addresses import Wanted, parse_address
from enfilade.upstream.names import Record

ZONE = {
    "api.test": {"A": ["10.0.0.1", "10.0.0.2"], "AAAA": ["2001:db8::1"]},
    "www.test": {"CNAME": ["api.test."]},
    "text.test": {"TXT": ["hello"]},
    "_api._tcp.test": {"SRV": ["10 5 8001 One.test.", "20 0 8002 two.test."]},
    "_none._tcp.test": {"SRV": ["0 0 0 ."]},
    "one.test": {"A": ["10.0.1.1"]},
    "two.test": {"A": ["10.0.2.1"]},
}


def serve(scene: Callable[[DnsServer, Dns], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        async with dns_server() as server:
            server.zone = {name: dict(records) for name, records in ZONE.items()}
            await scene(server, Dns([("127.0.0.1", server.port)]))

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize(
    ("name", "kind", "reply"),
    [
        ("api.test", "A", Reply((Record("10.0.0.1"), Record("10.0.0.2")), 60)),
        ("api.test", "AAAA", Reply((Record("2001:db8::1"),), 60)),
        ("www.test", "A", Reply((Record("10.0.0.1"), Record("10.0.0.2")), 30)),  # the shortest life of the way there
        ("text.test", "A", None),
        ("_api._tcp.test", "SRV", Reply((Record("one.test", 8001, 10, 5), Record("two.test", 8002, 20, 0)), 60)),
        ("_none._tcp.test", "SRV", Reply((Record(".", 0, 0, 0),), 60)),
    ],
)
def test_records_and_how_long_they_are_good(name: str, kind: Kind, reply: Reply | None) -> None:
    async def scene(server: DnsServer, ask: Dns) -> None:
        found = await ask(name, kind)
        assert (found and Reply(tuple(sorted(found.records)), found.ttl)) == reply

    serve(scene)


def test_a_name_that_does_not_exist_and_a_server_that_fails_are_errors() -> None:
    async def scene(server: DnsServer, ask: Dns) -> None:
        with pytest.raises(ResolveError, match="there is no such name"):
            await ask("nobody.test", "A")
        server.broken = True
        with pytest.raises(ResolveError, match="SERVFAIL"):
            await ask("api.test", "A")
        server.broken = False
        assert await ask("one.test", "A") == Reply((Record("10.0.1.1"),), 60)

    serve(scene)


def test_a_server_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.net.resolver.LIFETIME", 0.1)

    async def scene(server: DnsServer, ask: Dns) -> None:
        server.datagram_received = lambda data, addr: None  # type: ignore[method-assign]
        with pytest.raises(ResolveError, match="timed out"):
            await ask("api.test", "A")

    serve(scene)


def test_an_upstream_follows_its_services_to_their_addresses_as_they_change() -> None:
    async def scene(server: DnsServer, ask: Dns) -> None:
        server.ttl = 1
        seen: asyncio.Queue[list[str]] = asyncio.Queue()

        def take(peers: Sequence[Wanted]) -> None:
            seen.put_nowait([f"{one.address.name} {one.tier}" for one in peers])

        async def until(peers: list[str]) -> None:
            while await seen.get() != peers:
                pass

        wanted = [Wanted(parse_address("srv+http://_api._tcp.test"))]
        discovery = Discovery("api", wanted, [], Resolver(ask, hosts="/dev/null"))
        watching = asyncio.create_task(discovery.watch(take))
        async with asyncio.timeout(30):
            await until(["http://one.test:8001@10.0.1.1 0", "http://two.test:8002@10.0.2.1 1"])
            assert discovery.settled.is_set()
            server.zone["one.test"] = {"A": ["10.0.1.7", "10.0.1.8"]}
            server.zone["_api._tcp.test"] = {"SRV": ["10 5 8001 one.test."]}
            await until(["http://one.test:8001@10.0.1.7 0", "http://one.test:8001@10.0.1.8 0"])
        watching.cancel()

    serve(scene)
