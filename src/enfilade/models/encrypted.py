"""TLS around a conversation: bytes in, bytes out, as the conversation itself. No I/O."""

from __future__ import annotations

import ssl

from enfilade.models.conversation import Conversation
from enfilade.models.server import READ, TLS_ERROR


class Encrypted:
    """What comes is decrypted for `conversation`, and its answers are encrypted; when it is over, so is TLS."""

    __slots__ = ("_conversation", "_ended", "_incoming", "_outgoing", "_shaken", "_tls")

    def __init__(self, context: ssl.SSLContext, conversation: Conversation) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._conversation = conversation
        self._shaken = self._ended = False

    def received(self, data: bytes) -> bytes:
        """See `Conversation.received`."""
        plain = self._decrypt(data)
        return self._encrypt(self._conversation.received(plain) if plain else b"")

    async def answers(self, data: bytes) -> bytes:
        """See `Conversation.answers`."""
        plain = self._decrypt(data)
        return self._encrypt(await self._conversation.answers(plain) if plain else b"")

    def _decrypt(self, data: bytes) -> bytes:
        conversation = self._conversation
        plain: list[bytes] = []
        self._incoming.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while part := self._tls.read(READ):
                plain.append(part)
            self._ended = True  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            conversation.over, conversation.why = True, TLS_ERROR
        return b"".join(plain)

    def _encrypt(self, answer: bytes) -> bytes:
        self._conversation.over |= self._ended
        try:
            self._tls.write(answer)
            if self._conversation.over:
                self._tls.unwrap()
        except ssl.SSLError:  # the client has not said its own farewell; or there is nothing left to talk by
            pass
        return self._outgoing.read()
