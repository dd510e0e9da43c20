"""Raw TCP and UDP services."""

from typing import Annotated, Literal

import msgspec

from enfilade.config.schema.leaves import Count, Duration, FilePath, Positive, Size, Table, Text, Workers
from enfilade.config.schema.server import Tls
from enfilade.config.schema.upstreams import PeerTls

ModelName = Literal[
    "single", "thread", "thread_pool", "fork", "process_pool", "socketserver_threading", "socketserver_forking", "select",
    "poll", "epoll", "asyncio_protocol", "asyncio_streams", "uvloop_protocol", "uvloop_streams",
]  # fmt: skip
"""The concurrency models (models/table.py)."""


class StreamLog(Table, frozen=True):
    """The log of a stream: a line for each connection, or UDP session, when it is over."""

    format: Annotated[Literal["text", "json"], Text("Lines for people, or a JSON object a line.")] = "text"
    to: Annotated[FilePath, Text('`"stdout"`, `"stderr"` or a file, which is opened again on SIGUSR1.')] = "stdout"


class Stream(Table, frozen=True):
    """Raw TCP or UDP: passed on to a peer as it comes, or answered by a handler in processes of its own. The keys from `model` on
    go only with a handler; those that say how peers are spoken to only without."""

    listen: Annotated[
        str | list[str],
        Text(
            'An address or a list of them: `"tcp://:5432"`, `"tls://:993"` (TLS ends here), `"udp://:53"`, or `"unix:/path"`. '
            "UDP stands alone."
        ),
    ]
    to: Annotated[
        str | list[str],
        Text(
            'The name of an upstream, or the peers: `"tcp://host:port"`, `"tls://host:port"` (TLS begins here), `"unix:/path"`, '
            'or `"udp://host:port"` for UDP. Either this, `sni` or `handler`.'
        ),
    ] = msgspec.field(default_factory=list)
    sni: Annotated[
        dict[str, str | list[str]],
        Text(
            "Peers, as in `to`, by the server name that a TLS client asks for: its connection is passed on as it is, and TLS is "
            'between it and the peer. `a.example`, `*.example`, or `"*"` for every other name, no name, and what is no TLS.'
        ),
    ] = {}
    handler: Annotated[
        str | None,
        Text(
            'Who answers: `module:callable`, or one that comes along: `"echo"`, `"zen"`, `"time"` or `"discard"`. See '
            "[Raw TCP and UDP](streams.md#a-protocol-of-your-own)."
        ),
    ] = None
    balance: Annotated[
        Literal["round_robin", "least_connections", "random_two", "ip_hash", "ewma", "first"] | None,
        Text(
            'Which peer is next; by default as the named upstream says, else `"round_robin"`, and `"ip_hash"` for UDP.'
        ),
    ] = None
    tls: Annotated[
        Tls | Literal["internal"] | None,
        Text('The certificate for `tls://` addresses: a table, or `"internal"` as for sites.'),
    ] = None
    peer_tls: Annotated[PeerTls, Text("For `tls://` URLs; a named upstream has its own.")] = PeerTls()
    connect_timeout: Annotated[
        Duration | None,
        Text(
            "For a connection to one peer, its TLS included; then the next is tried. By default as the named upstream says, else "
            "`5s`."
        ),
    ] = None
    idle_timeout: Annotated[
        Duration | None,
        Text(
            "Without a byte in either direction; the default is `10m`, with a handler `1m`, and `30s` for a UDP session; 0: no "
            "limit."
        ),
    ] = None
    connections: Annotated[
        Count | None,
        Text(
            "Of this stream in one worker at once; beyond: closed; 0: no limit (UDP: 4096 sessions; the oldest goes). With a "
            "handler the default is none, but 4096 where the model has a thread for each connection, 512 where it has a process, "
            "and over UDP, where datagrams count that are being answered, 4096."
        ),
    ] = None
    send_proxy: Annotated[
        Literal["v1", "v2"] | None,
        Text(
            "Tell peers who the client is, by this version of the PROXY protocol; by default as the named upstream says. Not for "
            "UDP."
        ),
    ] = None
    log: Annotated[bool | StreamLog, Text("The log: `true`, `false`, or a table.")] = True
    model: Annotated[
        ModelName | None,
        Text(
            "How many clients are served at once, see [Raw TCP and UDP](streams.md#a-protocol-of-your-own). By default "
            "`uvloop_protocol` for handlers of single messages, `thread` for sessions, and `uvloop_streams` for `async` ones."
        ),
    ] = None
    path: Annotated[FilePath, Text("Directory to import the handler from.")] = "."
    workers: Annotated[Workers, Text("Processes that serve it, each with the whole model.")] = 1
    threads: Annotated[
        Positive, Text("Of the model `thread_pool`, so many; and so many processes of `process_pool`.")
    ] = 8
    message_limit: Annotated[Size, Text("Longest message; who sends a longer one is closed.")] = 64 * 1024
