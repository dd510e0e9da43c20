"""Making connections to a peer."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM
from math import inf
from typing import Any, TypeVar

from enfilade.exchange.call import Home
from enfilade.http.reasons import Reason, reason
from enfilade.net.client import ClientConnection, ClientContext, Engine

log = logging.getLogger("enfilade.upstream")

_FAILED = reason("connect_failed")
_NO_SOCKET = reason("no_socket")
_TIMEOUT = reason("connect_timeout")
_TLS = reason("upstream_tls")

OUR_SHORTAGE = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
"""What no peer is to blame for."""
SPEAK_AGAIN = 60.0
"""Seconds for which a shortage of ours is not told again: it would be told with each request."""
Protocol = TypeVar("Protocol", bound=asyncio.Protocol)


class Dialer:
    """Dials one peer: call it with the home that the connection is for, which hears `opened` or `refused`, and with what must be
    said first on it, if anything.

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

    def __call__(self, home: Home, announcement: bytes = b"") -> None:
        task = self._context.loop.create_task(self._dial(home, announcement))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, home: Home, announcement: bytes) -> None:
        connection = ClientConnection(self._context, home, self._engine)
        try:
            async with asyncio.timeout(self._timeout or None):
                await connect(
                    self._context.loop, lambda: connection, self._where, announcement=announcement, tls=self._tls,
                    server_name=self._server_name,
                )  # fmt: skip
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
        ours = error.errno in OUR_SHORTAGE or (error.errno == EADDRNOTAVAIL and self._reached)
        return _NO_SOCKET if ours else _FAILED

    def _tell(self, why: Reason, error: str) -> None:
        level = logging.INFO
        if why is _NO_SOCKET:
            now = self._context.clock()
            if now - self._told_at < SPEAK_AGAIN:
                return
            self._told_at, level = now, logging.WARNING
        log.log(level, "%s: %s (%s)", self._name, error, why.name)


async def connect(
    loop: asyncio.AbstractEventLoop, make: Callable[[], Protocol], where: tuple[str, int] | str, *,
    announcement: bytes = b"", tls: ssl.SSLContext | None = None, server_name: str = "",
) -> tuple[asyncio.Transport, Protocol]:  # fmt: skip
    """A connection for what `make` makes to a host and port, or to the path of a Unix socket, with TLS as `server_name` if there
    is a context. `announcement` goes in front of all, TLS too. Raises OSError, ssl.SSLError or UnicodeError."""
    options: dict[str, Any] = {} if tls is None else {"ssl": tls, "server_hostname": server_name}
    create: Any = loop.create_unix_connection if isinstance(where, str) else loop.create_connection
    made: tuple[asyncio.Transport, Protocol]
    if not announcement:
        made = await create(make, *([where] if isinstance(where, str) else where), **options)
        return made
    sock = await _announced(loop, where, announcement)
    try:
        made = await create(make, sock=sock, **options)
    except BaseException:
        sock.close()
        raise
    return made


async def _announced(
    loop: asyncio.AbstractEventLoop, where: tuple[str, int] | str, announcement: bytes
) -> socket.socket:
    """A socket on which it was said: nothing that a protocol writes as soon as it is connected may come before."""
    family: int = socket.AF_UNIX
    address: Any = where
    if not isinstance(where, str):
        family, _, _, _, address = (await loop.getaddrinfo(*where, type=socket.SOCK_STREAM))[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, announcement)
    except BaseException:
        sock.close()
        raise
    return sock


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
