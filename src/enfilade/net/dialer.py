"""Making connections to a peer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from enfilade.exchange.call import Home
from enfilade.http.reasons import reason
from enfilade.net.client import ClientConnection, ClientContext, Engine

log = logging.getLogger("enfilade.upstream")

_FAILED = reason("connect_failed")
_TIMEOUT = reason("connect_timeout")
_TLS = reason("upstream_tls")


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
            return
        except TimeoutError:
            why, error = _TIMEOUT, f"not within {self._timeout:g} s"
        except ssl.SSLError as e:
            why, error = _TLS, getattr(e, "verify_message", "") or e.reason or str(e)
        except (OSError, UnicodeError) as e:  # the latter: a name that cannot be one in DNS
            why, error = _FAILED, getattr(e, "strerror", None) or str(e)
        if not connection.made:  # otherwise its home knows it, and hears from it that it is lost
            log.info("%s: %s (%s)", self._name, error, why.name)
            home.refused(why)

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
