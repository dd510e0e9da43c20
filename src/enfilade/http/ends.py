"""The two ends of a client's connection."""

from __future__ import annotations


class Ends:
    """The two ends of a connection. One object a connection, shared by its exchanges.

    `client` and `server` are (host, port); for a Unix socket the host is its path (or "") and the port is None.
    `client_ip` is THE client address: after trusted proxies it is the only one that limits, logs and forwarding use.
    `tls` is the context of the site that the TLS handshake was for, None without TLS: compared by identity, never looked into.
    `certificate` is the client's own, verified, as DER; None where it has none or was not asked for one.
    `encoded_link` belongs to `wire.link`, which remembers there how it sent them.
    """

    __slots__ = (
        "alpn", "certificate", "client", "client_ip", "encoded_link", "scheme", "server", "sni", "tls", "tls_version",
    )  # fmt: skip

    def __init__(
        self,
        client: tuple[str, int | None],
        server: tuple[str, int | None],
        scheme: str = "http",
        sni: str | None = None,
        alpn: str | None = None,
        tls_version: str | None = None,
        tls: object | None = None,
        certificate: bytes | None = None,
    ) -> None:
        self.client = client
        self.client_ip = client[0]
        self.server = server
        self.scheme = scheme
        self.sni = sni
        self.alpn = alpn
        self.tls_version = tls_version
        self.tls = tls
        self.certificate = certificate
        self.encoded_link: bytes | None = None
