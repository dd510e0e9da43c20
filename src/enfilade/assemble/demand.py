"""Certificates on demand, as the configuration has them."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING

from enfilade.config.schema import Acme
from enfilade.exchange.fetch import Fetch, FetchError
from enfilade.http.addresses import ANYWHERE, Networks
from enfilade.http.public_names import is_public
from enfilade.net.fetch import Fetcher
from enfilade.net.tls import Certificate, NoContext, context_for, restrict
from enfilade.route.hosts import compile_hosts

if TYPE_CHECKING:
    from enfilade.acme.demand import Demand

log = logging.getLogger("enfilade.acme")

CONTEXTS = 1000
"""Those that are kept by each worker, of the names that were asked for last."""
TIMEOUT = 5.0
"""Seconds for an answer whether a name may have a certificate."""


class DemandContexts:
    """The contexts of the names that belong to `sites`, each of which `stands_for` its site's, restricted to `suites`; of others,
    what `find` says. Each worker has its `demand`."""

    def __init__(
        self,
        find: Callable[[str], ssl.SSLContext | None],
        sites: Collection[ssl.SSLContext],
        suites: Sequence[str] = (),
    ) -> None:
        self._find = find
        self._suites = suites
        self._sites = frozenset(sites)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.demand: Demand | None = None

    def find(self, host: str) -> ssl.SSLContext | None:
        """Raises NoContext."""
        found = self._find(host)
        if found not in self._sites or self.demand is None:
            return found
        context = self._contexts.pop(host, None)
        if context is None:
            held = self.demand.held(host)
            if held is None:
                raise NoContext(self.demand.want(host))
            certificate = Certificate(f"the stored certificate of {host}", held.chain.pem, held.key)
            context = restrict(context_for(certificate), self._suites)
            context.stands_for = found  # type: ignore[attr-defined]
            if len(self._contexts) >= CONTEXTS:
                del self._contexts[next(iter(self._contexts))]
        self._contexts[host] = context  # behind those that were asked for before
        self.demand.use(host)
        return context

    def forget(self, name: str) -> None:
        """It has another certificate, or none any more."""
        self._contexts.pop(name, None)

    def keep_only(self, names: Collection[str]) -> None:
        for name in self._contexts.keys() - names:
            del self._contexts[name]


def possible(acme: Acme) -> Callable[[str], bool]:
    """Whether a name can have a certificate, as far as that can be said without asking."""
    assert acme.on_demand is not None, "only then names are asked for"
    allowed = compile_hosts(dict.fromkeys(acme.on_demand.allow, True)).find if acme.on_demand.allow else None
    anything = acme.authority is not None

    def look(name: str) -> bool:
        return (anything or is_public(name)) and (allowed is None or allowed(name) is not None)

    return look


def permission(acme: Acme) -> Callable[[str], Awaitable[bool]]:
    """Whoever is asked. Made before the fork. Raises OSError or ssl.SSLError."""
    assert acme.on_demand is not None, "only then names are asked for"
    url = acme.on_demand.ask
    return permitted if url is None else asking(url, Fetcher(Networks(ANYWHERE), http=True, timeout=TIMEOUT))


async def permitted(name: str) -> bool:
    return True


def asking(url: str, fetch: Fetch) -> Callable[[str], Awaitable[bool]]:
    """The name needs no encoding: it is that of a host."""
    base = url.partition("#")[0]
    base += "&" if "?" in base else "?"

    async def ask(name: str) -> bool:
        try:
            answer = await fetch("GET", f"{base}domain={name}")
        except FetchError as error:
            log.warning("whether %s may have a certificate is not known: %s", name, error)
            return False
        return 200 <= answer.status < 300

    return ask
