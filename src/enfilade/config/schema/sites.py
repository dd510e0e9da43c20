"""Sites and their routes, and what routes hand requests on to."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from enfilade.config.schema.auth import Auth
from enfilade.config.schema.cache import CacheRules
from enfilade.config.schema.leaves import Count, Duration, FilePath, Positive, Rate, RedisUrl, Size, Status, Table, Text
from enfilade.config.schema.rules import RequestRules
from enfilade.config.schema.server import Tls


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


class Compression(Table, frozen=True):
    """Answers in a content coding, made here. `true` is short for this table as it is."""

    codings: Annotated[
        list[str] | None,
        Text('The codings, best first. Without it, those of `["zstd", "br", "gzip"]` whose libraries are there.'),
    ] = None
    minimum: Annotated[Size, Text("Answers that are known to be shorter stay as they are.")] = 512
    types: Annotated[
        list[str] | None,
        Text(
            'Media types that are worth it, such as `"text/html"`, `"text/*"`, `"*+json"`. Without it: text, JSON, XML, scripts, '
            "SVG, WebAssembly and what is alike."
        ),
    ] = None


class RateLimit(Table, frozen=True):
    """A limit on how many requests may come. A rate alone is short for this table."""

    rate: Annotated[Rate, Text('How many in how long, on average: `"10/s"`, `"100/m"`, `"1000/h"`, `"5000/d"`.')]
    burst: Annotated[Positive | None, Text("So many may come at once. Without it, as many as `rate` names.")] = None
    algorithm: Annotated[
        Literal["token_bucket", "sliding_window"],
        Text(
            "`token_bucket`: who has used up the rate gets one more now and then; `sliding_window`: not before its time is over."
        ),
    ] = "token_bucket"
    by: Annotated[
        str | list[str],
        Text(
            "What is counted by itself: `address` (of IPv6, its /64), `user`, `claim NAME`, `header NAME`, `cookie NAME`, "
            "`query NAME`, `route`; or a list, for every mix of them; an empty list counts everything together."
        ),
    ] = "address"
    fields: Annotated[bool, Text("Tell clients in `RateLimit-Policy` and `RateLimit` what is left.")] = True
    shadow: Annotated[bool, Text("Refuse nothing; only count and log what would be refused.")] = False


class SharedLimits(Table, frozen=True):
    """How several servers have one limit, for all that say `limit`."""

    redis: Annotated[
        RedisUrl | None, Text("A Redis or Valkey over which the servers tell each other what they have let through.")
    ] = None
    servers: Annotated[
        Positive,
        Text("How many they are. A server that the others cannot hear allows its share: one of so many parts."),
    ] = 2


class Concurrency(Table, frozen=True):
    """A limit on how many requests may be in flight at once. A number alone is short for this table."""

    limit: Annotated[Positive, Text("So many at once, over all workers.")]
    by: Annotated[
        str | list[str],
        Text("What is counted by itself, as for `limit`, but for `user` and `claim`; without it, everything together."),
    ] = msgspec.field(default_factory=list)
    queue: Annotated[
        Count, Text("So many more may wait in each worker; without it, nobody: they are refused with 503.")
    ] = 0
    wait: Annotated[Duration, Text("Who has waited for so long is refused.")] = 5.0
    fair: Annotated[
        str | list[str], Text("Of those who wait, each of what this tells apart has its turn, as `by` says it.")
    ] = "address"
    adaptive: Annotated[
        bool, Text("Find out by how long requests take how many may be in flight: at most `limit`.")
    ] = False


class SecurityHeaders(Table, frozen=True):
    """Header fields that tell browsers to be careful, for answers that do not have them themselves. `true` is short for this
    table as it is, `"strict"` for one with that preset."""

    preset: Annotated[Literal["standard", "strict"], Text("Which fields, with which values: see docs/filters.md.")] = (
        "standard"
    )
    set: Annotated[dict[str, str], Text("Fields with another value than the preset's, or that it does not have.")] = {}
    leave_out: Annotated[list[str], Text("Fields of the preset that are not sent.")] = []


class Cors(Table, frozen=True):
    """Whose scripts may read the answers (cross-origin resource sharing). Preflight requests are answered by the server."""

    origins: Annotated[
        list[str],
        Text(
            'The origins, as browsers write them: `"https://app.example.com"`, `"https://*.example.com"` for all hosts below; '
            '`"*"` alone for everybody. `"null"` stands for sandboxed frames and local files.'
        ),
    ] = []
    methods: Annotated[tuple[str, ...], Text('The methods they may use; `"*"`: any.')] = ("GET", "HEAD", "POST")
    headers: Annotated[
        tuple[str, ...],
        Text('Header fields their requests may have; `"*"`: any but Authorization, which is named or not sent.'),
    ] = ("Content-Type",)
    expose: Annotated[list[str], Text("Header fields of the answers that they may read beyond the usual ones.")] = []
    credentials: Annotated[
        bool, Text("Whether requests may carry cookies and be read nevertheless. Not for everybody.")
    ] = False
    max_age: Annotated[Duration, Text("For how long a browser need not ask again; most take at most two hours.")] = (
        600.0
    )


class Csrf(Table, frozen=True):
    """Requests that change something come from pages of this origin (cross-site request forgery). `true` is short for this
    table as it is."""

    origins: Annotated[
        list[str],
        Text('Other origins whose pages may send them, too: `"https://app.example.com"`, `"https://*.example.com"`.'),
    ] = []


class Policies(Table, frozen=True):
    """What a site says for all its routes, and a route for itself instead."""

    log: Annotated[bool | Log | None, Text("The access log: `true` (as without it), `false`, or a table.")] = None
    headers: Annotated[
        HeaderRules | None, Text("Header fields of answers. A route's rules replace those of its site.")
    ] = None
    security_headers: Annotated[
        bool | Literal["strict"] | SecurityHeaders | None,
        Text(
            "Tell browsers to be careful, where the answer says nothing itself: `true`, without what could break a usual site; "
            '`"strict"`; or a table.'
        ),
    ] = None
    cors: Annotated[
        bool | Cors | None,
        Text("Whose scripts may read the answers: a table, or `false`. For a site, or a route that takes all methods."),
    ] = None
    csrf: Annotated[
        bool | Csrf | None,
        Text(
            "Refuse requests that pages of other origins have browsers send, but for GET, HEAD, OPTIONS and TRACE: `true`, or a "
            "table."
        ),
    ] = None
    auth: Annotated[
        bool | Auth | None,
        Text("Let in only who proves to be somebody: a table, or `false`. Over TLS alone, or it is no secret."),
    ] = None
    request_id: Annotated[
        bool | str | None,
        Text("Give each request an id and answer with it in `X-Request-Id`, or in the field named here."),
    ] = None
    rules: Annotated[
        bool | RequestRules | None,
        Text("Refuse requests that rules find to be attacks: `true`, `false`, or a table."),
    ] = None
    limit: Annotated[
        Rate | RateLimit | list[Rate | RateLimit] | None,
        Text(
            'How many requests may come: a rate such as `"100/m"` for each address, a table, or a list of them that all must let '
            "a request through; an empty list: any number. What a site says counts for all its routes together."
        ),
    ] = None
    concurrency: Annotated[
        Count | Concurrency | None,
        Text(
            "How many requests may be in flight at once: a number (0: any), or a table. What a site says counts for all its "
            "routes together."
        ),
    ] = None
    priority: Annotated[
        Literal["high", "normal", "low"] | None,
        Text("Who goes first of those who wait because of `concurrency`. Without it, `normal`."),
    ] = None
    cache: Annotated[
        bool | Duration | CacheRules | None,
        Text(
            "Store answers, and use them again: `true`, as they say themselves; a duration, for so long where they say nothing; "
            "or a table. What a site says is for its routes with `app` or `proxy`."
        ),
    ] = None
    compress: Annotated[
        bool | Compression | None,
        Text(
            "Code answers for clients that accept it: `true`, `false`, or a table. Not where an answer has both a secret and "
            "something that a stranger may put into it (BREACH)."
        ),
    ] = None
    decompress: Annotated[
        bool | None, Text("Take the content coding off request bodies; `body_limit` then counts what they become.")
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
        float,
        Meta(ge=0, le=1),
        Text("How many of the requests (0 to 1). Not those whose body comes in pieces."),
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
    """What answers (exactly one of `app`, `files`, `proxy`, `redirect`, `respond`, `pki`), and the filters in front of it."""

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
    pki: Annotated[
        Literal["acme"] | None,
        Text(
            'Beneath this pattern, `"/acme/*"` say, programs get certificates of our own authority (`[pki]`) by ACME; the '
            "directory is `/acme/directory`."
        ),
    ] = None
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
    client_certificate: Annotated[
        bool, Text("Refuse (403) who has shown no certificate; for sites whose `tls.clients` do not require one.")
    ] = False
    body_limit: Annotated[Size | None, Text("Longest request body here, instead of `server.limits.body`.")] = None


class Site(Policies, frozen=True):
    """Host names served together. Every other key of this table is a route: a pattern, `/path` or `METHOD /path`. `*` at its
    end matches the rest, `{name}` one segment; the most specific pattern wins."""

    tls: Annotated[
        Tls | Literal["acme", "internal", "off"] | None,
        Text(
            'A table with `certificate` and `key`; `"acme"`: from an authority, by itself (`[acme]`); '
            '`"internal"`: one that our own authority signs (`[pki]`), and renews; '
            '`"off"`: this site is not served over TLS.'
        ),
    ] = None
    http: Annotated[
        Literal["redirect", "serve"] | None,
        Text(
            'What plain HTTP gets: `"redirect"` (308) leads to HTTPS, `"serve"` gives the same as HTTPS. Where nothing is said, '
            "sites with a certificate of their own redirect; nobody trusts an internal one."
        ),
    ] = None
    routes: Annotated[
        dict[str, Route], Text("The routes by pattern. In TOML they stand directly in the table of the site.")
    ] = {}

    @property
    def over_tls(self) -> bool:
        return self.tls not in (None, "off")

    @property
    def redirects(self) -> bool:
        """Plain HTTP leads to HTTPS."""
        return (isinstance(self.tls, Tls) or self.tls == "acme") if self.http is None else self.http == "redirect"

    @property
    def verifies(self) -> bool:
        """Clients are asked for certificates."""
        return isinstance(self.tls, Tls) and self.tls.clients is not None
