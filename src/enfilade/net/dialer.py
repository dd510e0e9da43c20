"""Making connections to a peer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM
from math import inf

from enfilade.exchange.call import Home
from enfilade.http.reasons import Reason, reason
from enfilade.net.client import ClientConnection, ClientContext, Engine

log = logging.getLogger("enfilade.upstream")

_FAILED = reason("connect_failed")
_NO_SOCKET = reason("no_socket")
_TIMEOUT = reason("connect_timeout")
_TLS = reason("upstream_tls")

_OUR_SHORTAGE = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
SPEAK_AGAIN = 60.0
"""Seconds for which a shortage of ours is not told again: it would be told with each request."""


class Dialer:
    """Dials one peer: call it with the home that the connection is for, which hears `opened` or `refused`.

    `where`: a host and port, or the path of a Unix socket. `tls`: the context, where it speaks TLS as `server_name`.
    `timeout`: seconds for all of it, the TLS handshake included.
    """

    def __init__(
        self,
        context: ClientContext,
        where: tuple[str, int] | str,
        engine: Engine,
        *,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        name: str = "",
    ) -> None:
        self._context = context
        self._where = where
        self._engine = engine
        self._timeout = timeout
        self._tls = tls
        self._server_name = server_name
        self._name = name
        self._reached = False
        self._told_at = -inf
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, home: Home) -> None:
        task = self._context.loop.create_task(self._dial(home))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, home: Home) -> None:
        connection = ClientConnection(self._context, home, self._engine)
        try:
            async with asyncio.timeout(self._timeout or None):
                await self._connect(lambda: connection)
            self._reached = True
            return
        except TimeoutError:
            why, error = _TIMEOUT, f"not within {self._timeout:g} s"
        except ssl.SSLError as e:
            why, error = _TLS, getattr(e, "verify_message", "") or e.reason or str(e)
        except OSError as e:
            why, error = self._reason_of(e), e.strerror or str(e)
        except UnicodeError as e:  # a name that cannot be one in DNS
            why, error = _FAILED, str(e)
        if not connection.made:  # otherwise its home knows it, and hears from it that it is lost
            self._tell(why, error)
            home.refused(why)

    def _reason_of(self, error: OSError) -> Reason:
        """A peer is not to be blamed for what we have not got. That there is no address to come from means that all ports are
        taken, where the peer was reached before; otherwise it is how Linux says that this host has no IPv6."""
        ours = error.errno in _OUR_SHORTAGE or (error.errno == EADDRNOTAVAIL and self._reached)
        return _NO_SOCKET if ours else _FAILED

    def _tell(self, why: Reason, error: str) -> None:
        level = logging.INFO
        if why is _NO_SOCKET:
            now = self._context.clock()
            if now - self._told_at < SPEAK_AGAIN:
                return
            self._told_at, level = now, logging.WARNING
        log.log(level, "%s: %s (%s)", self._name, error, why.name)

    async def _connect(self, make: Callable[[], ClientConnection]) -> None:
        loop = self._context.loop
        if isinstance(self._where, str):
            await loop.create_unix_connection(make, self._where)
            return
        host, port = self._where
        if self._tls is None:
            await loop.create_connection(make, host, port)
        else:
            await loop.create_connection(make, host, port, ssl=self._tls, server_hostname=self._server_name)


def client_tls(
    *, authority: str | None = None, certificate: str | None = None, key: str | None = None, verify: bool = True,
    protocols: tuple[str, ...] = ("h2", "http/1.1"),
) -> ssl.SSLContext:  # fmt: skip
    """The context for connections to peers. `authority`: a PEM file whose certificates are trusted instead of the system's;
    `certificate`, `key`: PEM files of ours, for peers that ask who we are. Raises OSError or ssl.SSLError."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(protocols))
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
