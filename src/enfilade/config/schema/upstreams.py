"""Groups of servers: how they are reached, balanced, checked and found."""

from typing import Annotated, Literal

from msgspec import Meta

from enfilade.config.schema.leaves import Count, Duration, FilePath, Positive, RedisUrl, Table, Text


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
    keep: Annotated[Count, Text("Of these, idle ones that are kept; more than these go after a second.")] = 64
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
