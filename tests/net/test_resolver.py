"""Which records a name has: the file of hosts first, one query at a time, families in their turn."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.net.clock import rest

from enfilade.net.resolver import HOSTS_TTL, RECORDS, Family, Kind, Reply, ResolveError, Resolver, parse_hosts
from enfilade.upstream.names import Question, Record


class Script:
    """Answers as it is told to, and remembers what was asked. `gate`: answers wait for it."""

    def __init__(self, answers: dict[tuple[str, str], Reply | ResolveError] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, name: str, kind: Kind) -> Reply | None:
        self.asked.append(f"{name} {kind}")
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.get((name, kind))
        if isinstance(answer, ResolveError):
            raise answer
        return answer


def a(*ips: str, ttl: float = 60) -> Reply:
    return Reply(tuple(map(Record, ips)), ttl)


def find(script: Script, question: Question, family: Family = "auto", hosts: str = "/dev/null") -> Reply:
    return asyncio.run(Resolver(script, family, hosts).find(question))


DUAL = {("api", "A"): a("10.0.0.1", ttl=60), ("api", "AAAA"): a("::1", ttl=30)}


@pytest.mark.parametrize(
    ("family", "asked", "reply"),
    [
        ("auto", ["api A"], a("10.0.0.1", ttl=60)),
        ("ipv4", ["api A"], a("10.0.0.1", ttl=60)),
        ("ipv6", ["api AAAA"], a("::1", ttl=30)),
        ("all", ["api A", "api AAAA"], a("10.0.0.1", "::1", ttl=30)),
    ],
)
def test_a_family_decides_what_is_asked_and_the_shortest_life_counts(
    family: Family, asked: list[str], reply: Reply
) -> None:
    script = Script(dict(DUAL))
    assert find(script, Question("api"), family) == reply
    assert script.asked == asked


def test_auto_takes_ipv6_where_there_is_no_ipv4() -> None:
    script = Script({("api", "AAAA"): a("::1")})
    assert find(script, Question("api")) == a("::1")
    assert script.asked == ["api A", "api AAAA"]


@pytest.mark.parametrize("question", [Question("api"), Question("api", srv=True)])
def test_a_name_without_records_is_an_error(question: Question) -> None:
    with pytest.raises(ResolveError, match="it has no"):
        find(Script(), question)


def test_what_the_servers_say_is_passed_on() -> None:
    with pytest.raises(ResolveError, match="there is no such name"):
        find(Script({("api", "A"): ResolveError("there is no such name")}), Question("api"))


def test_services_without_host_or_port_are_none() -> None:
    records = (Record("b", 80, 1, 1), Record("a", 80, 1, 1), Record(".", 80), Record("c", 0), Record("a", 80, 1, 1))
    reply = find(Script({("_api._tcp", "SRV"): Reply(records, 9)}), Question("_api._tcp", srv=True))
    assert reply == Reply((Record("a", 80, 1, 1), Record("b", 80, 1, 1)), 9)


def test_an_answer_holds_only_so_many_records() -> None:
    reply = find(Script({("api", "A"): a(*[f"10.0.{i // 256}.{i % 256}" for i in range(1000)])}), Question("api"))
    assert len(reply.records) == RECORDS


def test_one_query_for_a_name_is_in_flight_at_a_time() -> None:
    async def run() -> None:
        script = Script({("api", "A"): a("10.0.0.1"), ("web", "A"): a("10.0.0.2")})
        script.gate = asyncio.Event()
        resolver = Resolver(script, hosts="/dev/null")
        asking = [asyncio.ensure_future(resolver.find(Question(name))) for name in ("api", "api", "web", "api")]
        await rest()
        assert script.asked == ["api A", "web A"]
        asking[0].cancel()  # the others still want to know
        script.gate.set()
        assert await asking[1] == await asking[3] == a("10.0.0.1")
        assert await resolver.find(Question("api")) == a("10.0.0.1")
        assert script.asked == ["api A", "web A", "api A"]

    asyncio.run(run())


def test_a_failed_query_is_not_remembered() -> None:
    async def run() -> None:
        script = Script({("api", "A"): ResolveError("no answer")})
        resolver = Resolver(script, hosts="/dev/null")
        with pytest.raises(ResolveError):
            await resolver.find(Question("api"))
        script.answers["api", "A"] = a("10.0.0.1")
        assert await resolver.find(Question("api")) == a("10.0.0.1")

    asyncio.run(run())


# -- the file of hosts

HOSTS = """
127.0.0.1  localhost
10.0.0.1   API.example.com api   # the one
10.0.0.2   api
2001:db8::1 api six
fe80::1%lo0 local
nonsense   nobody
"""


def test_the_file_of_hosts() -> None:
    assert parse_hosts(HOSTS) == {
        "localhost": ("127.0.0.1",),
        "api.example.com": ("10.0.0.1",),
        "api": ("10.0.0.1", "10.0.0.2", "2001:db8::1"),
        "six": ("2001:db8::1",),
    }


@pytest.mark.parametrize(
    ("name", "family", "ips"),
    [
        ("api", "auto", ("10.0.0.1", "10.0.0.2")),
        ("api", "ipv6", ("2001:db8::1",)),
        ("six", "auto", ("2001:db8::1",)),
        ("localhost", "all", ("127.0.0.1",)),
        ("app.localhost", "auto", ("127.0.0.1",)),
        ("app.localhost", "all", ("127.0.0.1", "::1")),
    ],
)
def test_what_stands_in_the_file_of_hosts_is_asked_of_nobody(
    tmp_path: Path, name: str, family: Family, ips: tuple[str, ...]
) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    script = Script()
    assert find(script, Question(name), family, str(tmp_path / "hosts")) == a(*ips, ttl=HOSTS_TTL)
    assert script.asked == []


def test_a_name_with_addresses_of_another_family_in_the_file_has_none(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    script = Script()
    with pytest.raises(ResolveError):
        find(script, Question("six"), "ipv4", str(tmp_path / "hosts"))
    assert script.asked == []


def test_services_are_never_in_the_file_of_hosts(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    script = Script({("api", "SRV"): Reply((Record("six", 81),), 5)})
    assert find(script, Question("api", srv=True), hosts=str(tmp_path / "hosts")).records == (Record("six", 81),)


def test_a_changed_file_of_hosts_is_read_again_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "hosts"
        script = Script({("api", "A"): a("10.9.9.9")})
        resolver = Resolver(script, hosts=str(path))
        found = [await resolver.find(Question("api"))]
        for i, ip in enumerate(("10.0.0.1", "10.0.0.2")):
            path.write_text(f"{ip} api\n")
            os.utime(path, ns=(i, i))
            found.append(await resolver.find(Question("api")))
        path.unlink()
        found.append(await resolver.find(Question("api")))
        assert [reply.records[0].host for reply in found] == ["10.9.9.9", "10.0.0.1", "10.0.0.2", "10.9.9.9"]

    asyncio.run(run())
