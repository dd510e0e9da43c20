"""Where a raw service is, and connections to it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Any

from enfilade.upstream.addresses import Address, parse_address

DATAGRAM = 65535
"""Bytes, more than any datagram has."""


@dataclass(frozen=True)
class Target:
    """`authority`: a file with the certificates that are trusted in place of the system's. `verify`: False: whatever certificate
    the server has is taken."""

    address: Address
    authority: str | None = None
    verify: bool = True

    @property
    def datagrams(self) -> bool:
        return self.address.protocol == "udp"

    def connect(self, timeout: float) -> socket.socket:
        """A connection, or a socket for datagrams that talks to nobody else; it has this time-out, in seconds. Raises OSError."""
        failure: OSError | None = None
        for family, kind, place in self._places():
            sock = socket.socket(family, kind)
            try:
                sock.settimeout(timeout)
                sock.connect(place)
                if family != socket.AF_UNIX and kind == socket.SOCK_STREAM:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._secure(sock) if self.address.tls else sock
            except OSError as error:
                sock.close()
                failure = error
        assert failure is not None, "getaddrinfo gives an address or raises"
        raise failure

    def _secure(self, sock: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.authority)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(sock, server_hostname=self.address.host)

    def _places(self) -> list[tuple[int, int, str | tuple[Any, ...]]]:
        kind = socket.SOCK_DGRAM if self.datagrams else socket.SOCK_STREAM
        if self.address.path:
            return [(socket.AF_UNIX, kind, self.address.path)]
        found = socket.getaddrinfo(self.address.host, self.address.port, type=kind)
        return [(family, kind, place) for family, _, _, _, place in found]


def target(url: str, authority: str | None = None, *, verify: bool = True) -> Target:
    """ "tcp://host:port", "tls://host:port", "udp://host:port", "unix:/path". Raises ValueError."""
    address = parse_address(url)
    if not address.path and address.protocol not in ("tcp", "udp"):
        raise ValueError(
            f'"{url}" is no raw service; write "tcp://host:port", "tls://...", "udp://..." or "unix:/path"'
        )
    return Target(address, authority, verify)
