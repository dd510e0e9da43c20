"""Peers stay fresh: by the time to live of names, by what sources say; and nobody is lost because somebody could not be asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

import pytest
from tests.net.clock import Clock, rest
from tests.net.test_resolver import Script, a

from enfilade.net.discover import Discovery, OnChange, Source
from enfilade.net.resolver import Reply, ResolveError, Resolver
from enfilade.upstream.addresses import Wanted, parse_address
from enfilade.upstream.names import MAX_RETRY, MAX_TTL, Record


def wanted(*urls: str) -> list[Wanted]:
    return [Wanted(parse_address(url)) for url in urls]


class Told:
    """A source that says what a test says."""

    def __init__(self) -> None:
        self.say: OnChange

    async def watch(self, on_change: OnChange) -> None:
        self.say = on_change
        await asyncio.Event().wait()


class Stage:
    """A Discovery on a clock of its own, with scripted DNS; `seen` has every list of peers that it told, by host."""

    def __init__(self, *urls: str, sources: Sequence[Source] = ()) -> None:
        self.clock = Clock()
        self.dns = Script()
        self.seen: list[list[str]] = []
        resolver = Resolver(self.dns, hosts="/dev/null")
        self.discovery = Discovery("api", wanted(*urls), sources, resolver, sleep=self.clock.sleep, chance=lambda: 0.0)

    def take(self, peers: Sequence[Wanted]) -> None:
        self.seen.append([one.address.at or one.address.path or one.address.host for one in peers])


def play(stage: Stage, scene: Callable[[], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        watching = asyncio.create_task(stage.discovery.watch(stage.take))
        await rest()
        await scene()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        assert len(asyncio.all_tasks()) == 1, "nothing runs on"

    asyncio.run(run())


def test_peers_that_are_fixed_are_told_once_and_that_is_all() -> None:
    stage = Stage("http://10.0.0.1", "unix:/run/app.sock")
    asyncio.run(stage.discovery.watch(stage.take))
    assert stage.seen == [["10.0.0.1", "/run/app.sock"]]
    assert stage.discovery.settled.is_set()
    assert stage.dns.asked == []


def test_fixed_peers_do_not_wait_for_names() -> None:
    stage = Stage("http://api", "http://10.0.0.9")
    stage.dns.answers["api", "A"] = a("10.0.0.1")
    stage.dns.gate = asyncio.Event()

    async def scene() -> None:
        assert stage.seen == [["10.0.0.9"]]
        assert not stage.discovery.settled.is_set()
        assert stage.dns.gate is not None
        stage.dns.gate.set()
        await rest()
        assert stage.seen[1:] == [["10.0.0.1", "10.0.0.9"]]
        assert stage.discovery.settled.is_set()

    play(stage, scene)


def test_a_name_is_asked_for_again_when_its_time_to_live_is_over() -> None:
    stage = Stage("http://api")
    stage.dns.answers["api", "A"] = a("10.0.0.1", ttl=30)

    async def scene() -> None:
        await stage.clock.advance(29.9)
        assert len(stage.dns.asked) == 1
        stage.dns.answers["api", "A"] = a("10.0.0.2", "10.0.0.1", ttl=100_000)
        await stage.clock.advance(0.1)
        assert len(stage.dns.asked) == 2
        await stage.clock.advance(MAX_TTL - 0.1)
        assert len(stage.dns.asked) == 2
        await stage.clock.advance(0.1)
        assert len(stage.dns.asked) == 3

    play(stage, scene)
    assert stage.seen == [[], ["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]


def test_the_order_of_an_answer_is_no_change() -> None:
    stage = Stage("http://api")
    stage.dns.answers["api", "A"] = a("10.0.0.1", "10.0.0.2", ttl=1)

    async def scene() -> None:
        stage.dns.answers["api", "A"] = a("10.0.0.2", "10.0.0.1", ttl=1)
        await stage.clock.advance(5)
        assert len(stage.dns.asked) > 3

    play(stage, scene)
    assert stage.seen == [[], ["10.0.0.1", "10.0.0.2"]]


@pytest.mark.parametrize("failure", [ResolveError("there is no such name"), ResolveError("no answer"), Reply((), 60)])
def test_what_cannot_be_resolved_keeps_its_last_addresses(
    failure: Reply | ResolveError, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage("http://api")
    stage.dns.answers["api", "A"] = a("10.0.0.1", "10.0.0.2", ttl=10)

    async def scene() -> None:
        stage.dns.answers["api", "A"] = failure
        await stage.clock.advance(100)
        assert stage.seen == [[], ["10.0.0.1", "10.0.0.2"]]
        stage.dns.answers["api", "A"] = a("10.0.0.3")
        await stage.clock.advance(MAX_RETRY)

    with caplog.at_level(logging.INFO, "enfilade.upstream"):
        play(stage, scene)
    assert stage.seen == [[], ["10.0.0.1", "10.0.0.2"], ["10.0.0.3"]]
    warning, again = [record.getMessage() for record in caplog.records]
    assert warning.startswith("upstream api: cannot resolve api: ") and "it keeps 2 addresses" in warning
    assert again == "upstream api: api is resolved again"


def test_failures_are_tried_again_later_and_later() -> None:
    stage = Stage("http://api")
    stage.dns.answers["api", "A"] = ResolveError("no answer")
    moments = []

    async def scene() -> None:
        assert stage.discovery.settled.is_set(), "it was tried"
        asked = 1
        while stage.clock.now < 100:
            await stage.clock.advance(0.5)
            if len(stage.dns.asked) > asked:
                asked = len(stage.dns.asked)
                moments.append(stage.clock.now)

    play(stage, scene)
    assert moments == [1, 3, 7, 15, 31, 61, 91]


def test_services_lead_to_names_and_those_that_are_no_longer_named_are_not_asked_for() -> None:
    stage = Stage("srv+http://_api._tcp")
    stage.dns.answers = {
        ("_api._tcp", "SRV"): Reply((Record("one", 81), Record("two", 82)), 10),
        ("one", "A"): a("10.0.0.1", ttl=1),
        ("two", "A"): a("10.0.0.2", ttl=1),
    }

    async def scene() -> None:
        assert stage.seen[-1] == ["10.0.0.1", "10.0.0.2"]
        assert stage.discovery.settled.is_set()
        stage.dns.answers["_api._tcp", "SRV"] = Reply((Record("two", 82),), 10)
        await stage.clock.advance(10)
        assert stage.seen[-1] == ["10.0.0.2"]
        stage.dns.asked.clear()
        await stage.clock.advance(5)
        assert set(stage.dns.asked) == {"two A"}

    play(stage, scene)


def test_sources_stand_behind_the_fixed_peers_in_their_order() -> None:
    sources = [Told(), Told()]
    stage = Stage("http://10.0.0.1", sources=sources)

    async def scene() -> None:
        assert stage.seen == [["10.0.0.1"]]
        sources[1].say(wanted("http://10.0.2.1"))
        assert not stage.discovery.settled.is_set()
        sources[0].say(wanted("http://10.0.1.1"))
        assert stage.discovery.settled.is_set()
        sources[0].say(wanted("http://10.0.1.1"))
        sources[1].say([])

    play(stage, scene)
    assert stage.seen == [
        ["10.0.0.1"],
        ["10.0.0.1", "10.0.2.1"],
        ["10.0.0.1", "10.0.1.1", "10.0.2.1"],
        ["10.0.0.1", "10.0.1.1"],
    ]


def test_names_from_sources_are_looked_up_too() -> None:
    source = Told()
    stage = Stage(sources=[source])
    stage.dns.answers["api", "A"] = a("10.0.0.1", ttl=1)

    async def scene() -> None:
        source.say(wanted("http://api"))
        await rest()
        assert stage.seen[-1] == ["10.0.0.1"]
        source.say(wanted("http://10.0.0.9"))
        assert stage.seen[-1] == ["10.0.0.9"]
        stage.dns.asked.clear()
        await stage.clock.advance(10)
        assert stage.dns.asked == []

    play(stage, scene)
