"""TLS around a conversation: bytes in, bytes out, as the conversation itself. No I/O."""

from __future__ import annotations

import ssl
from contextlib import suppress

from enfilade.http.reasons import Reason
from enfilade.models.conversation import Conversation
from enfilade.models.server import TLS_ERROR

RECORD = 16 * 1024
"""Bytes of a record at most (RFC 8446, 5.1): nothing longer is decrypted at once."""


class Encrypted:
    """What comes is decrypted for `conversation`, and its answers are encrypted; when one of both is over, so is the other."""

    __slots__ = ("_conversation", "_incoming", "_outgoing", "_over", "_shaken", "_tls", "_why")

    def __init__(self, context: ssl.SSLContext, conversation: Conversation) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._conversation = conversation
        self._shaken = self._over = False
        self._why: Reason | None = None

    def received(self, data: bytes) -> bytes:
        """See `Conversation.received`."""
        plain = self._decrypt(data)
        return self._encrypt(self._conversation.received(plain) if plain else b"")

    async def answers(self, data: bytes) -> bytes:
        """See `Conversation.answers`."""
        plain = self._decrypt(data)
        return self._encrypt(await self._conversation.answers(plain) if plain else b"")

    def ended(self) -> bytes:
        """See `Conversation.ended`."""
        self._over, self._why = True, None if self._shaken else TLS_ERROR
        return self._encrypt(b"")

    def _decrypt(self, data: bytes) -> bytes:
        """What `data` says. `_over`: that is all; `_why`: because the rest is no TLS."""
        plain: list[bytes] = []
        self._incoming.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while part := self._tls.read(RECORD):
                plain.append(part)
            self._over = True  # close_notify (RFC 8446, 6.1)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._over, self._why = True, TLS_ERROR
        return b"".join(plain)

    def _encrypt(self, answer: bytes) -> bytes:
        """What is to be sent: `answer`, records of the handshake or an alert, and at the end our own close_notify."""
        conversation = self._conversation
        if self._over and not conversation.over:
            conversation.over, conversation.why = True, self._why
        with suppress(ssl.SSLError):  # there is nothing left to talk by; or the client has not said its farewell yet
            if answer:
                self._tls.write(answer)
            if conversation.over:
                self._tls.unwrap()
        return self._outgoing.read()
