"""TLS contexts: those with which handshakes begin, which have the keys of session tickets, and one per certificate, chosen by
SNI. Made in the supervisor, before the fork, so that a ticket given out by one worker resumes in any other."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from enfilade.wire.client_hello import NotTls, parse

# TLS 1.2 suites with forward secrecy and AEAD only (Mozilla's "intermediate", less DHE); TLS 1.3 chooses its own.
SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
ALPN = ["h2", "http/1.1", "http/1.0"]
ALPN_EXTENSION = b"\x00\x10"
"""Its type (RFC 7301 section 6)."""
NO_APPLICATION_PROTOCOL = 120
"""The alert, which Python has no name for."""
TICKET_KEYS = 32
TICKET_KEYS_LAST = 86400.0
"""Seconds that tickets are given out with the same keys. All TICKET_KEYS are made before the fork; the last of them stay."""


class NoContext(Exception):
    """The name that a client asks for has no context. `ready`: when it is to be looked for again; None: it will have none."""

    def __init__(self, ready: asyncio.Future[None] | None) -> None:
        super().__init__()
        self.ready = ready


class Clients(NamedTuple):
    """Which certificates clients must have. `authority`: PEM, those who sign them; `revoked`: PEM, the lists of these
    authorities, empty for none; `required`: who has none is not served."""

    authority: bytes
    revoked: bytes
    required: bool


class Certificate:
    """A certificate chain and its key, PEM-encoded, and where they came from (for messages)."""

    __slots__ = ("chain", "key", "name")

    def __init__(self, name: str, chain: bytes, key: bytes) -> None:
        self.name = name
        self.chain = chain
        self.key = key


def context_for(certificate: Certificate, alpn: Sequence[str] = ALPN, clients: Clients | None = None) -> ssl.SSLContext:
    """A server context with `certificate`, TLS 1.2 or newer; `alpn`: HTTP/2 and HTTP/1.1.

    Raises ssl.SSLError where certificate and key do not belong together or cannot be read, or what `clients` says.
    """
    context = bare_context(alpn)
    present(context, certificate)
    if clients is not None:
        _verify(context, clients)
    return context


def present(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Show `certificate` from the next handshake on: connections that are open keep what they have, and sessions are resumed.
    Raises ssl.SSLError as `context_for`."""
    _load(certificate.name, certificate.key.rstrip() + b"\n" + certificate.chain, context.load_cert_chain)


def bare_context(alpn: Sequence[str] = ALPN) -> ssl.SSLContext:
    """One that has no certificate yet: no handshake succeeds with it before `present`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def check_suite(name: str) -> None:
    """Raises ValueError where no context can be restricted to the suite called `name`."""
    if name not in SUITES:
        raise ValueError(f'"{name}" is none of the suites that are spoken: {", ".join(SUITES)}')
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(name)
    except ssl.SSLError:
        raise ValueError(f"OpenSSL, as it is configured on this machine, does not speak {name}") from None


def restrict(context: ssl.SSLContext, suites: Sequence[str]) -> ssl.SSLContext:
    """`context`, which of TLS 1.2 speaks `suites` alone, the first the best; none: all of SUITES."""
    if suites:
        context.set_ciphers(":".join(suites))
    return context


def _verify(context: ssl.SSLContext, clients: Clients) -> None:
    """No session is resumed: it would do without the certificate that the client has, or had until it was revoked (FAILURES 32).
    Of TLS 1.2 that cannot be said, so it is not spoken."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED if clients.required else ssl.CERT_OPTIONAL
    _load("the authority of clients", clients.authority, context.load_verify_locations)
    if clients.revoked:
        _load("what is revoked of clients", clients.revoked, context.load_verify_locations)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load(name: str, pem: bytes, load: Callable[[str], None]) -> None:
    """The ssl module reads what it needs from paths only: give it a file that exists in memory alone."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        load(f"/proc/self/fd/{fd}")
    except ssl.SSLError as e:
        raise ssl.SSLError(f"{name}: {e.reason or e}") from None
    finally:
        os.close(fd)


def listener_context(
    default: ssl.SSLContext,
    by_host: Callable[[str], ssl.SSLContext | None],
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    alpn: Sequence[str] = ALPN,
) -> ssl.SSLContext:
    """With which handshakes begin: it has no certificate, but answers each with the context of the name that the client asks for
    (RFC 6066 section 3), `default` where that is nobody's. `minimum`: the oldest version that is spoken. `by_host` may raise
    NoContext: the handshake is called off, and its SSLObject says why by `no_context`.

    Who offers protocols (ALPN), and none of `alpn`, is told so and gets no further (RFC 7301 section 3.2): OpenSSL would go on
    without one. What the client has said is looked at, which its SSLObject has as `heard`. Without `alpn` anything goes.

    The name is kept on the connection's SSLObject as `sni`, for the check of Host against it.

    Whether clients are asked for certificates, and which sessions are resumed, is the matter of the context that a handshake
    began with, whatever is chosen later. So where that makes a difference the handshake is called off, and its SSLObject says by
    `begin_again` with which context.
    """

    known = [bytes((len(name),)) + name.encode() for name in alpn]

    def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        host = (name or "").lower()
        tls.sni = host  # type: ignore[attr-defined]
        if known and _offers_others(getattr(tls, "heard", b""), known):
            return NO_APPLICATION_PROTOCOL
        try:
            chosen = by_host(host) or default
        except NoContext as why:
            tls.no_context = why  # type: ignore[attr-defined]
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        if chosen.verify_mode is ssl.CERT_NONE:
            tls.context = chosen
            return None
        tls.begin_again = chosen  # type: ignore[attr-defined]
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = bare_context()
    context.minimum_version = minimum
    # Of two, as OpenSSL has it, one is hardly used: each connection that goes on with a session brings the next one.
    context.num_tickets = 1
    context.sni_callback = choose
    return context


def _offers_others(heard: bytes, known: Sequence[bytes]) -> bool:
    """Whether a ClientHello offers protocols, and none of those that are `known`, each behind its length. Those who offer one,
    or nothing at all, are not looked at any closer: to parse costs 6 % of a handshake."""
    if ALPN_EXTENSION not in heard or any(name in heard for name in known):
        return False
    try:
        hello = parse(bytes(heard))
    except NotTls:
        return False  # OpenSSL will say so
    return hello is not None and bool(hello.alpn)


class ListenerContexts:
    """`now()`: the context with which a handshake begins (see `listener_context`), another one each TICKET_KEYS_LAST seconds, in
    all workers at the same time. Each has keys of its own for tickets; with a ticket of an older one the handshake is a full one
    (RFC 8446 section 4.6.1). `validations`: see `TlsTransport`."""

    def __init__(
        self,
        default: ssl.SSLContext,
        by_host: Callable[[str], ssl.SSLContext | None] = lambda _: None,
        minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        clock: Callable[[], float] = time.monotonic,
        alpn: Sequence[str] = ALPN,
    ) -> None:
        self._contexts = [listener_context(default, by_host, minimum, alpn) for _ in range(TICKET_KEYS)]
        self.validations: Mapping[str, ssl.SSLContext] = {}
        self._clock = clock
        self._until = clock() + TICKET_KEYS_LAST

    def now(self) -> ssl.SSLContext:
        while self._clock() >= self._until and len(self._contexts) > 1:
            del self._contexts[0]
            self._until += TICKET_KEYS_LAST
        return self._contexts[0]
