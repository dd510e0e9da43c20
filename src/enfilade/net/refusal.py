"""What a connection gets that is one too many: where it is cheap, a word why; and its end.

nginx closes it without a word, which a client cannot tell from a crash; HAProxy leaves it in the kernel's queue, where nobody
sees it and it fails by the client's own time-out. A 503 says whose fault it is and when to come again, and a load balancer in
front goes to its next server. It is said at once, whatever is asked: to wait for the request would let strangers who send
none hold what the limit is there to keep. Over TLS nothing can be said without a handshake, which costs more than most
requests: there the connection is only closed.
"""

from __future__ import annotations

import asyncio
from typing import cast

from enfilade.closing import LINGER_BYTES
from enfilade.http.reasons import reason
from enfilade.net.context import LINGER, ConnectionContext

CONNECTION_LIMIT = reason("connection_limit")
AT_ONCE = 64
"""Refusals of one listener that wait for their client to read them. Beyond, connections end at once: a limit stays a limit."""

_BODY = f"503 Service Unavailable: {CONNECTION_LIMIT.text}\n".encode()
HTTP_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncache-control: no-store\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


def refuse(transport: asyncio.Transport, context: ConnectionContext, words: bytes) -> None:
    """End the connection that was just accepted, after `words`, if there are any. What had `transport` loses it."""
    context.meter.rejected(CONNECTION_LIMIT)
    if words and context.refusals < AT_ONCE:
        refusal = Refusal(context)
        transport.set_protocol(refusal)
        refusal.connection_made(transport)
        transport.write(words)
        transport.write_eof()
    else:
        transport.set_protocol(asyncio.Protocol())
        transport.abort()


class Refusal(asyncio.Protocol):
    """Drops what the client still sends, until it goes or had time to read: to close over unread bytes would make its system
    throw away what we said (RFC 9112 section 9.6)."""

    __slots__ = ("_context", "_received", "_transport")

    def __init__(self, context: ConnectionContext) -> None:
        self._context = context
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._context.refusals += 1
        self._context.loop.call_later(LINGER, transport.close)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > LINGER_BYTES:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._context.refusals -= 1
