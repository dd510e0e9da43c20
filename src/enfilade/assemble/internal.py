"""The certificates of `tls = "internal"`: signed by our own authority before the fork, renewed by each worker for itself."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from enfilade.config.schema import Config
from enfilade.net.tls import ALPN, Certificate, context_for, present
from enfilade.pki.authority import LOCAL_NAMES, Authority, new_root
from enfilade.pki.kept import keep, read_kept

log = logging.getLogger("enfilade.tls")


class InternalCertificates:
    """`context` makes one; the first certificate is made before the fork, and so are the keys of its session tickets. Raises
    OSError or ValueError where the authority cannot be used."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.authority = authority_of(config)
        self._names = [*names_of(config), *LOCAL_NAMES]
        self._lifetime = timedelta(seconds=config.pki.lifetime)
        self._contexts: list[ssl.SSLContext] = []
        self._certificate = self._new()

    def context(self, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
        """A context with the certificate, now and when it is renewed."""
        self._contexts.append(context_for(self._certificate, alpn))
        return self._contexts[-1]

    def look(self, now: float) -> None:
        """Renew the certificate when half of its life is over. `now` is not asked: a machine that slept is late by the clock
        on the wall alone."""
        if self._contexts and self._clock() >= self._due:
            self._certificate = self._new()
            for context in self._contexts:
                present(context, self._certificate)
            log.info("renewed the internal certificate")

    def _new(self) -> Certificate:
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._due = (now + self._lifetime / 2).timestamp()
        leaf = self.authority.leaf(self._names, now, self._lifetime)
        return Certificate("internal", leaf.chain, leaf.key)


def names_of(config: Config) -> list[str]:
    """Whom our certificate is for, beside this machine."""
    return [name for name, site in config.sites.items() if site.tls == "internal" and name != "*"]


def signed_for(config: Config) -> list[str]:
    """Whom our authority signs for."""
    return [*names_of(config), *config.pki.names]


def authority_of(config: Config) -> Authority:
    """Who signs, until the next start or reload. After that nobody holds the key of the root."""
    now = datetime.now(UTC)
    if config.pki.root is not None:
        return keep(config.pki.root, signed_for(config), now)
    return new_root(socket.gethostname(), now).intermediate(signed_for(config), now)


def look_at_root(config: Config) -> None:
    """What a start would make of the directory, without writing to it. Raises OSError or ValueError."""
    assert config.pki.root is not None, "the root is kept"
    now = datetime.now(UTC)
    kept = read_kept(config.pki.root, now)
    if kept is not None:
        kept.signer(signed_for(config), now)
