"""TLS between a socket and its connection: a protocol towards the socket's transport, a transport towards the connection.

OpenSSL does the work, from memory to memory. uvloop's own TLS asks it for one record too many after each read, and is told by
an exception that there is none: that takes longer than all the rest. It does not tell how a handshake ended, either.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, cast

from enfilade.http.reasons import Reason, reason
from enfilade.net.context import ConnectionContext, Served
from enfilade.net.refusal import refuse
from enfilade.net.tls import NoContext
from enfilade.wire.client_hello import NotTls, parse

HANDSHAKE_TIMEOUT = reason("handshake_timeout")
TLS_ERROR = reason("tls_error")
UNKNOWN = reason("unknown_server_name")

RECORD = 16 * 1024
"""Bytes that a record holds at most (RFC 8446 section 5.1): a read of so many leaves nothing of it behind."""
FLUSH = 64 * 1024
"""Bytes that are encrypted at once: OpenSSL keeps as much memory for a connection as it once needed."""
ACME = b"acme-tls/1"
"""The protocol in which an authority looks whether a name is ours, and says nothing."""
NOTHING_ASKED: Mapping[str, ssl.SSLContext] = MappingProxyType({})


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One TLS connection of a client. Until its handshake is over it is itself what the worker sees of the connection.

    `validations`: with which contexts authorities are answered that ask for a name by `ACME`; None once one of them is."""

    __slots__ = (
        "_app",
        "_cut",
        "_draining",
        "_due",
        "_heard",
        "_incoming",
        "_make",
        "_outgoing",
        "_service",
        "_socket",
        "_tls",
        "_validations",
        "_waiting",
    )

    received = 0
    """Nothing of what has come was meant for a server yet."""
    idle = True

    def __init__(
        self,
        service: ConnectionContext,
        begin_with: Callable[[], ssl.SSLContext],
        make: Callable[[], Served],
        validations: Mapping[str, ssl.SSLContext] = NOTHING_ASKED,
    ) -> None:
        self._service = service
        self._make = make
        self._validations: Mapping[str, ssl.SSLContext] | None = validations
        self._heard = bytearray()  # in the handshake: it may have to begin again
        self._begin(begin_with())
        self._app: Served | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._draining = False
        self._cut = False
        self._due = 0.0

    def _begin(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tls.heard = self._heard  # type: ignore[attr-defined]

    # -- what the socket's transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)
        if self._service.full:
            refuse(self._socket, self._service, b"")
            return
        self._due = self._service.clock() + self._service.limits.handshake_timeout
        self._service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        app = self._app
        if app is None:
            self._heard += data
            if self._validations and ACME in self._heard:
                self._begin_validation(self._validations)
            app = self._shake_hands()
            if app is None:
                return
        records: list[bytes] = []
        ended = False
        try:
            while self._incoming.pending and not ended:
                records.append(self._tls.read(RECORD))
                ended = not records[-1]  # close_notify (section 6.1)
        except ssl.SSLWantReadError:  # a record that is not complete, or one for OpenSSL itself
            pass
        except ssl.SSLError:
            self._fail()
            return
        plain = b"".join(records)
        if plain:
            app.data_received(plain)
        if self._outgoing.pending:  # the answer to a KeyUpdate
            self._flush()
        if ended:
            self._end()

    def _shake_hands(self) -> Served | None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return None
        except ssl.SSLError:
            context = getattr(self._tls, "begin_again", None)
            if context is not None:
                return self._begin_again(context)
            self._wait_or_fail(getattr(self._tls, "no_context", None))
            return None
        self._flush()
        self._heard.clear()
        self._service.connections.discard(self)
        if self._validations is None:
            self.close()  # the authority has seen what it wanted to
            return None
        app = self._app = self._make()
        app.connection_made(self)
        if self._draining:
            app.drain()
        return app

    def _begin_again(self, context: ssl.SSLContext) -> Served | None:
        """See `tls.listener_context`. Nothing was sent yet."""
        name = self._tls.sni  # type: ignore[attr-defined]
        self._begin(context)
        self._tls.sni = name  # type: ignore[attr-defined]
        self._incoming.write(self._heard)
        return self._shake_hands()

    def _wait_or_fail(self, why: NoContext | None) -> None:
        if why is None:
            self._fail()
        elif why.ready is None:
            self._fail(UNKNOWN)
        else:  # until then the client has nothing to say, and nothing was said to it
            self._socket.pause_reading()
            self._waiting = why.ready
            why.ready.add_done_callback(self._look_again)

    def _look_again(self, _: asyncio.Future[None]) -> None:
        self._waiting = None
        if self._socket.is_closing():
            return
        self._begin(self._tls.context)
        heard = bytes(self._heard)
        self._heard.clear()
        self._socket.resume_reading()
        self.data_received(heard)

    def _begin_validation(self, validations: Mapping[str, ssl.SSLContext]) -> None:
        """An authority's handshake offers that protocol and no other (RFC 8737 section 3); of others nothing changes."""
        try:
            hello = parse(bytes(self._heard))
        except NotTls:
            return
        context = validations.get(hello.name) if hello is not None and hello.alpn == (ACME,) else None
        if context is not None:
            self._begin(context)
            self._incoming.write(self._heard)
            self._validations = None

    def _fail(self, why: Reason = TLS_ERROR) -> None:
        """What came is no TLS that we speak: an alert, if OpenSSL has one to say, and the end."""
        self._service.meter.rejected(why)
        self._flush()
        self._socket.close()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._socket.write(data)

    def eof_received(self) -> bool:
        """An end without close_notify: the connection is cut, and who leaves it at once says none either."""
        self._cut = True
        self._end()
        self._cut = False
        return True

    def _end(self) -> None:
        if self._app is None or not self._app.eof_received():
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.remove_done_callback(self._look_again)
        # No cycle of the two: counting references frees them, and what OpenSSL has for them.
        app, self._app = self._app, None
        if app is None:
            self._service.connections.discard(self)
        else:
            app.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        if self._app is not None:
            self._app.resume_writing()

    # -- what the connection calls

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        size = len(data)
        try:
            sent = self._tls.write(data) if 0 < size <= FLUSH else 0
            while sent < size:
                self._flush()
                sent += self._tls.write(memoryview(data)[sent : sent + FLUSH])
        except ssl.SSLError:
            if (
                not self._socket.is_closing()
            ):  # otherwise it comes behind our close_notify, and nobody is there to read it
                self._fail()
            return
        self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if self._socket.is_closing():
            return
        if not self._cut:
            try:
                self._tls.unwrap()  # close_notify; the client's own is not waited for
            except ssl.SSLError:
                pass
            self._flush()
        self._socket.close()

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._socket.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._socket.get_extra_info(name, default)

    # -- what the worker calls, as long as the handshake lasts: `context.Tracked`; `abort` and `close` are the transport's, too

    def sweep(self, now: float) -> None:
        if self._service.limits.handshake_timeout > 0 and self._due <= now:
            self.abort(HANDSHAKE_TIMEOUT)

    def drain(self) -> None:
        """What comes of the handshake is still served, once."""
        self._draining = True

    def dismiss(self) -> None: ...

    def abort(self, why: Reason | None = None) -> None:
        if why is not None:
            self._service.meter.rejected(why)
        self._socket.abort()
