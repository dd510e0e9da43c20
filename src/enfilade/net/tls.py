"""TLS contexts for listeners: one per certificate, chosen by SNI. Made in the supervisor, before the fork, so that a session
ticket given out by one worker resumes in any other."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence

# TLS 1.2 suites with forward secrecy and AEAD only (Mozilla's "intermediate", less DHE); TLS 1.3 chooses its own.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
ALPN = ["h2", "http/1.1"]


class Certificate:
    """A certificate chain and its key, PEM-encoded, and where they came from (for messages)."""

    __slots__ = ("chain", "key", "name")

    def __init__(self, name: str, chain: bytes, key: bytes) -> None:
        self.name = name
        self.chain = chain
        self.key = key


def context_for(certificate: Certificate, alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
    """A server context with `certificate`, TLS 1.2 or newer; `alpn`: HTTP/2 and HTTP/1.1.

    Raises ssl.SSLError where certificate and key do not belong together or cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if alpn:
        context.set_alpn_protocols(alpn)
    _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """The ssl module reads certificates from paths only: give it a file that exists in memory alone."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, certificate.key.rstrip() + b"\n" + certificate.chain)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    except ssl.SSLError as e:
        raise ssl.SSLError(f"{certificate.name}: {e.reason or e}") from None
    finally:
        os.close(fd)


def listener_context(default: ssl.SSLContext, by_host: Callable[[str], ssl.SSLContext | None]) -> ssl.SSLContext:
    """`default`, made to answer each handshake with the context of the name that the client asks for (RFC 6066 section 3).

    The name is kept on the connection's SSLObject as `sni`, for the check of Host against it.
    """

    def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        host = (name or "").lower()
        tls.sni = host  # type: ignore[attr-defined]
        chosen = by_host(host)
        if chosen is not None:
            tls.context = chosen

    default.sni_callback = choose
    return default
