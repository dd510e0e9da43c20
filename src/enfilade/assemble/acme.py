"""Certificates by ACME, as the configuration has them: what is made ready before the fork, and what each worker does."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypedDict

from enfilade.acme.challenges import HTTP_PATH, Http01, TlsAlpn01
from enfilade.acme.client import Terms
from enfilade.acme.demand import Demand
from enfilade.acme.disk import Disk, prepare
from enfilade.acme.dns import Command, Dns01
from enfilade.acme.jose import ExternalAccount
from enfilade.acme.manager import Authority, Manager, Means
from enfilade.acme.order import Solver, identifier
from enfilade.acme.state import Held, State
from enfilade.acme.storage import Storage
from enfilade.acme.view import View
from enfilade.assemble.certificates import Certificates
from enfilade.assemble.demand import permission, possible
from enfilade.config.acme_checks import answerable, directory_url, on_demand, read_hmac, read_secret
from enfilade.config.schema import Acme, Config, DnsUpdate
from enfilade.config.schema.acme import Challenge
from enfilade.config.units import dns_server, texts
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Match
from enfilade.exchange.fetch import Fetch
from enfilade.exchange.response import Response
from enfilade.http.addresses import ANYWHERE, Networks
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.net.fetch import Fetcher
from enfilade.net.redis.storage import RedisStorage
from enfilade.net.tls import Certificate, context_for, present
from enfilade.net.tls_transport import ACME
from enfilade.observe.metrics import CertificateMeter, CertificateRows, Sample, bound_label, register_certificates
from enfilade.pki.authority import self_signed
from enfilade.process.board import Board
from enfilade.process.privileges import Identity, acting_as

log = logging.getLogger("enfilade.acme")

Find = Callable[[Request, Ends], Match]
NO_ROUTE = reason("no_route")
PLACEHOLDER = timedelta(days=90)
"""For so long is that good which stands in for a first certificate."""
FAREWELL = 5.0
"""Seconds in which an order that is broken off may take back what it has shown."""
_TEXT = Fields([(b"content-type", b"application/octet-stream")])


class CertificateStatus(TypedDict):
    """`until`: seconds since 1970, 0 where there is none yet; `again`, `error`: of the last try, if that failed."""

    name: str
    until: float
    again: float
    error: str


class Ordering(NamedTuple):
    """What certificates are ordered with: made before workers give up the privileges that its files may ask for."""

    rows: CertificateRows
    storage: Storage
    authorities: Sequence[Authority]
    solvers: Sequence[Solver]
    fetch: Fetch
    permit: Callable[[str], Awaitable[bool]] | None


def prepare_acme(config: Config, board: Board, identity: Identity | None) -> Ordering:
    """In the supervisor. Raises OSError or ValueError where something cannot be read or written."""
    acme = config.acme
    assert acme is not None, "some site wants certificates by ACME"
    if acme.storage is not None:
        with acting_as(identity):
            prepare(acme.storage)
    storage = storage_of(acme)
    solvers = [solver_of(kind, acme, storage) for kind in answerable(config)]
    permit = None if acme.on_demand is None else permission(acme)
    return Ordering(register_certificates(board), storage, authorities_of(acme), solvers, fetcher_of(acme), permit)


def authorities_of(acme: Acme) -> list[Authority]:
    """The best first. Raises OSError or ValueError."""
    external = None
    if acme.account_key_id is not None and acme.account_hmac is not None:
        external = ExternalAccount(acme.account_key_id, read_hmac(acme.account_hmac))
    terms = Terms(acme.email, external)
    return [Authority(directory_url(text), terms, acme.profile) for text in texts(acme.directory)]


def fetcher_of(acme: Acme) -> Fetcher:
    """One of our own network may have private addresses, and is told from others by who vouches for it."""
    return Fetcher(None if acme.authority is None else Networks(ANYWHERE), authority=acme.authority)


def storage_of(acme: Acme) -> Storage:
    if acme.storage is not None:
        return Disk(acme.storage)
    return RedisStorage(acme.redis or "")


def solver_of(kind: Challenge, acme: Acme, storage: Storage) -> Solver:
    """Raises OSError or ValueError."""
    if kind != "dns-01":
        return Http01(storage) if kind == "http-01" else TlsAlpn01(storage)
    if not isinstance(acme.dns, DnsUpdate):
        return Dns01(Command(acme.dns or ()), acme.dns_wait)
    from enfilade.acme.dns_update import UpdatedZone  # noqa: PLC0415

    said = acme.dns
    return Dns01(
        UpdatedZone(dns_server(said.server), said.key, read_secret(said.secret), said.algorithm), acme.dns_wait
    )


def validation_context(pem: bytes) -> ssl.SSLContext:
    """Raises ssl.SSLError."""
    return context_for(Certificate("an answer to an authority", pem, b""), [ACME.decode()])


class AcmeWorker:
    """In one worker: knows certificates and challenges as soon as they are stored; one of all workers has them made."""

    def __init__(self, config: Config, certificates: Certificates, ordering: Ordering, meter: CertificateMeter) -> None:
        self._ordering = ordering
        self._contexts: dict[str, ssl.SSLContext] = {}
        for site in config.sites:
            context = certificates.of(site)
            wide = config.acme is not None and on_demand(site, config.acme)
            if config.sites[site].tls == "acme" and context is not None and not wide:
                self._contexts[identifier(site).value] = context
        self._meter = meter
        self._view = View(ordering.storage, self._present, validation_context)
        if certificates.listener is not None:
            certificates.listener.validations = self._view.validations
        self._on_demand = certificates.on_demand
        self._demand: Demand | None = None
        if self._on_demand is not None:
            assert config.acme is not None and ordering.permit is not None, "the configuration says who may have one"
            self._demand = Demand(ordering.storage, self._view, possible(config.acme), ordering.permit, time.time)
            self._on_demand.demand = self._demand
        self._looking: asyncio.Task[None] | None = None
        self._managing: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Before anybody is listened to. Who has no certificate yet gets one that nobody trusts."""
        await self._view.look()
        for name in self._contexts.keys() - self._view.certificates.keys():
            made = self_signed([name], datetime.now(UTC), PLACEHOLDER)
            present(
                self._contexts[name], Certificate(f"what stands in for the certificate of {name}", made.chain, made.key)
            )

    def look(self, now: float) -> None:
        """Once a second."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._view.look())
        if self._demand is not None and self._on_demand is not None:
            self._on_demand.keep_only(self._view.certificates.keys())
            self._demand.tick()

    def manage(self) -> None:
        """Have certificates made: for one of the workers."""
        _, storage, authorities, solvers, fetch, _ = self._ordering
        means = Means(fetch, asyncio.sleep, random.random, self._meter.count, time.time)
        manager = Manager(self._contexts, storage, self._view, authorities, solvers, means)
        for name in self._contexts.keys() - self._view.certificates.keys():
            log.info("there is no certificate for %s yet: until there is, it has one that nobody trusts", name)
        loop = asyncio.get_running_loop()
        self._managing = [loop.create_task(manager.run())]
        if self._demand is not None:
            self._managing.append(loop.create_task(self._demand.keep(manager, means)))

    async def stop(self) -> None:
        """No longer have certificates made; whoever does it next begins anew."""
        for task in self._managing:
            task.cancel()
        if self._managing:
            await asyncio.wait(self._managing, timeout=FAREWELL)

    async def close(self) -> None:
        """When nobody looks any more."""
        if self._looking is not None:
            await asyncio.wait([self._looking])
        if self._demand is not None:
            await self._demand.close()
        await self._ordering.storage.close()

    def _present(self, name: str, held: Held) -> None:
        context = self._contexts.get(name)
        if context is not None:
            present(context, Certificate(f"the stored certificate of {name}", held.chain.pem, held.key))
        elif self._demand is not None and self._on_demand is not None:
            self._on_demand.forget(name)
            self._demand.end(name)

    def answering(self, find: Find, match: Match) -> Find:
        """`find`, but `match` for what an authority asks, as long as it has to."""
        answers = self._view.answers

        def found(request: Request, ends: Ends) -> Match:
            asked = answers and request.path.startswith(HTTP_PATH) and request.path[len(HTTP_PATH) :] in answers
            return match if asked and request.method in ("GET", "HEAD") else find(request, ends)

        return found

    def answer(self, x: Exchange) -> Response:
        """What an authority asks for (RFC 8555 section 8.3)."""
        found = self._view.answers.get(x.request.path[len(HTTP_PATH) :])
        return error_response(NO_ROUTE, x) if found is None else Response(200, _TEXT, found)

    def status(self) -> list[CertificateStatus]:
        found = []
        for name in dict.fromkeys((*self._contexts, *self._view.wanted)):
            held, state = self._view.certificates.get(name), self._view.states.get(name, State())
            until = 0.0 if held is None else held.chain.not_after
            found.append(CertificateStatus(name=name, until=until, again=state.again, error=state.error))
        return found

    def samples(self) -> Iterator[Sample]:
        """Not of names that are had on demand: as many as strangers can think of."""
        for name in self._view.certificates.keys() - (self._view.wanted.keys() - self._contexts.keys()):
            held = self._view.certificates[name]
            labels = (("name", bound_label(name)),)
            yield "enfilade_certificate_expiry_time_seconds", labels, int(held.chain.not_after)
