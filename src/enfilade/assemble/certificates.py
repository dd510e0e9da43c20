"""The TLS contexts of all sites, made in the supervisor before the fork."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from enfilade.config.acme_checks import on_demand
from enfilade.config.pki_checks import serves_acme
from enfilade.config.schema import Config, PeerTls, Tls
from enfilade.net.dialer import client_tls
from enfilade.net.tls import ALPN, Certificate, Clients, ListenerContexts, bare_context, context_for, restrict
from enfilade.route.hosts import compile_hosts

if TYPE_CHECKING:
    from enfilade.assemble.demand import DemandContexts
    from enfilade.assemble.internal import InternalCertificates


class Certificates:
    """`of(site)`: its context, None if it is not served over TLS; sites with the same table share one. `listener`: with
    which contexts handshakes begin; they choose by SNI. `internal`: what our own authority signs, if there is one;
    `on_demand`: the contexts of names that have a certificate when they are asked for, if some may. Raises
    OSError, ValueError or ssl.SSLError for certificates that cannot be used."""

    def __init__(self, config: Config) -> None:
        self.internal = internal_certificates(config)
        self._suites = config.server.tls_ciphers
        self._shared: dict[object, ssl.SSLContext] = {}
        self._by_site = {name: self._context(site.tls) for name, site in config.sites.items() if site.over_tls}
        self._minimum = tls_minimum(config)
        self._find = compile_hosts(self._by_site).find
        self.on_demand = self._on_demand(config)
        self.listener = self._listener() if self._by_site else None

    def of(self, site: str) -> ssl.SSLContext | None:
        return self._by_site.get(site)

    def of_stream(self, tls: Tls | str | None) -> ListenerContexts | None:
        """Without ALPN: what is spoken inside is no affair of ours."""
        if tls is None:
            return None
        context = read_context(tls, ()) if isinstance(tls, Tls) else self._internal().context(alpn=())
        return ListenerContexts(restrict(context, self._suites), minimum=self._minimum, alpn=())

    def _context(self, tls: object) -> ssl.SSLContext:
        if tls == "acme":
            return restrict(bare_context(), self._suites)
        context = self._shared.get(tls)
        if context is None:
            context = read_context(tls) if isinstance(tls, Tls) else self._internal().context()
            self._shared[tls] = restrict(context, self._suites)
        return context

    def _on_demand(self, config: Config) -> DemandContexts | None:
        acme = config.acme
        wide = [name for name, site in config.sites.items() if site.tls == "acme" and acme and on_demand(name, acme)]
        if not wide:
            return None
        # Fetching URLs is the matter only of those who ask.
        from enfilade.assemble.demand import DemandContexts  # noqa: PLC0415

        return DemandContexts(self._find, [self._by_site[name] for name in wide], self._suites)

    def _internal(self) -> InternalCertificates:
        assert self.internal is not None, "something is internal"
        return self.internal

    def _listener(self) -> ListenerContexts:
        # Who names no site in the handshake gets the default site's certificate, or the first one's.
        default = self._by_site.get("*") or next(iter(self._by_site.values()))
        find = self._find if self.on_demand is None else self.on_demand.find
        return ListenerContexts(default, find, self._minimum)


def tls_minimum(config: Config) -> ssl.TLSVersion:
    return {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[config.server.tls_minimum]


def read_context(tls: Tls, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
    """The context for a certificate in files. Raises OSError or ssl.SSLError."""
    said = tls.clients
    clients = None
    if said is not None:
        clients = Clients(_read(said.authority), _read(said.revoked) if said.revoked else b"", said.required)
    certificate = Certificate(tls.certificate, _read(tls.certificate), _read(tls.key))
    return context_for(certificate, alpn, clients)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def peer_context(tls: PeerTls, protocols: tuple[str, ...]) -> ssl.SSLContext:
    """The context for connections to peers; `protocols` are offered by ALPN. Making one reads all authorities that are trusted,
    which takes tens of milliseconds: keep it. Raises OSError or ssl.SSLError."""
    return client_tls(
        authority=tls.authority, certificate=tls.certificate, key=tls.key, verify=tls.verify, protocols=protocols
    )


def internal_certificates(config: Config) -> InternalCertificates | None:
    """Those of our own authority; None where nothing needs it. Raises OSError or ValueError."""
    said = [site.tls for site in config.sites.values()] + [stream.tls for stream in config.streams.values()]
    if config.pki.root is None and "internal" not in said and not serves_acme(config):
        return None
    # Importing the X.509 library costs 60 ms, which only those pay who need a certificate made.
    from enfilade.assemble.internal import InternalCertificates  # noqa: PLC0415

    return InternalCertificates(config)
