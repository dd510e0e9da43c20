"""The server that is looked at, and connections to it: plain sockets with time-outs."""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from enfilade.doctor.answers import Ending, Seen, read_answers

PORTS = {"http": 80, "https": 443}
CONNECT = 5.0
"""Seconds for a connection, with its TLS handshake."""
PATIENCE = 5.0
"""Seconds for the first byte of an answer."""
QUIET = 0.3
"""Seconds without a byte behind a whole answer, or behind the end of our patience, that mean that nothing more comes."""
PROMISED = 2.0
"""The same where the answer says that the connection ends: a server may read on for a while first, so that the answer arrives."""
MOST = 8 * 1024 * 1024
"""Bytes of answers that are kept."""


@dataclass(frozen=True)
class Target:
    """`address`: what `host` stands for; `deadline`: the moment (time.monotonic) at which everything ends; `slow`: seconds that a
    slow attack may last; `authority`: a file with certificates that are trusted instead of the system's; `insecure`: whether a
    certificate that nobody trusts is no mistake; `quiet`: see QUIET, more for servers far away."""

    scheme: str
    host: str
    port: int
    path: str
    address: str
    deadline: float
    slow: float = 20.0
    authority: str | None = None
    insecure: bool = False
    quiet: float = QUIET

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def host_field(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def near(self) -> bool:
        """Whether it is this machine, or on a private network."""
        address = ipaddress.ip_address(self.address)
        return address.is_loopback or address.is_private or address.is_link_local

    def left(self, most: float) -> float:
        """Seconds that may be waited for: `most`, or until the deadline."""
        return max(0.01, min(most, self.deadline - time.monotonic()))

    def fill(self, template: bytes) -> bytes:
        """`template` with this target's {path}, {host} and {port}."""
        for name, value in (("path", self.path), ("host", self.host_field), ("port", str(self.port))):
            template = template.replace(b"{%s}" % name.encode(), value.encode())
        return template

    def plain(self) -> Target:
        """The same host without TLS, where it would be expected."""
        return replace(self, scheme="http", port=PORTS["http"])

    def connect(self, alpn: Sequence[str] = ("http/1.1",), receive: int = 0) -> socket.socket:
        """A connection; over TLS where the URL says so, with whatever certificate. `receive`: bytes that the kernel keeps for us.
        Raises OSError."""
        sock = self.connect_tcp(receive)
        if not self.tls:
            return sock
        try:
            return self.trusting(alpn).wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise

    def connect_tcp(self, receive: int = 0) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            sock.settimeout(self.left(CONNECT))
            sock.connect((self.address, self.port))
        except BaseException:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def trusting(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        """A TLS context that takes any certificate: nothing secret is sent."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def old_versions(self, version: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
        """A context that speaks only `version`, with weak suites too. Raises ssl.SSLError where this machine's library cannot."""
        context = self.trusting()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # to speak them is the point
            context.minimum_version = context.maximum_version = version
        context.set_ciphers(ciphers)
        return context

    def ask(self, data: bytes, *more: bytes, methods: Sequence[str] = ()) -> Seen:
        """What comes back for `data` on a connection of its own, and for each of `more`, sent as soon as an answer has come."""
        try:
            with self.connect() as sock:
                return converse(self, sock, [self.fill(piece) for piece in (data, *more)], methods)
        except (ConnectionError, ssl.SSLError) as error:
            return Seen(ending=Ending.RESET, signals=(_said(error),))


def _said(error: OSError) -> str:
    return (getattr(error, "reason", None) or error.strerror or str(error)).lower().replace("_", " ")


def converse(target: Target, sock: socket.socket, pieces: Sequence[bytes], methods: Sequence[str] = ()) -> Seen:
    """Sends `pieces` one after another, each once there is an answer to the one before, and reads to the end. `methods`: of the
    requests, where it matters, or where one piece has several of them."""
    began = time.monotonic()
    got, sent, ending = b"", 1.0, Ending.OPEN
    for number, piece in enumerate(pieces, 1):
        sent, early = send(target, sock, piece)
        got += early
        more, ending = receive(target, sock, got, max(number, len(methods)), methods)
        got += more
        if ending is not Ending.OPEN:
            break
    seen = read_answers(got, methods, at_end=ending is not Ending.OPEN)
    return seen._replace(ending=ending, sent=sent, seconds=time.monotonic() - began)


def send(target: Target, sock: socket.socket, data: bytes) -> tuple[float, bytes]:
    """Sends `data` as far as the server takes it within PATIENCE, reading meanwhile: (how much went out, 0 to 1; what came)."""
    until = time.monotonic() + target.left(PATIENCE)
    view, came = memoryview(data), b""
    sock.settimeout(0)
    try:
        while view and time.monotonic() < until:
            readable, writable, _ = select.select([sock], [sock], [], 0.2)
            try:
                if readable and len(came) < MOST:
                    piece = sock.recv(65536)
                    came += piece
                    if not piece:
                        break
                if writable:
                    view = view[sock.send(view[:65536]) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                continue
    except (ConnectionError, ssl.SSLError):
        pass  # that it ended is seen when it is read
    return 1 - len(view) / max(1, len(data)), came


def receive(
    target: Target, sock: socket.socket, before: bytes, wanted: int, methods: Sequence[str] = ()
) -> tuple[bytes, Ending]:
    """What comes until the connection ends, or `wanted` whole answers (with those in `before`) are there and it is quiet."""
    until = time.monotonic() + PATIENCE
    got = b""
    while len(got) < MOST:
        seen = read_answers(before + got, methods)
        switched = 101 in seen.interim
        enough = len(seen.answers) + switched >= wanted and (switched or seen.answers[-1].whole)
        closes = enough and not switched and "close" in seen.answers[-1].get("connection").lower()
        quiet = PROMISED if closes else target.quiet
        sock.settimeout(target.left(quiet if enough else max(0.01, until - time.monotonic())))
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            return got, Ending.OPEN
        except (ConnectionError, ssl.SSLError):
            return got, Ending.RESET
        if not piece:
            return got, Ending.CLOSED
        got += piece
        until = time.monotonic() + PATIENCE
    return got, Ending.OPEN


def parse_url(url: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of `url`. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no http or https URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], path


def find(url: str, seconds: float, authority: str | None = None, insecure: bool = False) -> Target:
    """The target at `url`, for at most `seconds`. Raises ValueError (the URL), OSError (its name is not known)."""
    scheme, host, port, path = parse_url(url)
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    deadline = time.monotonic() + seconds
    return Target(scheme, host, port, path, str(address), deadline, seconds * 0.6, authority, insecure)
