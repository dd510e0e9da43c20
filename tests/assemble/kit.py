"""Configurations for the tests of this room, checked as `enfilade up` checks them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from tests.certificates import self_signed

from enfilade.assemble.sites import Sites
from enfilade.assemble.stores import cache_filter, nowhere
from enfilade.assemble.trial import NoMeter, NoTimer, NoWorker, try_out
from enfilade.cache.filter import Cache
from enfilade.config import Config, loads
from enfilade.config.schema import CacheRules
from enfilade.exchange.call import Call
from enfilade.exchange.dispatch import Dispatcher
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.net.tls import Certificate
from enfilade.observe.log import LogSink
from enfilade.testing.exchange import make_exchange
from enfilade.upstream.peer import Peer
from enfilade.upstream.pool import Pool
from enfilade.upstream.upstream import Upstream


def config_of(text: str, base: Path | str = ".") -> Config:
    return loads(text, "e.toml", base, try_out)


def write_pem(folder: Path, name: str, *hosts: str) -> Certificate:
    """A certificate for `hosts`, as the files NAME.pem and NAME.key."""
    made = self_signed(list(hosts))
    (folder / f"{name}.pem").write_bytes(made.chain)
    (folder / f"{name}.key").write_bytes(made.key)
    return made


def names_in(chain: bytes) -> list[str]:
    found = x509.load_pem_x509_certificate(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)


class Telling(Pool):
    """Answers each call at once."""

    def __init__(self, name: str) -> None:
        super().__init__(lambda home: None, lambda seconds, what: NoTimer())
        self._name = name

    def carry(self, call: Call) -> None:
        request = call.request
        said = [self._name, request.method, request.authority, request.target]
        said += [f"{name.decode()}={value.decode()}" for name, value in request.fields if name.startswith(b"x-a")]
        found = 404 if request.path == "/none" or request.raw_path == b"/none" else 200
        fields = Fields([(b"x-accel-redirect", b"/a.txt")]) if request.raw_path == b"/file" else NO_FIELDS
        call.status = found
        call.caller.answered(call, Response(found, fields, " ".join(said).encode()))


class FakeParts(NoWorker):
    """Remembers what the routes ask of their worker."""

    def __init__(self) -> None:
        self.sinks: list[str] = []
        self.meters: list[tuple[str, str]] = []
        self.stores = nowhere.__wrapped__()

    def sink(self, to: str) -> LogSink:
        self.sinks.append(to)
        return super().sink("stderr")

    def app(self, name: str) -> Handler:
        return lambda x: Response(200, NO_FIELDS, f"{name} at {x.match.mount}".encode())

    def upstream(self, to: str | Sequence[str], balance: str | None) -> Upstream:
        """One with a peer that says what it was asked, and for which upstream."""
        upstream = super().upstream(to, balance)
        peer = Peer("http://peer:1")
        peer.authority = "peer:1"
        peer.pool = peer.upgrades = Telling(to if isinstance(to, str) else ",".join(to))
        upstream.join(peer)
        return upstream

    def meter(self, site: str, pattern: str) -> None:
        self.meters.append((site, pattern))

    def tls(self, site: str) -> object:
        return self

    def cache(self, rules: CacheRules, site: str, pattern: str) -> Cache:
        return cache_filter(rules, self.stores, NoMeter())


def ask(config: Config, method: str, target: str, **options: Any) -> tuple[Response, Exchange]:
    """What the configured server answers, with the exchange as its filters left it. Nothing is logged, as nobody is done."""
    sites = Sites(config, FakeParts())
    x = make_exchange(method, target, **options)
    x.match = Dispatcher(sites.find, sites.misdirected)(x.request, x.ends)
    answer = x.match.route.chain(x)
    return answer if isinstance(answer, Response) else asyncio.run(_await(answer)), x


async def _await(answer: Awaitable[Response]) -> Response:
    return await answer


def presented(context: ssl.SSLContext, name: str | None) -> list[str]:
    """The names of the certificate that a client which asks for `name` gets."""
    return names_in(ssl.DER_cert_to_PEM_cert(presented_der(context, name)).encode())


def presented_der(context: ssl.SSLContext, name: str | None = None) -> bytes:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: context.wrap_socket(theirs, server_side=True).close())
    thread.start()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with client.wrap_socket(ours, server_hostname=name) as sock:
        der = sock.getpeercert(binary_form=True)
    thread.join()
    assert der is not None
    return der
