"""Everything that can be configured: the tables of `enfilade.toml`, and the same objects in Python.

The text of each field is its public documentation: `enfilade schema` and `docs/configuration.md` are made from it.
"""

# No `from __future__ import annotations`: every start reads these, and would have to compile them if they were texts.
import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enfilade.config import units

# Leaves that are more than their type: `extra["parse"]` makes the value of a text, `extra["says"]` is what an error
# expects, `extra["schema"]` what JSON Schema allows, `extra["path"]` marks a path, which is relative to the configuration's
# directory. (msgspec keeps `extra_json_schema` of the outermost Meta only.)
Duration = Annotated[
    float,
    Meta(
        ge=0,
        extra={
            "parse": units.duration,
            "says": 'a duration such as "500ms", "10s", "2m" or a number of seconds',
            "schema": {"type": ["number", "string"], "pattern": f"^{units.DURATION}$"},
        },
    ),
]
Size = Annotated[
    int,
    Meta(
        ge=0,
        extra={
            "parse": units.size,
            "says": 'a size such as "64KB", "16MB" or a number of bytes',
            "schema": {"type": ["integer", "string"], "pattern": f"^{units.SIZE}$"},
        },
    ),
]
RedisUrl = Annotated[
    str, Meta(extra={"parse": units.redis_url, "says": 'the URL of a Redis, such as "redis://host:6379/0"'})
]
FilePath = Annotated[str, Meta(extra={"path": True})]
Positive = Annotated[int, Meta(ge=1, extra={"says": "a whole number of at least 1"})]
Count = Annotated[int, Meta(ge=0, extra={"says": "a whole number of at least 0"})]
Workers = Annotated[int, Meta(ge=1, le=64, extra={"says": "a whole number from 1 to 64"})]
Status = Annotated[int, Meta(ge=200, le=599, extra={"says": "a status from 200 to 599"})]


def Text(description: str) -> Meta:
    return Meta(description=description)


class Table(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, frozen=True):
    pass


class Tls(Table, frozen=True):
    """A certificate from files. They are read again at each reload."""

    certificate: Annotated[FilePath, Text("PEM file: the certificate, then its chain.")]
    key: Annotated[FilePath, Text("PEM file with the private key, without a passphrase.")]


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
        Count, Text("Connections of one worker at once; beyond: 503, over TLS closed; 0: no limit.")
    ] = 0
    streams: Annotated[Positive, Text("HTTP/2 streams of one connection at once.")] = 128


class ServerLog(Table, frozen=True):
    """What the server says about itself. It goes to stderr."""

    level: Annotated[
        Literal["debug", "info", "notice", "warning", "error"], Text("This and what is more important.")
    ] = "info"
    format: Annotated[Literal["text", "json"], Text("Lines for people, or a JSON object a line.")] = "text"


class Server(Table, frozen=True):
    """The processes and what they listen on. Without `http` and `https` it is `:80`, and `:443` if a site has `tls`."""

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


class Log(Table, frozen=True):
    """An access log."""

    format: Annotated[
        str | list[str],
        Text(
            '`"common"`, `"combined"`, `"json"`; a text with fields in braces, such as `"{method} {target} {status}"`; '
            "or a list of fields, which are logged as JSON."
        ),
    ] = "common"
    to: Annotated[FilePath, Text('`"stdout"`, `"stderr"` or a file, which is opened again on SIGUSR1.')] = "stdout"


class HeaderRules(Table, frozen=True):
    """What happens to the header fields of answers. A table of names and texts alone is short for `set`."""

    set: Annotated[dict[str, str], Text("Fields that answers have with exactly this value.")] = {}
    add: Annotated[dict[str, str], Text("Fields that are added to those that are there.")] = {}
    remove: Annotated[list[str], Text("Fields that are taken away.")] = []


class Redirect(Table, frozen=True):
    """An answer that sends the client elsewhere."""

    to: Annotated[
        str,
        Text(
            "The address or path; `{name}` stands for that segment of the pattern, `{path}`, `{query}` and `{host}` for "
            "those of the request."
        ),
    ]
    status: Annotated[Literal[301, 302, 303, 307, 308], Text("308 and 307 keep the method.")] = 308


class Fixed(Table, frozen=True):
    """An answer that is always the same. A 2xx answers GET and HEAD, and another method only where the pattern names it
    (`"POST /hook"`); else that gets 405. Any other status answers every method."""

    status: Annotated[Status, Text("Its status.")] = 200
    body: Annotated[str, Text("Its body.")] = ""
    type: Annotated[str, Text("Its Content-Type.")] = "text/plain; charset=utf-8"


class Policies(Table, frozen=True):
    """What a site says for all its routes, and a route for itself instead."""

    log: Annotated[bool | Log | None, Text("The access log: `true` (as without it), `false`, or a table.")] = None
    headers: Annotated[
        HeaderRules | None, Text("Header fields of answers. A route's rules replace those of its site.")
    ] = None
    request_id: Annotated[
        bool | str | None,
        Text("Give each request an id and answer with it in `X-Request-Id`, or in the field named here."),
    ] = None
    timing: Annotated[bool | None, Text("Tell the client in `Server-Timing` how long each room took.")] = None


class Branch(Table, frozen=True):
    """One way of a split."""

    to: Annotated[str | list[str], Text("The name of a table in `upstreams`, or the URLs of its servers.")]
    weight: Annotated[
        float,
        Meta(ge=0),
        Text("How many of the clients take it, in comparison to the others; 0: none but those of `when`."),
    ] = 0.0
    when: Annotated[
        dict[str, str],
        Text(
            'Requests that take it in any case: `{"cookie beta" = "1"}`, `{"header X-Canary" = "yes"}`; one is enough.'
        ),
    ] = {}


class MirrorTo(Table, frozen=True):
    """Somebody who is asked the same; the answers are thrown away."""

    to: Annotated[str | list[str], Text("The name of a table in `upstreams`, or the URLs of its servers.")]
    part: Annotated[
        float, Meta(ge=0, le=1), Text("How many of the requests (0 to 1). Those with a body are left out.")
    ] = 1.0


class Proxy(Table, frozen=True):
    """What is handed on to an upstream, and how. A name or a list of URLs alone is short for `to`."""

    to: Annotated[
        str | list[str], Text("The name of a table in `upstreams`, or the URLs of its servers; or instead `split`.")
    ] = msgspec.field(default_factory=list)
    split: Annotated[list[Branch], Text("Several ways, each for a part of the clients: for canaries.")] = []
    split_by: Annotated[
        str, Text("Who takes the same way each time: `ip`, `header NAME`, `cookie NAME`, `query NAME`.")
    ] = "ip"
    mirror: Annotated[MirrorTo | None, Text("Ask somebody else the same.")] = None
    host: Annotated[
        str,
        Text(
            'The Host that the server is told: `"client"`, as the client said it; `"peer"`, the server\'s own; or this one.'
        ),
    ] = "client"
    strip: Annotated[bool, Text("Take off the path what the pattern has in front of `/*`.")] = False
    path: Annotated[
        str | None,
        Text("Ask for this path; `{path}` stands for what `strip` would leave, `{name}` for a segment of the pattern."),
    ] = None
    headers: Annotated[HeaderRules | None, Text("Header fields of the request, as the server gets it.")] = None
    instead: Annotated[
        dict[str, FilePath],
        Text('Pages in place of the server\'s, by status (`"404"`) or class (`"5xx"`).'),
    ] = {}
    internal: Annotated[
        FilePath | None,
        Text("Directory of the files that the server may name in `X-Accel-Redirect`, to have them sent in its place."),
    ] = None


class Route(Policies, frozen=True):
    """What answers (exactly one of `app`, `files`, `proxy`, `redirect`, `respond`), and the filters in front of it."""

    app: Annotated[str | None, Text("Name of a table in `apps`.")] = None
    files: Annotated[FilePath | None, Text("A directory whose files are served.")] = None
    proxy: Annotated[
        str | list[str] | Proxy | None,
        Text("What is handed on to other servers: the name of a table in `upstreams`, their URLs, or a table."),
    ] = None
    redirect: Annotated[str | Redirect | None, Text("Where to send the client (308), or a table.")] = None
    respond: Annotated[str | Status | Fixed | None, Text("A fixed answer: its text (200), its status, or a table.")] = (
        None
    )
    balance: Annotated[
        str | None, Text("Only with `proxy` and URLs: how they share the work, as `balance` in `upstreams`.")
    ] = None
    mount: Annotated[
        bool | str,
        Text(
            "Only with `app`: the prefix that the application is told (`root_path`, `SCRIPT_NAME`). `true`: what the pattern has "
            "in front of `/*`; `false`: none; a text: this prefix."
        ),
    ] = True
    spa: Annotated[
        bool, Text("Only with `files`: what is not found and looks like a page is answered with the index file.")
    ] = False
    listing: Annotated[bool, Text("Only with `files`: a page for directories without an index file.")] = False
    index: Annotated[tuple[str, ...], Text("Only with `files`: names of index files, the first that exists.")] = (
        "index.html",
    )
    cache_control: Annotated[
        str | None, Text("Only with `files`: the Cache-Control field; with `spa`, index files have `no-cache`.")
    ] = None
    precompressed: Annotated[
        bool, Text("Only with `files`: serve `x.zst`, `x.br` or `x.gz` beside `x` to clients that accept it.")
    ] = True
    body_limit: Annotated[Size | None, Text("Longest request body here, instead of `server.limits.body`.")] = None


class Site(Policies, frozen=True):
    """Host names served together. Every other key of this table is a route: a pattern, `/path` or `METHOD /path`. `*` at its
    end matches the rest, `{name}` one segment; the most specific pattern wins."""

    tls: Annotated[
        Tls | Literal["internal", "off"] | None,
        Text(
            'A table with `certificate` and `key`; `"internal"`: a certificate made at the start, kept in memory, for '
            'development; `"off"`: this site is not served over TLS.'
        ),
    ] = None
    routes: Annotated[
        dict[str, Route], Text("The routes by pattern. In TOML they stand directly in the table of the site.")
    ] = {}

    @property
    def over_tls(self) -> bool:
        return self.tls not in (None, "off")


INLINE = False
"""Whether an application runs inside the edge workers that does not say."""


class WorkerRange(Table, frozen=True):
    """As many workers as there is work for: more at once when they are busy (three quarters of what they can serve at once; an
    application that can serve any number: of a processor each), fewer after a calm minute."""

    min: Annotated[Workers, Text("So many at least; the start waits for them.")] = 1
    max: Annotated[Workers, Text("So many at most.")] = 8


class AppLimits(Table, frozen=True):
    """What the system lets each worker of an application have (setrlimit)."""

    memory: Annotated[Size, Text("Address space, which is much more than what is used; 0: as the server.")] = 0
    files: Annotated[Count, Text("Open files and connections; 0: as the server.")] = 0


class App(Table, frozen=True):
    """An application that is run here: in processes of its own, or `inline`. The keys after `inline` go only with the former."""

    target: Annotated[
        str,
        Text(
            "`module:attribute` of the application, such as `shop.main:app`; or only its module, in which it is called `app`, "
            "`application` or, as a function that makes it, `create_app`."
        ),
    ]
    interface: Annotated[Literal["auto", "asgi", "wsgi"], Text('What it speaks; `"auto"` finds out.')] = "auto"
    factory: Annotated[bool, Text("The target is a function that makes the application.")] = False
    path: Annotated[FilePath, Text("Directory to import from.")] = "."
    env: Annotated[
        dict[str, str],
        Text(
            "Environment variables, set before it is imported. Inline applications share one process and see those of all of "
            "them: two that give one variable different values are an error."
        ),
    ] = {}
    threads: Annotated[Positive, Text("Only WSGI: requests at once in one worker.")] = 8
    lifespan: Annotated[
        Literal["auto", "on", "off"], Text('Only ASGI: its start-up and shutdown. `"on"`: failing is fatal.')
    ] = "auto"
    websocket_message_limit: Annotated[Size, Text("Longest WebSocket message, after decompression.")] = 16 * 1024 * 1024
    start_timeout: Annotated[Duration, Text("For its import, its lifespan start-up, and `warm_up`.")] = 60.0
    inline: Annotated[
        bool,
        Text(
            "Run it inside the edge workers: the lowest overhead, but what blocks, leaks or kills it does so to everything else "
            "that they serve."
        ),
    ] = INLINE
    workers: Annotated[
        Workers | WorkerRange | Literal["auto"],
        Text(
            'How many processes, or a table with `min` and `max`. `"auto"`: one a core, as more could not run at once; eight at '
            "most, as each is a copy of the application in memory."
        ),
    ] = "auto"
    concurrency: Annotated[
        Positive | Literal["auto"],
        Text('Requests that one worker gets at once. `"auto"`: WSGI its `threads`, ASGI any number.'),
    ] = "auto"
    venv: Annotated[FilePath | None, Text("Virtual environment whose Python, 3.9 or later, runs it.")] = None
    python: Annotated[FilePath | None, Text("Interpreter that runs it, 3.9 or later, instead of the server's own.")] = (
        None
    )
    user: Annotated[str | None, Text("Its workers run as this user instead of `server.user`.")] = None
    group: Annotated[str | None, Text("Its workers run as this group.")] = None
    cwd: Annotated[FilePath | None, Text("Its working directory, instead of the server's.")] = None
    limits: Annotated[AppLimits, Text("What each worker may have.")] = AppLimits()
    warm_up: Annotated[
        str | None,
        Text("Path that each worker is asked for before it serves; a 5xx is a failed start."),
    ] = None
    max_requests: Annotated[
        Count,
        Text("A worker is replaced after so many requests, or up to a tenth fewer, one worker at a time; 0: never."),
    ] = 0
    max_memory: Annotated[
        Size, Text("A worker that uses so much memory (resident) is replaced, one at a time; 0: never.")
    ] = 0
    queue: Annotated[
        Count, Text("Requests that may wait while all workers have as many as they can serve; beyond: 503.")
    ] = 1000
    queue_timeout: Annotated[Duration, Text("How long a request may wait for a worker; beyond: 503.")] = 10.0
    idle_stop: Annotated[
        Duration, Text("All workers end after so long without a request, and the next one starts them again; 0: never.")
    ] = 0.0
    live: Annotated[
        str | None, Text("Path that is answered with 200 in the application's place, also while it still starts.")
    ] = None

    @property
    def interpreter(self) -> str | None:
        """The Python that is named; None: the server's own."""
        return os.path.join(self.venv, "bin", "python") if self.venv is not None else self.python


class Peer(Table, frozen=True):
    """One server of an upstream."""

    url: Annotated[
        str,
        Text(
            "Where it is: `http://host:port`, `https://host`, `h2c://host:port`, `unix:/path` or `unix+h2c:/path`. Every address "
            "of a name is a server; with `srv+` in front, as in `srv+http://_api._tcp.example.com`, SRV records say who they are."
        ),
    ]
    weight: Annotated[Positive, Text("How much it gets in comparison to the others.")] = 1
    tier: Annotated[Count, Text("It gets something only where no server of a lower tier can be used.")] = 0
    limit: Annotated[Count, Text("Requests in flight at most; 0: any number.")] = 0


class PeerTls(Table, frozen=True):
    """How TLS is spoken with the servers of an upstream."""

    authority: Annotated[FilePath | None, Text("PEM file: trust its certificates instead of the system's.")] = None
    certificate: Annotated[FilePath | None, Text("PEM file: our certificate, for servers that ask for one.")] = None
    key: Annotated[FilePath | None, Text("PEM file with its private key.")] = None
    name: Annotated[
        str | None, Text("The name that the server's certificate must have; without it, that of the URL.")
    ] = None
    verify: Annotated[bool, Text("`false`: talk to anybody. Only for tests.")] = True


class Ejection(Table, frozen=True):
    """When a server that fails is left alone. Failures are connections that cannot be had or break, time-outs, malformed answers
    and the statuses 502, 503 and 504."""

    failures: Annotated[Count, Text("So many in a row; 0: any number.")] = 5
    rate: Annotated[float, Meta(ge=0, le=1), Text("Such a part (0 to 1) of the exchanges in `window`; 0: any.")] = 0.0
    window: Annotated[Duration, Text("The time that `rate` looks back.")] = 10.0
    time: Annotated[
        Duration, Text("For how long at first; each time again it is longer. Then one request decides.")
    ] = 10.0
    longest: Annotated[Duration, Text("For how long at most.")] = 300.0
    most: Annotated[
        float, Meta(ge=0, le=1), Text("The part of the servers that may be left alone at once; one always stays.")
    ] = 0.5


class Check(Table, frozen=True):
    """How servers are asked whether they are well; one worker asks for all. Those of streams are well if they accept a connection
    or, with `send` or `contains`, answer so."""

    send: Annotated[
        str, Text("Only of streams: what is sent; `\\xHH` stands for a byte (in TOML, write it in single quotes).")
    ] = ""
    path: Annotated[str, Text("What is asked for, with GET.")] = "/"
    host: Annotated[str | None, Text("Host of the request; without it, the server's own.")] = None
    status: Annotated[str, Text('The good ones: `"200"`, `"2xx"`, `"200-399"`, several with commas.')] = "200-399"
    contains: Annotated[str, Text("What must stand in the first 64 KB of the answer; `\\xHH` as in `send`.")] = ""
    interval: Annotated[Duration, Text("From one check to the next.")] = 5.0
    timeout: Annotated[Duration, Text("For the whole answer.")] = 2.0
    rise: Annotated[Positive, Text("So many good ones in a row bring a server back.")] = 2
    fall: Annotated[Positive, Text("So many bad ones in a row take it out.")] = 3


class Breaker(Table, frozen=True):
    """When the whole upstream is left alone: its requests get 503 at once, until one that is let through succeeds."""

    failures: Annotated[Count, Text("So many failures in a row; 0: any number.")] = 20
    rate: Annotated[float, Meta(ge=0, le=1), Text("Such a part (0 to 1) of the exchanges in `window`; 0: any.")] = 0.0
    window: Annotated[Duration, Text("The time that `rate` looks back.")] = 10.0
    time: Annotated[Duration, Text("For how long; each time again it is longer.")] = 5.0


class StickyCookie(Table, frozen=True):
    """A cookie that brings clients back to the server that served them before."""

    secret: Annotated[str, Text("At least 16 characters, the same on all machines: it signs the cookie.")]
    cookie: Annotated[str, Text("Its name.")] = "route"
    max_age: Annotated[Duration | None, Text("How long browsers keep it; without it, until they are closed.")] = None


class Dns(Table, frozen=True):
    """How names of servers are looked up. Their addresses are asked for again when their time to live is over (1 s to 5 min), and
    kept where nobody answers. `/etc/hosts` comes first."""

    family: Annotated[
        Literal["auto", "ipv4", "ipv6", "all"],
        Text(
            'Which addresses of a name are servers; `"auto"`: the IPv4 ones, or where there are none the IPv6 ones: both mostly '
            "lead to the same machines."
        ),
    ] = "auto"
    servers: Annotated[
        list[str],
        Text(
            "IP addresses of DNS servers, as in `10.0.0.2` or `127.0.0.1:8600`; without any, those of `/etc/resolv.conf`."
        ),
    ] = []


class Redis(Table, frozen=True):
    """Where servers register themselves (`enfilade register`): a Redis or Valkey. Needs `pip install "enfilade[redis]"`."""

    url: Annotated[RedisUrl, Text("`redis://host:6379/0`, `rediss://host` over TLS, or `unix:///path`.")]
    prefix: Annotated[str, Text("What the keys begin with; the upstream's name comes next.")] = "enfilade"


class Discover(Table, frozen=True):
    """Where an upstream gets servers from besides `peers`, while it runs. What cannot be read or asked changes nothing."""

    file: Annotated[
        FilePath | None,
        Text(
            "A list of servers, read again when it changes: `.toml` with `peers` as in an upstream, `.json` with the same, or "
            "any other with a URL a line."
        ),
    ] = None
    redis: Annotated[Redis | None, Text("Those that are registered there.")] = None
    dns: Annotated[Dns, Text("How names are looked up, in URLs wherever they come from.")] = Dns()


class Upstream(Table, frozen=True):
    """Servers that answer for us."""

    peers: Annotated[list[str | Peer], Text("URLs, or tables with `url`.")] = []
    discover: Annotated[Discover, Text("Where else servers come from, and how names are looked up.")] = Discover()
    balance: Annotated[
        str,
        Text(
            "Who gets a request: `round_robin`, `least_connections`, `random_two`, `ewma` (the quickest), `first` (in this "
            "order), `ip_hash`, or `hash` and what it goes by: `hash cookie NAME`, `hash header NAME`, `hash query NAME`, "
            "`hash path`."
        ),
    ] = "round_robin"
    retries: Annotated[
        Count,
        Text(
            "How often a request that failed is tried again elsewhere: those that do no harm twice, or were never sent."
        ),
    ] = 1
    retry_budget: Annotated[
        float, Meta(ge=0, le=1), Text("Retries at most, as a part (0 to 1) of the requests; ten a second are free.")
    ] = 0.2
    hedge: Annotated[
        bool,
        Text(
            "Ask a second server too for what is later than 95 in 100 answers, and take the first; paid as retries are."
        ),
    ] = False
    eject: Annotated[bool | Ejection, Text("Leave servers alone that fail; `false`: never.")] = True
    check: Annotated[bool | Check, Text("Ask servers whether they are well; `true`: for `/`.")] = False
    breaker: Annotated[bool | Breaker, Text("Leave the whole upstream alone when it fails too often.")] = False
    slow_start: Annotated[Duration, Text("A server that comes back gets its full share only after this.")] = 10.0
    sticky: Annotated[StickyCookie | None, Text("Bring clients back to the same server by a cookie.")] = None
    queue: Annotated[Count, Text("Requests that wait when every server has as many as its `limit`; beyond: 503.")] = (
        1000
    )
    queue_timeout: Annotated[Duration, Text("How long they wait; beyond: 503.")] = 10.0
    connections: Annotated[Count, Text("Connections of a worker to each server; 0: as many as it takes.")] = 0
    keep: Annotated[Count, Text("Of these, idle ones that are kept.")] = 64
    connect_timeout: Annotated[Duration, Text("To connect, TLS included; beyond: 504.")] = 5.0
    answer_timeout: Annotated[Duration, Text("From the request to the head of its answer; beyond: 504; 0: none.")] = (
        60.0
    )
    silence_timeout: Annotated[Duration, Text("Between two bytes of an answer; beyond: a cut; 0: none.")] = 60.0
    total_timeout: Annotated[Duration, Text("For the whole exchange; 0: none.")] = 0.0
    keep_alive: Annotated[Duration, Text("An idle connection is closed after this.")] = 60.0
    tls: Annotated[PeerTls, Text("For `https` and `tls` URLs.")] = PeerTls()
    send_proxy: Annotated[
        Literal["v1", "v2"] | None,
        Text(
            "Tell servers who the client is, by this version of the PROXY protocol. Connections then serve one client each."
        ),
    ] = None


class StreamLog(Table, frozen=True):
    """The log of a stream: a line for each connection, or UDP session, when it is over."""

    format: Annotated[Literal["text", "json"], Text("Lines for people, or a JSON object a line.")] = "text"
    to: Annotated[FilePath, Text('`"stdout"`, `"stderr"` or a file, which is opened again on SIGUSR1.')] = "stdout"


class Stream(Table, frozen=True):
    """Raw TCP or UDP that is passed on to a peer as it comes."""

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
            'or `"udp://host:port"` for UDP. Either this or `sni`.'
        ),
    ] = msgspec.field(default_factory=list)
    sni: Annotated[
        dict[str, str | list[str]],
        Text(
            "Peers, as in `to`, by the server name that a TLS client asks for: its connection is passed on as it is, and TLS is "
            'between it and the peer. `a.example`, `*.example`, or `"*"` for every other name, no name, and what is no TLS.'
        ),
    ] = {}
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
        Text("Without a byte in either direction; the default is `10m`, and `30s` for a UDP session; 0: no limit."),
    ] = None
    connections: Annotated[
        Count,
        Text(
            "Of this stream in one worker at once; beyond: closed; 0: no limit (UDP: 4096 sessions; the oldest goes)."
        ),
    ] = 0
    send_proxy: Annotated[
        Literal["v1", "v2"] | None,
        Text(
            "Tell peers who the client is, by this version of the PROXY protocol; by default as the named upstream says. Not for "
            "UDP."
        ),
    ] = None
    log: Annotated[bool | StreamLog, Text("The log: `true`, `false`, or a table.")] = True


class Config(Table, frozen=True):
    """A whole configuration."""

    server: Annotated[Server, Text("The processes and what they listen on.")] = Server()
    sites: Annotated[
        dict[str, Site], Text('Sites by host name: `example.com`, `*.example.com`, or `"*"` for every other host.')
    ] = {}
    apps: Annotated[dict[str, App], Text("Applications by name.")] = {}
    upstreams: Annotated[dict[str, Upstream], Text("Servers that requests are handed on to, by name.")] = {}

    @property
    def inline_apps(self) -> dict[str, App]:
        """Those that run inside the edge workers."""
        return {name: app for name, app in self.apps.items() if app.inline}

    @property
    def isolated_apps(self) -> dict[str, App]:
        """Those that run in processes of their own."""
        return {name: app for name, app in self.apps.items() if not app.inline}

    streams: Annotated[dict[str, Stream], Text("Raw TCP and UDP services by name.")] = {}
