"""What names mean: /etc/hosts first, then DNS. One query for a name is in flight at a time, however many ask for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from enfilade.upstream.addresses import is_ip
from enfilade.upstream.names import Question, Record

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as DnspythonResolver

Kind = Literal["A", "AAAA", "SRV"]
Family = Literal["auto", "ipv4", "ipv6", "all"]
_STEPS: dict[Family, tuple[tuple[Kind, ...], ...]] = {
    "auto": (("A",), ("AAAA",)),
    "ipv4": (("A",),),
    "ipv6": (("AAAA",),),
    "all": (("A", "AAAA"),),
}
"""What is asked for: a step at a time, until one has addresses; the kinds of a step at once."""

LIFETIME = 5.0
"""Seconds for an answer, from whichever server."""
RECORDS = 256
"""Of one answer at most: the first ones in their order."""
HOSTS = "/etc/hosts"
HOSTS_TTL = 5.0
"""Seconds: the file may change as well."""
_LOOPBACK = ("127.0.0.1", "::1")


class ResolveError(Exception):
    """Nobody is known under the name; the text says why."""


class Reply(NamedTuple):
    """`ttl`: seconds that it is good for."""

    records: tuple[Record, ...]
    ttl: float


Ask = Callable[[str, Kind], Awaitable[Reply | None]]
"""Asks for the records of a name; None: it has none of this kind. Raises ResolveError."""


class Resolver:
    """Answers questions by the file of hosts at `hosts`, or by `ask`. `family`: which addresses of a name are taken; "auto":
    the IPv4 ones where it has any, because both families of a name mostly lead to the same machines."""

    def __init__(self, ask: Ask, family: Family = "auto", hosts: str = HOSTS) -> None:
        self._ask = ask
        self._steps = _STEPS[family]
        self._hosts = _HostsFile(hosts)
        self._flights: dict[Question, asyncio.Task[Reply]] = {}

    async def find(self, question: Question) -> Reply:
        """The records that answer it, at least one. Raises ResolveError."""
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = asyncio.create_task(self._find(question))
            flight.add_done_callback(lambda _: self._flights.pop(question))
        return await asyncio.shield(flight)  # others may wait for it as well

    async def _find(self, question: Question) -> Reply:
        reply = await (self._services if question.srv else self._addresses)(question.name)
        if not reply.records:
            raise ResolveError("it has no services" if question.srv else "it has no addresses")
        return Reply(tuple(sorted(set(reply.records))[:RECORDS]), reply.ttl)

    async def _services(self, name: str) -> Reply:
        reply = await self._ask(name, "SRV") or _NONE
        # The target "." says that there is no such service (RFC 2782).
        return Reply(tuple([record for record in reply.records if record.host != "." and record.port]), reply.ttl)

    async def _addresses(self, name: str) -> Reply:
        local = self._hosts.find(name)
        for kinds in self._steps:
            if local:
                reply = Reply(tuple([Record(ip) for ip in local if _kind_of(ip) in kinds]), HOSTS_TTL)
            else:
                reply = _together(await asyncio.gather(*[self._ask(name, kind) for kind in kinds]))
            if reply.records:
                return reply
        return _NONE


_NONE = Reply((), 0)


def _together(replies: Iterable[Reply | None]) -> Reply:
    some = [reply for reply in replies if reply is not None]
    if not some:
        return _NONE
    return Reply(tuple([record for reply in some for record in reply.records]), min(reply.ttl for reply in some))


def _kind_of(ip: str) -> Kind:
    return "A" if ip_address(ip).version == 4 else "AAAA"


class _HostsFile:
    """The file of hosts at `path`, read again when it has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._names: dict[str, tuple[str, ...]] = {}

    def find(self, name: str) -> tuple[str, ...]:
        """The addresses of `name`, none if it is not there. `localhost` is this machine anyway (RFC 6761 section 6.3)."""
        self._look()
        is_here = name == "localhost" or name.endswith(".localhost")
        return self._names.get(name, _LOOPBACK if is_here else ())

    def _look(self) -> None:
        try:
            stat = os.stat(self._path)
            if self._seen != (seen := (stat.st_mtime_ns, stat.st_ino)):
                with open(self._path, encoding="utf-8", errors="replace") as file:
                    self._names = parse_hosts(file.read())
                self._seen = seen
        except OSError:  # a container may have none
            self._seen, self._names = None, {}


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """The addresses of each name in the file of hosts `text` (hosts(5)); what is not one is passed over."""
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        ip, *words = line.partition("#")[0].split() or ("",)
        if is_ip(ip) and "%" not in ip:
            for word in words:
                name = word.lower().removesuffix(".")
                names[name] = (*names.get(name, ()), ip)
    return names


class Dns:
    """Asks `servers` (IP address and port), or without any those of /etc/resolv.conf, with its search list."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._servers = servers
        self._resolver: DnspythonResolver | None = None

    async def __call__(self, name: str, kind: Kind) -> Reply | None:
        from dns.exception import DNSException  # noqa: PLC0415
        from dns.resolver import NXDOMAIN, NoAnswer  # noqa: PLC0415

        try:
            if self._resolver is None:
                self._resolver = self._make()
            answer = await self._resolver.resolve(name, kind, search=True, lifetime=LIFETIME)
        except NoAnswer:
            return None
        except NXDOMAIN:
            raise ResolveError("there is no such name") from None
        except (DNSException, OSError) as error:
            self._resolver = None  # resolv.conf may have changed: it is read anew
            raise ResolveError(str(error) or type(error).__name__) from None
        return Reply(tuple([_record(kind, data) for data in answer]), answer.chaining_result.minimum_ttl)

    def _make(self) -> DnspythonResolver:
        from dns.asyncresolver import Resolver as DnspythonResolver  # noqa: PLC0415
        from dns.nameserver import Do53Nameserver  # noqa: PLC0415

        resolver = DnspythonResolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = [Do53Nameserver(ip, port) for ip, port in self._servers]
        return resolver


def _record(kind: Kind, data: Any) -> Record:
    if kind != "SRV":
        return Record(data.address)
    host = data.target.to_text(omit_final_dot=True).lower()
    return Record(host, data.port, data.priority, data.weight)
