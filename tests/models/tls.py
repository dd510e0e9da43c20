"""A client that speaks TLS without a socket."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

from tests.certificates import self_signed


def contexts_in(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and one that trusts it."""
    certificate = self_signed(["localhost"])
    file = folder / "certificate.pem"
    file.write_bytes(certificate.chain + certificate.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=certificate.chain.decode())


class Client:
    """`flight`: what it has to send; `heard`: what it was told."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.is_shaken = self.has_ended = False
        self.heard = b""
        self._try()

    def flight(self) -> bytes:
        return self._outgoing.read()

    def hear(self, data: bytes) -> None:
        self._incoming.write(data)
        self._try()

    def say(self, data: bytes) -> None:
        self.tls.write(data)

    def leave(self) -> None:
        """Say farewell."""
        with suppress(ssl.SSLWantReadError):  # the server's own is not there yet
            self.tls.unwrap()

    def _try(self) -> None:
        try:
            if not self.is_shaken:
                self.tls.do_handshake()
                self.is_shaken = True
            while data := self.tls.read(100):
                self.heard += data
            self.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
