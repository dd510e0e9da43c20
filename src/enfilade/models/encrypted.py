"""TLS without a socket: bytes in, bytes out. No I/O."""

from __future__ import annotations

import ssl
from contextlib import suppress

from enfilade.http.reasons import Reason
from enfilade.models.conversation import Conversation
from enfilade.models.server import TLS_ERROR

RECORD = 16 * 1024
"""Bytes of a record at most (RFC 8446, 5.1): nothing longer is decrypted at once."""


class Tls:
    """The server's side of it. `shaken`: the handshake is done. `over`: the client has said its farewell (close_notify, RFC 8446,
    6.1), or gone without one; or what it sent was no TLS, as `why` then says."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "over", "shaken", "why")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.shaken = self.over = False
        self.why: Reason | None = None

    def decrypt(self, data: bytes) -> bytes:
        """What the client says with `data`."""
        if self.over:
            return b""
        plain: list[bytes] = []
        self._incoming.write(data)
        try:
            if not self.shaken:
                self._tls.do_handshake()
                self.shaken = True
            while part := self._tls.read(RECORD):
                plain.append(part)
            self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.over, self.why = True, TLS_ERROR
        return b"".join(plain)

    def ended(self) -> None:
        """Nothing more will come."""
        self.over, self.why = True, None if self.shaken else TLS_ERROR

    def encrypt(self, plain: bytes = b"") -> bytes:
        """What is to be sent: `plain`, behind what TLS itself has to say, as its handshake and its alerts."""
        if plain:
            with suppress(ssl.SSLError):  # there is nothing left to talk by
                self._tls.write(plain)
        return self._outgoing.read()

    def close(self) -> bytes:
        """What is to be sent at the end: our own farewell."""
        with suppress(ssl.SSLError):  # the client has not said its own yet; or TLS has never begun
            self._tls.unwrap()
        return self._outgoing.read()


class Encrypted:
    """A conversation in TLS: what comes is decrypted for it, its answers are encrypted, and when one of both is over, so is the
    other."""

    __slots__ = ("_conversation", "_tls")

    def __init__(self, context: ssl.SSLContext, conversation: Conversation) -> None:
        self._conversation = conversation
        self._tls = Tls(context)

    def received(self, data: bytes | None) -> bytes:
        """See `Conversation.received`."""
        return self._encrypted(self._conversation.received(self._decrypted(data)))

    async def answers(self, data: bytes | None) -> bytes:
        """See `Conversation.answers`."""
        return self._encrypted(await self._conversation.answers(self._decrypted(data)))

    def ended(self) -> bytes:
        """See `Conversation.ended`."""
        self._tls.ended()
        return self._encrypted(b"")

    def _decrypted(self, data: bytes | None) -> bytes | None:
        return (self._tls.decrypt(data) or None) if data is not None else None

    def _encrypted(self, answer: bytes) -> bytes:
        conversation, tls = self._conversation, self._tls
        if tls.over and not conversation.over and not conversation.waiting:
            conversation.over, conversation.why = True, tls.why
        records = tls.encrypt(answer)
        return records + tls.close() if conversation.over else records
