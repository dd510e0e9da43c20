"""What runs, what it listens on, and the limits that hold for everybody."""

from typing import Annotated, Literal

import msgspec

from enfilade.config.schema.leaves import Count, Duration, FilePath, Positive, Size, Table, Text


class ClientCertificates(Table, frozen=True):
    """Clients show a certificate of their own. Then only TLS 1.3 is spoken and no session resumed: each connection is
    verified."""

    authority: Annotated[FilePath, Text("PEM file with the certificates of those who may sign the clients'.")]
    revoked: Annotated[FilePath | None, Text("PEM file with their revocation lists.")] = None
    required: Annotated[bool, Text("Who has none is not served; `false`: is served without `Client-Cert`.")] = True


class Tls(Table, frozen=True):
    """A certificate from files. They are read again at each reload."""

    certificate: Annotated[FilePath, Text("PEM file: the certificate, then its chain.")]
    key: Annotated[FilePath, Text("PEM file with the private key, without a passphrase.")]
    clients: Annotated[
        ClientCertificates | None, Text("Ask clients for certificates; requests have them in `Client-Cert` (RFC 9440).")
    ] = None


class Limits(Table, frozen=True):
    """What one client may take. The precedent of each default stands in the engine that applies it."""

    request_line: Annotated[Size, Text("Longest request line; beyond: 414.")] = 8192
    head: Annotated[Size, Text("All header fields of a request together; beyond: 431.")] = 65536
    fields: Annotated[Positive, Text("Number of header fields of a request; beyond: 431.")] = 100
    body: Annotated[
        Size, Text("Longest request body; beyond: 413; 0: no limit. A route's `body_limit` replaces it.")
    ] = 16 * 1024 * 1024
    head_timeout: Annotated[
        Duration, Text("For a TLS handshake, and for a whole request head to arrive; beyond: 408.")
    ] = 10.0
    body_timeout: Annotated[Duration, Text("Without a byte of a request body; beyond: 408.")] = 30.0
    idle_timeout: Annotated[Duration, Text("A connection between two requests is closed after this.")] = 75.0
    write_timeout: Annotated[Duration, Text("A client that takes nothing of its answer is dropped after this.")] = 30.0
    min_rate: Annotated[Count, Text("Bytes a second that a body or an answer must move at least; 0: no such rule.")] = (
        240
    )
    request_timeout: Annotated[
        Duration,
        Text(
            "Hard ceiling for one exchange; beyond: 503, or a cut if the answer has begun; 0: none. Not for WebSockets."
        ),
    ] = 0.0
    connections: Annotated[
        Count,
        Text(
            "Connections of all workers at once, those of streams too; beyond: 503, over TLS and in streams closed; 0: no limit."
        ),
    ] = 0
    streams: Annotated[Positive, Text("HTTP/2 streams of one connection at once.")] = 128
    trailers: Annotated[Size, Text("Trailer fields of a request in chunks, together; beyond: 400.")] = 8192
    chunk_extensions: Annotated[Size, Text("Extensions of all chunks of a request together; beyond: 400.")] = 16384
    continuations: Annotated[Count, Text("CONTINUATION frames of an HTTP/2 head; beyond: the connection ends.")] = 16
    flood_budget: Annotated[
        Positive,
        Text("Points that floods of one HTTP/2 connection may cost at once (see docs/security.md); beyond: it ends."),
    ] = 10_000
    flood_refill: Annotated[Count, Text("Points a second that come back.")] = 330


class ServerLog(Table, frozen=True):
    """What the server says about itself. It goes to stderr."""

    level: Annotated[
        Literal["debug", "info", "notice", "warning", "error"], Text("This and what is more important.")
    ] = "info"
    format: Annotated[Literal["text", "json"], Text("Lines for people, or a JSON object a line.")] = "text"


class Server(Table, frozen=True):
    """The processes and what they listen on. Without `http` and `https` it is `:80`, and `:443` if a site has `tls`;
    `https` is `:443` too where a site has its certificate by `[acme]`."""

    http: Annotated[
        str | list[str],
        Text(
            "Where to listen without TLS: an address or a list of them. `host:port`, `:port` (all addresses), `[v6]:port`, "
            "`unix:/path`, `fd:N` (an inherited descriptor), `systemd` or `systemd:NAME` (sockets from systemd). "
            "Port 0 takes a free one and prints it."
        ),
    ] = msgspec.field(default_factory=list)
    https: Annotated[str | list[str], Text("Where to listen with TLS; addresses as in `http`.")] = msgspec.field(
        default_factory=list
    )
    tls_minimum: Annotated[
        Literal["1.2", "1.3"], Text("The oldest version of TLS that is spoken, by streams with `tls` too.")
    ] = "1.2"
    tls_ciphers: Annotated[
        list[str],
        Text(
            "The cipher suites of TLS 1.2 that are spoken, the best first, by streams with `tls` too: some of the default ones."
        ),
    ] = []
    h2c: Annotated[bool, Text("HTTP/2 by prior knowledge on `http` addresses.")] = False
    proxy_protocol: Annotated[
        list[str],
        Text(
            "Load balancers that send a header of the PROXY protocol (version 1 or 2) in front of each connection, on every "
            'listener for TCP but `admin`: networks such as `"10.0.0.0/8"`, addresses, or `"unix"` for Unix sockets. From them '
            "it is required; all others are served as without it."
        ),
    ] = []
    trusted_proxies: Annotated[
        list[str],
        Text(
            "Proxies that are believed who the client is, by which scheme it came and which host it asked for, as they say in "
            "`X-Forwarded-For`, `-Proto` and `-Host`, or in `Forwarded`: networks as in `proxy_protocol`. The right-most address "
            "that is none of theirs is the client's."
        ),
    ] = []
    workers: Annotated[Positive | Literal["auto"], Text('Edge workers; `"auto"`: one a core.')] = "auto"
    admin: Annotated[
        str | None,
        Text(
            "Where `/metrics`, `/status`, `/reload` and `/stop` are served: an address as in `http`; off unless named. "
            "Beyond this machine it needs `admin_token`."
        ),
    ] = None
    admin_token: Annotated[str | None, Text("What admin clients must send as `Authorization: Bearer TOKEN`.")] = None
    user: Annotated[str | None, Text("Workers run as this user, once the addresses are bound.")] = None
    group: Annotated[str | None, Text("Workers run as this group.")] = None
    pid_file: Annotated[
        FilePath | None,
        Text("Where the supervisor writes its process id; `enfilade reload`, `stop` and `status` read it."),
    ] = None
    drain_timeout: Annotated[Duration, Text("What a stop or reload lets running exchanges take.")] = 30.0
    trace: Annotated[bool, Text("Answer TRACE (RFC 9110 section 9.3.8), without credentials; otherwise 405.")] = False
    log: Annotated[ServerLog, Text("The server's own log.")] = ServerLog()
    limits: Annotated[Limits, Text("What one client may take.")] = Limits()
