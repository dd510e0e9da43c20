"""Every key of the schema does something: each is named here, with a look at what it changes in what is assembled."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from tests.assemble.kit import FakeParts, ask, config_of, presented, write_pem

from enfilade.assemble.acme import authorities_of
from enfilade.assemble.balance import check_of, make_upstream
from enfilade.assemble.certificates import peer_context
from enfilade.assemble.engines import engine_limits
from enfilade.assemble.explain import explain
from enfilade.assemble.filters import engine_body_limit
from enfilade.assemble.guarding import prepare_guard
from enfilade.assemble.plan import EdgePlan, listeners_of
from enfilade.assemble.sites import Sites, user_files
from enfilade.assemble.stores import disk_of, open_stores, share_cache
from enfilade.assemble.trial import NoTimer
from enfilade.assemble.upstreams import call_limits, equip, references
from enfilade.cache.purges import Purges
from enfilade.config import schema
from enfilade.config.acme_checks import answerable
from enfilade.config.peers import wanted_of
from enfilade.config.schema import Acme, CacheRules, Config, Table
from enfilade.exchange.call import Call
from enfilade.exchange.dispatch import Dispatcher
from enfilade.exchange.response import Response
from enfilade.net.client import CallLimits, ClientContext
from enfilade.net.context import ConnectionLimits
from enfilade.process.board import Board
from enfilade.process.plan import AppSpec
from enfilade.testing.exchange import make_exchange
from enfilade.upstream.peer import Peer
from enfilade.upstream.upstream import Upstream
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http2.limits import Http2Limits

USERS = f"ada:$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA${'A' * 43}\n"
KEPT = ["intermediate.key", "intermediate.pem", "root.key", "root.pem"]
ROOT = Path(__file__).parent.parent
Look = Callable[[Config], object]


def plan(config: Config) -> EdgePlan:
    return EdgePlan(config, Board(rows=8192, columns=2))


def server(lines: str) -> str:
    return f'[server]\n{lines}\n[sites."*"]\n"/" = {{ respond = 200 }}\n'


def walled(lines: str) -> str:
    return server("") + f"[firewall]\n{lines}\n"


def internal(lines: str) -> str:
    return site("") + f'[pki]\nroot = "HERE/ca"\n{lines}\n'


def serving(lines: str) -> str:
    where = 'https = ":443"\nworkers = 1\n[sites."ca.internal"]\ntls = "internal"\n'
    return f'[server]\n{where}"/acme/*" = {{ pki = "acme" }}\n[pki]\nnames = ["*.internal"]\n{lines}\n'


def acme_of(config: Config) -> Any:
    return plan(config)._prepared.acme_server


def limits(lines: str) -> str:
    return server(f"[server.limits]\n{lines}")


def site(lines: str) -> str:
    return f'[sites."*"]\n{lines}\n"/" = {{ respond = "x" }}\n'


def route(text: str, pattern: str = "/*") -> str:
    return f'[sites."*"]\n"{pattern}" = {{ {text} }}\n[apps.main]\ntarget = "m:app"\n'


def isolated(lines: str) -> str:
    return f'[sites."*"]\n"/*" = {{ app = "main" }}\n[apps.main]\ntarget = "m:app"\ninline = false\n{lines}\n'


def spec(config: Config) -> AppSpec:
    return plan(config).apps[0]


def started(key: str) -> Look:
    return lambda config: spec(config).start[key]


def status(config: Config) -> object:
    return ask(config, "GET", "/x")[0].status


def body(config: Config) -> object:
    return ask(config, "GET", "/x")[0].body


def field(name: bytes, target: str = "/x") -> Look:
    return lambda config: ask(config, "GET", target)[0].fields.get(name)


def preflight(name: bytes) -> Look:
    """A field `Access-Control-NAME` of the answer to a preflight request from https://a.b."""
    asked = [(b"origin", b"https://a.b"), (b"access-control-request-method", b"PUT")]
    return lambda config: ask(config, "OPTIONS", "/", fields=asked)[0].fields.get(b"access-control-" + name)


def on_status(target: str) -> Look:
    return lambda config: ask(config, "GET", target)[0].status


def posted_from(origin: bytes) -> Look:
    return lambda config: ask(config, "POST", "/", fields=[(b"origin", origin)])[0].status


def coded(lines: str) -> str:
    return site(lines).replace('"x"', f'"{"x" * 1000}"')


def field_for(accept: bytes, name: bytes) -> Look:
    return lambda config: ask(config, "GET", "/", fields=[(b"accept-encoding", accept)])[0].fields.get(name)


def hooks(config: Config) -> object:
    """How many filters look at the end of an exchange: the access log does."""
    return len(ask(config, "GET", "/")[1].match.route.done)


def sinks(config: Config) -> object:
    parts = FakeParts()
    Sites(config, parts)
    return [Path(to).name for to in parts.sinks]


def both(name: str) -> Look:
    return lambda config: tuple(getattr(engine_limits(make, config), name) for make in (Http1Limits, Http2Limits))


def on(target: str) -> Look:
    return lambda config: ask(config, "GET", target)[0].body


def proxy_table(config: Config) -> Any:
    return config.sites["*"].routes["/p/*"].proxy


def keeper(config: Config) -> Any:
    """What a cached route keeps its answers by."""
    made: list[Any] = []

    class Parts(FakeParts):
        def cache(self, rules: CacheRules, site: str, pattern: str) -> Any:
            made.append(super().cache(rules, site, pattern))
            return made[-1]

    Sites(config, Parts())
    return made[0].keeper


def cached(lines: str) -> str:
    return route(f'proxy = ["http://a:1"], cache = {{ {lines} }}')


def limited(lines: str) -> str:
    return route(f"respond = 200, limit = {{ {lines} }}")


def ruled(condition: str, rule: str = "", says: str = "true") -> str:
    return f"[rules.r]\nwhen = [{{ {condition} }}]\n{rule}\n" + site(f"rules = {says}")


def found(config: Config) -> str:
    """What `explain` says that rules find in a request with the argument a."""
    return next(step.reason for step in explain(config, "GET", "http://h/?a=Evil") if step.name == "Rules")


def asked(*requests: dict[str, str], target: str = "/x") -> Look:
    """The statuses of requests with these fields, made one after the other."""

    def look(config: Config) -> object:
        sites = Sites(config, FakeParts())
        found = []
        for one in requests:
            x = make_exchange("GET", target, [(name.encode(), value.encode()) for name, value in one.items()])
            x.match = Dispatcher(sites.find, sites.misdirected)(x.request, x.ends)
            answer: Any = x.match.route.chain(x)
            found.append(answer.status)
        return found

    return look


def below(config: Config) -> list[str]:
    """The servers in which answers are stored."""
    shared = share_cache(config, Board(rows=8192, columns=2), None)
    assert shared is not None
    purges = Purges(shared.purges.cells, shared.purges.locked)
    stores = open_stores(config, shared, purges, 1, lambda pid: True)
    asyncio.run(stores.close())
    return [store._troubles._name for store in stores._others]


def purging(config: Config) -> tuple[int, int]:
    """What PURGE is answered with the token `t`, and without one."""
    with_token = ask(config, "PURGE", "/x", fields=[(b"authorization", b"Bearer t")])[0]
    return with_token.status, ask(config, "PURGE", "/x")[0].status


def hits(*asked: str | tuple[str, bytes]) -> Look:
    """Which of these requests, made one after the other, the cache answers; with a Cookie where one is given."""

    def look(config: Config) -> object:
        sites = Sites(config, FakeParts())
        found = []
        for one in asked:
            target, cookie = (one, None) if isinstance(one, str) else one
            x = make_exchange("GET", target, [] if cookie is None else [(b"cookie", cookie)])
            x.match = Dispatcher(sites.find, sites.misdirected)(x.request, x.ends)
            answer: Any = x.match.route.chain(x)
            response = answer if isinstance(answer, Response) else answer.response
            found.append(b"; hit" in (response.fields.get(b"cache-status") or b""))
        return found

    return look


def mirrors(config: Config) -> list[object]:
    """Whom a request is mirrored to."""
    asked: list[object] = []

    class Parts(FakeParts):
        def upstream(self, to: str | Sequence[str], balance: str | None) -> Upstream:
            found = super().upstream(to, balance)
            carry = found.peers[0].pool.carry

            def told(call: Call) -> None:
                asked.append(to)
                carry(call)

            found.peers[0].pool.carry = told  # type: ignore[method-assign]
            return found

    sites = Sites(config, Parts())
    x = make_exchange("GET", "/p/x")
    x.match = Dispatcher(sites.find, sites.misdirected)(x.request, x.ends)
    x.match.route.chain(x)
    return asked[1:]


def servers(lines: str) -> str:
    return site("") + f"[upstreams.u]\npeers = [{{ {lines} }}]\n"


def peer_of(config: Config) -> Any:
    loop = asyncio.new_event_loop()
    try:
        context = ClientContext(
            calls=CallLimits(), loop=loop, limits=ConnectionLimits(), meter=None, connections=set(),  # type: ignore[arg-type]
        )  # fmt: skip
        (said,) = config.upstreams["u"].peers
        address, weight, tier, limit = wanted_of(said)
        peer = Peer(address.name, weight=weight, tier=tier, limit=limit)
        equip(peer, address, config.upstreams["u"], context, peer_context)
        return peer
    finally:
        loop.close()


def pool_of(name: str) -> Look:
    return lambda c: getattr(peer_of(c).pool, name)


def dialer_of(name: str) -> Look:
    return lambda c: getattr(peer_of(c).pool._dial, name)


def tolerance(name: str) -> Look:
    return made(lambda u: getattr(u.health._policy.tolerance, name))


def broken(name: str) -> Look:
    return made(lambda u: getattr(u._policy.breaker.tolerance, name))


def cookie(config: Config) -> object:
    made = make_upstream("u", config.upstreams["u"], lambda s, w: NoTimer(), lambda: 0.0)
    assert made.sticky is not None
    value = made.sticky.cookie(Peer("http://a:1"), False)
    return b"Max-Age=9" if b"Max-Age=9" in value else value[:2]


def proxied(lines: str) -> str:
    return route(f"proxy = {{ {lines} }}", "/p/*")


def upstream(lines: str) -> str:
    return site("") + f'[upstreams.u]\npeers = ["http://a:1"]\n{lines}\n'


def made(look: Callable[[Any], object]) -> Look:
    """A look at the upstream "u" as a worker makes it."""
    return lambda c: look(make_upstream("u", c.upstreams["u"], lambda s, w: NoTimer(), lambda: 0.0))


def context(look: Callable[[Any], object]) -> Look:
    """A look at what the connections to its peers share."""
    return lambda c: look(call_limits(c.upstreams["u"]))


def peer_tls(name: str) -> Look:
    return lambda c: getattr(peer_context(c.upstreams["u"].tls, ()), name)


def checked(name: str) -> Look:
    return lambda c: getattr(check_of(c.upstreams["u"]), name)


def let_in(*addresses: str) -> Look:
    """Which of them the firewall lets in."""

    def look(config: Config) -> object:
        found = prepare_guard(config, Board(rows=64, columns=2), 1).admitted
        return [address for address in addresses if found is not None and address in found]

    return look


def certified(lines: str) -> str:
    table = f'[acme]\nstorage = "certificates"\nterms_agreed = true\n{lines}\n'
    return table + '[sites."a.de"]\n"/" = { respond = 200 }\n'


def authorities(look: Callable[[Any], object]) -> Look:
    """A look at each of those that sign."""
    return lambda config: [look(one) for one in authorities_of(config.acme or Acme())]


LOOKS: dict[str, tuple[str, Look, object]] = {
    "Config.acme": (certified(""), lambda c: c.sites["a.de"].tls, "acme"),
    "Acme.email": (certified('email = "me@a.de"'), authorities(lambda a: a.terms.email), ["me@a.de"]),
    "Acme.directory": (
        certified('directory = ["https://ca.de/d", "staging"]'), authorities(lambda a: a.url),
        ["https://ca.de/d", "https://acme-staging-v02.api.letsencrypt.org/directory"],
    ),
    "Acme.profile": (certified('profile = "shortlived"'), authorities(lambda a: a.profile), ["shortlived"]),
    "Acme.challenge": (certified('challenge = "tls-alpn-01"'), answerable, ["tls-alpn-01"]),
    "Config.firewall": (walled('deny = ["192.0.2.1"]'), let_in("192.0.2.1", "::1"), ["::1"]),
    "Firewall.deny": (walled('deny = ["file:HERE/denied.txt"]'), let_in("192.0.2.1", "192.0.3.1"), ["192.0.3.1"]),
    "Firewall.allow": (walled('deny = ["0.0.0.0/0"]\nallow = ["192.0.2.0/24"]'), let_in("192.0.2.1", "192.0.3.1"), ["192.0.2.1"]),
    "Firewall.default": (walled('default = "deny"\nallow = ["::1"]'), let_in("192.0.2.1", "::1"), ["::1"]),
    "Config.upstreams": (upstream(""), lambda c: list(c.upstreams), ["u"]),
    "Route.proxy": (route('proxy = "http://a:1"'), body, b"http://a:1 GET example.com /x"),
    "Route.balance": (
        route('proxy = ["http://a:1"], balance = "first"'), lambda c: [b for _, b in references(c)], ["first"],
    ),
    "Proxy.to": (proxied('to = ["http://a:1", "http://b:1"]'), on("/p/x"), b"http://a:1,http://b:1 GET example.com /p/x"),
    "Proxy.host": (proxied('to = "http://a:1", host = "peer"'), on("/p/x"), b"http://a:1 GET peer:1 /p/x"),
    "Proxy.strip": (proxied('to = "http://a:1", strip = true'), on("/p/x"), b"http://a:1 GET example.com /x"),
    "Proxy.path": (proxied('to = "http://a:1", path = "/v{path}"'), on("/p/x"), b"http://a:1 GET example.com /v/x"),
    "Proxy.headers": (
        proxied('to = "http://a:1", headers = { X-A = "1" }'), on("/p/x"), b"http://a:1 GET example.com /p/x x-a=1",
    ),
    "Proxy.instead": (proxied('to = "http://a:1", strip = true, instead = { 404 = "HERE/a.txt" }'), on("/p/none"), b"text"),
    "Proxy.internal": (proxied('to = "http://a:1", strip = true, internal = "HERE"'), on("/p/file"), b"text"),
    "Proxy.split": (proxied('split = [{ to = "http://b:1", weight = 1 }]'), on("/p/x"), b"http://b:1 GET example.com /p/x"),
    "Branch.to": (proxied('split = [{ to = "http://b:1", weight = 1 }]'), on("/p/x"), b"http://b:1 GET example.com /p/x"),
    "Branch.weight": (
        proxied('split = [{ to = "http://a:1" }, { to = "http://b:1", weight = 1 }]'), on("/p/x"),
        b"http://b:1 GET example.com /p/x",
    ),
    "Branch.when": (
        proxied('split = [{ to = "http://a:1", weight = 1 }, { to = "http://b:1", when = { "path" = "/p/x" } }]'), on("/p/x"),
        b"http://b:1 GET example.com /p/x",
    ),
    "Proxy.split_by": (proxied('to = "http://a:1", split_by = "host"'), lambda c: proxy_table(c).split_by, "host"),
    "Proxy.mirror": (proxied('to = "http://a:1", mirror = { to = "http://m:1" }'), mirrors, ["http://m:1"]),
    "MirrorTo.to": (proxied('to = "http://a:1", mirror = { to = "http://m:1" }'), mirrors, ["http://m:1"]),
    "MirrorTo.part": (proxied('to = "http://a:1", mirror = { to = "http://m:1", part = 0 }'), mirrors, []),
    "Upstream.peers": (upstream(""), lambda c: c.upstreams["u"].peers, ["http://a:1"]),
    "Upstream.balance": (upstream('balance = "hash path"'), made(lambda u: u.key is not None), True),
    "Upstream.retries": (upstream("retries = 7"), made(lambda u: u._policy.retries), 7),
    "Upstream.retry_budget": (upstream("retry_budget = 0.5"), made(lambda u: u._policy.budget._ratio), 0.5),
    "Upstream.hedge": (upstream("hedge = true"), made(lambda u: u.hedges), True),
    "Upstream.eject": (upstream("eject = false"), made(lambda u: u.health._policy.tolerance.failures), 0),
    "Upstream.check": (upstream("check = true"), checked("path"), "/"),
    "Upstream.breaker": (upstream("breaker = true"), made(lambda u: u._policy.breaker is not None), True),
    "Upstream.slow_start": (upstream("slow_start = 3"), made(lambda u: u.health._policy.slow_start), 3.0),
    "Upstream.sticky": (upstream('sticky = { secret = "0123456789abcdef" }'), made(lambda u: u.sticky is not None), True),
    "Upstream.queue": (upstream("queue = 7"), made(lambda u: u._queue._length), 7),
    "Upstream.queue_timeout": (upstream("queue_timeout = 7"), made(lambda u: u._queue._patience), 7.0),
    "Upstream.connections": (upstream("connections = 7"), pool_of("_most"), 7),
    "Upstream.keep": (upstream("keep = 7"), pool_of("_keep"), 7),
    "Upstream.connect_timeout": (upstream("connect_timeout = 7"), dialer_of("_timeout"), 7.0),
    "Upstream.answer_timeout": (upstream("answer_timeout = 7"), context(lambda limits: limits.head), 7.0),
    "Upstream.silence_timeout": (upstream("silence_timeout = 7"), context(lambda limits: limits.silence), 7.0),
    "Upstream.total_timeout": (upstream("total_timeout = 7"), context(lambda limits: limits.total), 7.0),
    "Upstream.keep_alive": (upstream("keep_alive = 7"), context(lambda limits: limits.keep_alive), 7.0),
    "Upstream.send_proxy": (upstream('send_proxy = "v2"'), lambda c: type(peer_of(c).pool).__name__, "PrivatePools"),
    "Upstream.tls": (upstream("tls = { verify = false }"), peer_tls("verify_mode"), ssl.CERT_NONE),
    "PeerTls.verify": (upstream("tls = { verify = false }"), peer_tls("check_hostname"), False),
    "PeerTls.name": (upstream('tls = { name = "n" }'), dialer_of("_server_name"), "n"),
    "Peer.url": (servers('url = "http://b:2"'), lambda c: peer_of(c).name, "http://b:2"),
    "Peer.weight": (servers('url = "http://b:2", weight = 3'), lambda c: peer_of(c).weight, 3),
    "Peer.tier": (servers('url = "http://b:2", tier = 3'), lambda c: peer_of(c).tier, 3),
    "Peer.limit": (servers('url = "http://b:2", limit = 3'), lambda c: peer_of(c).limit, 3),
    "Ejection.failures": (upstream("eject = { failures = 9 }"), tolerance("failures"), 9),
    "Ejection.rate": (upstream("eject = { rate = 0.5 }"), tolerance("failure_rate"), 0.5),
    "Ejection.window": (upstream("eject = { window = 9 }"), tolerance("window"), 9.0),
    "Ejection.time": (upstream("eject = { time = 9 }"), tolerance("base"), 9.0),
    "Ejection.longest": (upstream("eject = { longest = 9 }"), tolerance("longest"), 9.0),
    "Ejection.most": (upstream("eject = { most = 0.9 }"), made(lambda u: u.health._policy.ejected), 0.9),
    "Check.send": (upstream("check = { send = '\\x00a' }").replace('proxy = "u"', "respond = 200"), checked("send"), b"\0a"),
    "Check.path": (upstream('check = { path = "/up" }'), checked("path"), "/up"),
    "Check.host": (upstream('check = { host = "h" }'), checked("host"), "h"),
    "Check.status": (upstream('check = { status = "204" }'), checked("statuses"), {204}),
    "Check.contains": (upstream('check = { contains = "ok" }'), checked("contains"), b"ok"),
    "Check.interval": (upstream("check = { interval = 9 }"), checked("interval"), 9.0),
    "Check.timeout": (upstream("check = { timeout = 9 }"), checked("timeout"), 9.0),
    "Check.rise": (upstream("check = { rise = 9 }"), checked("rise"), 9),
    "Check.fall": (upstream("check = { fall = 9 }"), checked("fall"), 9),
    "Breaker.failures": (upstream("breaker = { failures = 9 }"), broken("failures"), 9),
    "Breaker.rate": (upstream("breaker = { rate = 0.5 }"), broken("failure_rate"), 0.5),
    "Breaker.window": (upstream("breaker = { window = 9 }"), broken("window"), 9.0),
    "Breaker.time": (upstream("breaker = { time = 9 }"), broken("base"), 9.0),
    "StickyCookie.secret": (
        upstream('sticky = { secret = "0123456789abcdef" }'), made(lambda u: u.sticky._secret), b"0123456789abcdef",
    ),
    "StickyCookie.cookie": (upstream('sticky = { secret = "0123456789abcdef", cookie = "c" }'), cookie, b"c="),
    "StickyCookie.max_age": (upstream('sticky = { secret = "0123456789abcdef", max_age = 9 }'), cookie, b"Max-Age=9"),
    "Config.server": (server("workers = 3"), lambda c: plan(c).crews[0].workers, 3),
    "Config.sites": (site(""), lambda c: list(Sites(c, FakeParts()).by_name), ["*"]),
    "Config.apps": (route('app = "main"'), body, b"main at "),
    "Server.http": (server('http = ["unix:/x", ":8"]'), lambda c: [str(s) for s in listeners_of(c)], ["unix:/x", ":8"]),
    "Server.https": (
        '[server]\nhttps = ":9"\n' + site('tls = "internal"'),
        lambda c: [(s.name, s.port) for s in listeners_of(c)], [("https", 9)],
    ),
    "Server.workers": (server("workers = 5"), lambda c: plan(c).crews[0].workers, 5),
    "Server.admin": (
        server('http = ":1"\nadmin = "unix:/a"'),
        lambda c: [(s.name, s.host, s.mode) for s in listeners_of(c)][1], ("admin", "/a", 0o600),
    ),
    "Server.user": (server('user = "root"'), lambda c: getattr(plan(c).identity, "uid", None), 0),
    "Server.group": (server('group = "0"'), lambda c: getattr(plan(c).identity, "gid", None), 0),
    "Server.drain_timeout": (server('drain_timeout = "2s"'), lambda c: plan(c).drain_timeout, 2.0),
    "Server.trace": (server("trace = true"), lambda c: ask(c, "TRACE", "/")[0].status, 200),
    "Server.limits": (limits("body = 9"), engine_body_limit, 9),
    "Limits.request_line": (limits("request_line = 100"), both("request_line"), (100, 100)),
    "Limits.head": (limits("head = 1000"), both("head"), (1000, 1000)),
    "Limits.fields": (limits("fields = 7"), both("fields"), (7, 7)),
    "Limits.body": (limits("body = 11"), both("body"), (11, 11)),
    "Limits.head_timeout": (limits("head_timeout = 1"), both("head_timeout"), (1.0, 1.0)),
    "Limits.body_timeout": (limits("body_timeout = 2"), both("body_timeout"), (2.0, 2.0)),
    "Limits.idle_timeout": (limits("idle_timeout = 3"), both("idle_timeout"), (3.0, 3.0)),
    "Limits.min_rate": (limits("min_rate = 5"), both("min_rate"), (5, 5)),
    "Limits.trailers": (limits("trailers = 4"), lambda c: engine_limits(Http1Limits, c).trailers, 4),
    "Limits.chunk_extensions": (
        limits("chunk_extensions = 4"), lambda c: engine_limits(Http1Limits, c).chunk_extensions, 4,
    ),
    "Limits.continuations": (limits("continuations = 4"), lambda c: engine_limits(Http2Limits, c).continuations, 4),
    "Limits.flood_budget": (limits("flood_budget = 4"), lambda c: engine_limits(Http2Limits, c).flood_budget, 4),
    "Limits.flood_refill": (limits("flood_refill = 4"), lambda c: engine_limits(Http2Limits, c).flood_refill, 4),
    "Limits.streams": (limits("streams = 4"), lambda c: engine_limits(Http2Limits, c).streams, 4),
    "Site.tls": (site('tls = "off"'), lambda c: c.sites["*"].over_tls, False),
    "Site.routes": (site(""), lambda c: ask(c, "GET", "/")[0].body, b"x"),
    "Policies.log": (site("log = false"), hooks, 0),
    "Policies.headers": (site('headers = { X-A = "1" }'), field(b"x-a", "/"), b"1"),
    "Policies.security_headers": (
        site('security_headers = "strict"'), field(b"x-frame-options", "/"), b"DENY",
    ),
    "SecurityHeaders.preset": (
        site('security_headers = { preset = "strict" }'), field(b"x-frame-options", "/"), b"DENY",
    ),
    "SecurityHeaders.set": (
        site('security_headers = { set = { X-Frame-Options = "DENY" } }'), field(b"x-frame-options", "/"), b"DENY",
    ),
    "SecurityHeaders.leave_out": (
        site('security_headers = { leave_out = ["X-Frame-Options"] }'), field(b"x-frame-options", "/"), None,
    ),
    "Policies.cors": (site('cors = { origins = ["*"] }'), field(b"access-control-allow-origin", "/"), b"*"),
    "Cors.origins": (site('cors = { origins = ["https://a.b"] }'), field(b"vary", "/"), b"origin"),
    "Cors.methods": (site('cors = { origins = ["*"], methods = ["PUT"] }'), preflight(b"allow-methods"), b"PUT"),
    "Cors.headers": (site('cors = { origins = ["*"], headers = ["X-A"] }'), preflight(b"allow-headers"), b"X-A"),
    "Cors.max_age": (site('cors = { origins = ["*"], max_age = "1m" }'), preflight(b"max-age"), b"60"),
    "Cors.expose": (
        site('cors = { origins = ["*"], expose = ["X-A"] }'), field(b"access-control-expose-headers", "/"), b"X-A",
    ),
    "Cors.credentials": (
        site('cors = { origins = ["https://a.b"], credentials = true }'), preflight(b"allow-credentials"), b"true",
    ),
    "Policies.csrf": (site("csrf = true"), posted_from(b"https://evil.b"), 403),
    "Csrf.origins": (site('csrf = { origins = ["https://a.b"] }'), posted_from(b"https://a.b"), 405),
    "Auth.basic": (site('auth = { basic = { file = "HERE/users" } }'), on_status("/"), 401),
    "BasicAuth.file": (
        site('auth = { basic = { file = "HERE/users" } }'), lambda c: [Path(f).name for f in user_files(c)], ["users"],
    ),
    "BasicAuth.realm": (
        site('auth = { basic = { file = "HERE/users", realm = "r" } }'), field(b"www-authenticate", "/"),
        b'Basic realm="r", charset="UTF-8"',
    ),
    "Policies.request_id": (
        site('request_id = "X-Id"'), lambda c: b"x-id" in ask(c, "GET", "/")[0].fields, True
    ),
    "Policies.limit": (site('limit = "1/m"'), asked({}, {}, target="/none"), [404, 429]),
    "Policies.rules": (site("rules = true"), on_status("/?a=<script>"), 403),
    "Config.rules": (ruled('at = "path", matches = "x"'), asked({}), [403]),
    "OwnRule.when": (ruled('at = "method", equals = "GET"'), asked({}), [403]),
    "OwnRule.action": (ruled('at = "path", matches = "x"', 'action = "log"'), asked({}), [404]),
    "OwnRule.severity": (ruled('at = "path", matches = "x"', 'action = "score"\nseverity = "error"'), asked({}), [404]),
    "OwnRule.paranoia": (ruled('at = "path", matches = "x"', "paranoia = 4"), asked({}), [404]),
    "OwnRule.tags": (ruled('at = "path", matches = "x"', 'tags = ["t"]', '{ exclude = ["t"] }'), asked({}), [404]),
    "OwnRule.why": (
        ruled('at = "argument a", contains = "vil"', 'why = "so"'), lambda c: "argument a 'Evil' (so)" in found(c), True,
    ),
    "Condition.at": (ruled('at = ["host", "field b"], matches = "^c$"'), asked({}, {"b": "c"}), [404, 403]),
    "Condition.equals": (ruled('at = "path", equals = ["/x", "/"]'), asked({}), [403]),
    "Condition.contains": (ruled('at = "field b", contains = ["ab", "a."]'), asked({"b": "xax"}, {"b": "xabx"}), [404, 403]),
    "Condition.matches": (ruled('at = "field b", matches = "a.$"'), asked({"b": "xax"}, {"b": "aax"}), [403, 403]),
    "Condition.longer_than": (ruled('at = "field b", longer_than = 2'), asked({"b": "xx"}, {"b": "xxx"}), [404, 403]),
    "Condition.negate": (ruled('at = "field b", equals = "c", negate = true'), asked({}, {"b": "c"}), [403, 404]),
    "Condition.transform": (
        ruled('at = "field b", equals = "c", transform = ["decode", "lowercase"]'), asked({"b": "%43"}), [403],
    ),
    "RequestRules.paranoia": (site("rules = { paranoia = 2 }"), on_status("/?a=http://localhost/"), 403),
    "RequestRules.threshold": (site("rules = { threshold = 6 }"), on_status("/?a=<script>"), 200),
    "RequestRules.detect": (site("rules = { detect = true }"), on_status("/?a=<script>"), 200),
    "RequestRules.exclude": (site('rules = { exclude = ["xss-*"] }'), on_status("/?a=<script>"), 200),
    "RequestRules.exclude_arguments": (site('rules = { exclude_arguments = ["a"] }'), on_status("/?a=<script>"), 200),
    "RateLimit.rate": (limited('rate = "1/m"'), asked({}, {}), [200, 429]),
    "RateLimit.burst": (limited('rate = "1/m", burst = 2'), asked({}, {}, {}), [200, 200, 429]),
    "RateLimit.by": (
        limited('rate = "1/m", by = "cookie c"'), asked({"cookie": "c=1"}, {"cookie": "c=2"}, {"cookie": "c=1"}), [200, 200, 429],
    ),
    "RateLimit.fields": (
        limited('rate = "1/m", fields = false'), lambda c: b"ratelimit" in ask(c, "GET", "/x")[0].fields, False,
    ),
    "RateLimit.shadow": (limited('rate = "1/m", shadow = true'), asked({}, {}), [200, 200]),
    "Policies.cache": (route('proxy = ["http://a:1"], cache = "60s"'), hits("/x", "/x"), [False, True]),
    "CacheRules.ttl": (cached('ttl = "60s"'), hits("/x", "/x"), [False, True]),
    "CacheRules.negative": (cached('negative = "60s"'), hits("/none", "/none"), [False, True]),
    "CacheRules.grace": (cached('grace = "60s"'), lambda c: keeper(c).rules.grace, 60.0),
    "CacheRules.refresh": (cached('refresh = "60s"'), lambda c: keeper(c).rules.refresh, 60.0),
    "CacheRules.query": (cached('ttl = 9, query = ["q"]'), hits("/x?a=1", "/x?a=2", "/x?q=1"), [False, True, False]),
    "CacheRules.ignore_query": (cached('ttl = 9, ignore_query = ["a"]'), hits("/x?a=1", "/x?a=2"), [False, True]),
    "CacheRules.sort_query": (cached("ttl = 9, sort_query = true"), hits("/x?a=1&b=1", "/x?b=1&a=1"), [False, True]),
    "CacheRules.key": (
        cached('ttl = 9, key = ["cookie k"]'), hits(("/x", b"k=1"), ("/x", b"k=2"), ("/x", b"k=1; s=1")), [False, False, True],
    ),
    "CacheRules.ignore_cookies": (
        cached("ttl = 9, ignore_cookies = true"), hits(("/x", b"k=1"), ("/x", b"k=2")), [False, True],
    ),
    "CacheRules.min_uses": (cached("ttl = 9, min_uses = 2"), hits("/x", "/x", "/x"), [False, False, True]),
    "CacheRules.jitter": (cached("jitter = 0.5"), lambda c: keeper(c)._jitter, 0.5),
    "Config.pki": (internal(""), lambda c: sorted(os.listdir(plan(c) and c.pki.root)), KEPT),
    "Pki.root": (internal(""), lambda c: sorted(os.listdir(plan(c) and c.pki.root)), KEPT),
    "Pki.lifetime": (internal("lifetime = 7200"), lambda c: plan(c)._prepared.certificates.internal._lifetime.seconds, 7200),
    "Pki.names": (serving(""), lambda c: acme_of(c).rules.names._above, {"internal"}),
    "Pki.networks": (serving('networks = ["10.0.0.0/8"]'), lambda c: "10.1.2.3" in acme_of(c).networks, True),
    "Pki.external_accounts": (
        serving('external_accounts = "HERE/accounts"'), lambda c: acme_of(c).rules.bound, {"team": b"0123456789abcdef"},
    ),
    "Route.pki": (serving(""), lambda c: acme_of(c) is not None, True),
    "Config.cache": (cached("") + '[cache]\nmemory = "2MB"\n', lambda c: plan(c)._prepared.cache.memory.size, 2 << 20),
    "Cache.memory": (cached("") + '[cache]\nmemory = "2MB"\n', lambda c: plan(c)._prepared.cache.memory.size, 2 << 20),
    "Policies.compress": (coded("compress = true"), field_for(b"gzip", b"content-encoding"), b"gzip"),
    "Policies.decompress": (
        route("respond = 403, decompress = true"),
        lambda c: ask(c, "POST", "/", fields=[(b"content-encoding", b"x")], body=b"x")[0].status, 415,
    ),
    "Compression.codings": (coded('compress = { codings = ["br"] }'), field_for(b"gzip, br", b"content-encoding"), b"br"),
    "Compression.minimum": (coded('compress = { minimum = "10KB" }'), field_for(b"gzip", b"content-encoding"), None),
    "Compression.types": (coded('compress = { types = ["text/css"] }'), field_for(b"gzip", b"content-encoding"), None),
    "Cache.disk": (cached("") + '[cache]\ndisk = "cache"\n', lambda c: Path(disk_of(c).path).name, "cache"),  # type: ignore[union-attr]
    "Cache.purge_token": (cached("") + '[cache]\npurge_token = "t"\n', purging, (200, 401)),
    "Cache.redis": (cached("") + '[cache]\nredis = "redis://r:1"\n', below, ["Redis"]),
    "Cache.memcached": (cached("") + '[cache]\nmemcached = "m:1"\n', below, ["Memcached at m:1"]),
    "DiskStore.path": (cached("") + '[cache.disk]\npath = "d"\n', lambda c: Path(disk_of(c).path).name, "d"),  # type: ignore[union-attr]
    "DiskStore.size": (cached("") + '[cache.disk]\npath = "d"\nsize = "1MB"\n', lambda c: disk_of(c).size, 1 << 20),  # type: ignore[union-attr]
    "Policies.timing": (site("timing = true"), lambda c: b"server-timing" in ask(c, "GET", "/")[0].fields, True),
    "Route.app": (route('app = "main"'), body, b"main at "),
    "Route.files": (route('files = "HERE"'), lambda c: ask(c, "GET", "/a.txt")[0].status, 200),
    "Route.redirect": (route('redirect = "/new"'), field(b"location"), b"/new"),
    "Route.respond": (route("respond = 418"), status, 418),
    "Route.mount": (route('app = "main", mount = "/m"'), body, b"main at /m"),
    "Route.spa": (route('files = "HERE", spa = true'), lambda c: ask(c, "GET", "/none")[0].status, 200),
    "Route.listing": (route('files = "HERE", listing = true, index = []'), lambda c: ask(c, "GET", "/")[0].status, 200),
    "Route.index": (route('files = "HERE", index = ["a.txt"]'), lambda c: ask(c, "GET", "/")[0].body, b"text"),
    "Route.cache_control": (route('files = "HERE", cache_control = "no-cache"'), field(b"cache-control", "/a.txt"), b"no-cache"),
    "Route.precompressed": (
        route('files = "HERE", precompressed = false'),
        lambda c: ask(c, "GET", "/a.txt", fields=[(b"accept-encoding", b"gzip")])[0].fields.get(b"content-encoding"), None,
    ),
    "Route.body_limit": (
        route("respond = 200, body_limit = 1", "/{a}"),
        lambda c: ask(c, "POST", "/x", fields=[(b"content-length", b"2")], body=b"22")[0].status, 413,
    ),
    "Log.to": (site('log = { to = "HERE/access.log" }'), lambda c: set(sinks(c)), {"access.log"}),
    "HeaderRules.set": (site('headers = { set = { X-A = "1" } }'), field(b"x-a", "/"), b"1"),
    "HeaderRules.add": (site('headers = { add = { Vary = "X" } }'), field(b"vary", "/"), b"X"),
    "HeaderRules.remove": (site('headers = { remove = ["Content-Type"] }'), field(b"content-type", "/"), None),
    "Redirect.to": (route('redirect = { to = "/t" }'), field(b"location"), b"/t"),
    "Redirect.status": (route('redirect = { to = "/t", status = 302 }'), status, 302),
    "Fixed.status": (route("respond = { status = 202 }"), status, 202),
    "Fixed.body": (route('respond = { body = "b" }'), body, b"b"),
    "Fixed.type": (route('respond = { body = "b", type = "text/x" }'), field(b"content-type"), b"text/x"),
    "App.inline": (isolated(""), lambda c: [app.name for app in plan(c).apps], ["main"]),
    "App.workers": (isolated("workers = 3"), lambda c: (spec(c).minimum, spec(c).maximum), (3, 3)),
    "WorkerRange.min": (isolated("workers = { min = 2 }"), lambda c: spec(c).minimum, 2),
    "WorkerRange.max": (isolated("workers = { max = 5 }"), lambda c: (spec(c).minimum, spec(c).maximum), (1, 5)),
    "App.concurrency": (isolated("concurrency = 4"), started("concurrency"), 4),
    "App.venv": (
        isolated('venv = "HERE"'), lambda c: (Path(spec(c).command[0]).parts[-2:], "VIRTUAL_ENV" in spec(c).env),
        (("bin", "python"), True),
    ),
    "App.python": (isolated('python = "HERE/bin/python"'), lambda c: Path(spec(c).command[0]).name, "python"),
    "App.user": (isolated('user = "root"'), lambda c: getattr(spec(c).identity, "uid", None), 0),
    "App.group": (isolated('group = "0"'), lambda c: getattr(spec(c).identity, "gid", None), 0),
    "App.cwd": (isolated('cwd = "/"'), lambda c: spec(c).cwd, "/"),
    "App.limits": (isolated("limits = { files = 9 }"), lambda c: spec(c).files, 9),
    "AppLimits.memory": (isolated('limits = { memory = "1GB" }'), lambda c: spec(c).memory, 1 << 30),
    "AppLimits.files": (isolated("limits = { files = 9 }"), lambda c: spec(c).files, 9),
    "App.warm_up": (isolated('warm_up = "/up"'), started("warm_up"), "/up"),
    "App.max_requests": (isolated("max_requests = 9"), lambda c: spec(c).max_requests, 9),
    "App.max_memory": (isolated('max_memory = "1KB"'), lambda c: spec(c).max_memory, 1024),
    "App.idle_stop": (isolated("idle_stop = 9"), lambda c: spec(c).idle_stop, 9.0),
    "App.queue": (isolated("queue = 9"), lambda c: c.apps["main"].queue, 9),
    "App.queue_timeout": (isolated("queue_timeout = 9"), lambda c: c.apps["main"].queue_timeout, 9.0),
    "App.live": (isolated('live = "/live"'), lambda c: c.apps["main"].live, "/live"),
    "App.target": (route('app = "main"'), lambda c: c.apps["main"].target, "m:app"),
}  # fmt: skip

ELSEWHERE = {
    "Config.limits": "e2e/test_shared_limits.py::test_they_count_together_and_go_on_without_it",
    "SharedLimits.redis": "e2e/test_shared_limits.py::test_they_count_together_and_go_on_without_it",
    "SharedLimits.servers": "e2e/test_shared_limits.py::test_they_count_together_and_go_on_without_it",
    "Policies.concurrency": "e2e/test_concurrency.py::test_all_workers_count_together",
    "Policies.priority": "limits/test_bulkhead.py::test_each_address_has_its_turn_and_high_priority_goes_first",
    "Concurrency.limit": "limits/test_bulkhead.py::test_the_next_one_is_refused_until_one_is_over",
    "Concurrency.by": "limits/test_bulkhead.py::test_each_address_by_itself",
    "Concurrency.queue": "limits/test_bulkhead.py::test_who_waits_comes_next_and_nobody_overtakes",
    "Concurrency.wait": "limits/test_bulkhead.py::test_who_waits_for_too_long_is_refused",
    "Concurrency.fair": "limits/test_bulkhead.py::test_where_nobody_is_to_be_told_apart_who_came_first_goes_first",
    "Concurrency.adaptive": "limits/test_bulkhead.py::test_the_adaptive_one_begins_lower_and_measures_from_when_it_was_let_in",
    "Acme.redis": "e2e/test_acme.py::test_two_edges_with_one_redis_order_once_and_wait_for_it_where_it_is_away",
    "Acme.on_demand": "e2e/test_on_demand.py::test_the_first_who_asks_waits_and_nobody_after_that",
    "OnDemand.allow": "e2e/test_on_demand.py::test_who_is_not_allowed_is_told_and_nothing_is_ordered",
    "OnDemand.ask": "e2e/test_on_demand.py::test_who_is_asked_decides",
    "Acme.dns": "e2e/test_acme.py::test_a_wildcard_has_a_certificate_by_a_command_that_makes_records",
    "Acme.dns_wait": "assemble/test_acme.py::test_how_a_record_is_made",
    "DnsUpdate.server": "e2e/test_acme.py::test_a_wildcard_has_a_certificate_by_an_update_of_the_zone",
    "DnsUpdate.key": "e2e/test_acme.py::test_a_wildcard_has_a_certificate_by_an_update_of_the_zone",
    "DnsUpdate.secret": "e2e/test_acme.py::test_a_wildcard_has_a_certificate_by_an_update_of_the_zone",
    "DnsUpdate.algorithm": "assemble/test_acme.py::test_how_a_record_is_made",
    "Route.client_certificate": "e2e/test_client_certificates.py::test_a_route_may_require_what_its_site_does_not",
    "Acme.storage": "e2e/test_acme.py::test_a_public_name_has_a_certificate_by_itself",
    "Acme.terms_agreed": "assemble/test_acme.py::test_nothing_is_ordered_without_agreement",
    "Acme.authority": "e2e/test_acme.py::test_a_public_name_has_a_certificate_by_itself",
    "Acme.account_key_id": "e2e/test_acme.py::test_an_account_made_elsewhere",
    "Acme.account_hmac": "e2e/test_acme.py::test_an_account_made_elsewhere",
    "Server.tls_minimum": "assemble/test_certificates.py::test_the_oldest_version_holds_for_sites_and_streams",
    "RateLimit.algorithm": "limits/test_filter.py::test_a_sliding_window_gives_nothing_between_the_windows",
    "Server.tls_ciphers": "assemble/test_certificates.py::test_the_suites_hold_for_sites_and_streams",
    "Server.h2c": "e2e/test_slow_clients.py::test_http2_bodies_blocks_and_handlers",
    "Server.admin_token": "e2e/test_admin.py::test_the_token_is_asked_for_whatever_else_is_right",
    "Server.pid_file": "e2e/test_processes.py::test_the_pid_file_finds_the_server",
    "Server.log": "assemble/test_keys.py::test_the_servers_own_log",
    "ServerLog.level": "assemble/test_keys.py::test_the_servers_own_log",
    "ServerLog.format": "assemble/test_keys.py::test_the_servers_own_log",
    "Limits.write_timeout": "e2e/test_slow_clients.py::test_hundreds_at_once_are_all_dropped_while_others_are_served",
    "Limits.request_timeout": "e2e/test_slow_clients.py::test_the_ceiling_for_exchanges",
    "Limits.connections": "e2e/test_processes.py::test_connections_beyond_the_limit_of_all_workers_are_refused_and_counted",
    "Firewall.lists": "e2e/test_firewall.py::test_a_list_at_a_url_is_fetched_kept_and_renewed",
    "Lists.wait": "e2e/test_firewall.py::test_a_list_whose_server_hangs_holds_up_a_start_no_longer_than_it_may",
    "Lists.every": "e2e/test_firewall.py::test_a_list_at_a_url_is_fetched_kept_and_renewed",
    "Lists.keep": "e2e/test_firewall.py::test_a_list_at_a_url_is_fetched_kept_and_renewed",
    "Lists.allow": "e2e/test_firewall.py::test_a_list_at_a_url_is_fetched_kept_and_renewed",
    "Lists.authority": "assemble/test_guarding.py::test_who_vouches_for_the_server_of_a_list",
    "Firewall.countries": "e2e/test_firewall.py::test_countries_are_looked_up_and_the_database_is_watched",
    "Countries.file": "e2e/test_firewall.py::test_countries_are_looked_up_and_the_database_is_watched",
    "Countries.allow": "config/test_countries.py::test_lists_go_before_countries_and_countries_before_the_default",
    "Countries.deny": "config/test_countries.py::test_lists_go_before_countries_and_countries_before_the_default",
    "Config.bans": "e2e/test_bans.py::test_without_bans_the_command_says_so",
    "Bans.on": "e2e/test_bans.py::test_what_is_not_there_and_what_cannot_be_read_counts_as_well",
    "Bans.limit": "e2e/test_bans.py::test_wrong_passwords_end_in_a_ban_and_a_ban_is_lifted",
    "Bans.window": "assemble/test_banning.py::test_the_table_says_when_it_is_enough_and_for_how_long",
    "Bans.duration": "assemble/test_banning.py::test_the_table_says_when_it_is_enough_and_for_how_long",
    "Bans.grow": "assemble/test_banning.py::test_the_table_says_when_it_is_enough_and_for_how_long",
    "Bans.longest": "assemble/test_banning.py::test_the_table_says_when_it_is_enough_and_for_how_long",
    "Bans.never": "assemble/test_banning.py::test_who_is_never_banned",
    "Bans.dry_run": "e2e/test_bans.py::test_in_a_dry_run_nobody_is_refused",
    "Bans.file": "e2e/test_bans.py::test_bans_outlive_a_reload_and_in_a_file_a_restart",
    "Bans.nftables": "e2e/test_nftables.py::test_whoever_is_banned_meets_the_kernel_until_they_are_let_in_again",
    "Bans.redis": "e2e/test_bans.py::test_servers_have_them_in_common_over_redis_and_none_waits_for_it",
    "Firewall.outbound": "assemble/test_outbound.py::test_what_a_name_means_is_looked_at",
    "Outbound.allow": "assemble/test_outbound.py::test_what_a_name_means_is_looked_at",
    "Outbound.deny": "assemble/test_outbound.py::test_what_a_name_means_is_looked_at",
    "Outbound.default": "assemble/test_outbound.py::test_what_a_name_means_is_looked_at",
    "Firewall.connections_per_address": "e2e/test_firewall.py::test_how_many_connections_of_one_address_may_be_open",
    "Firewall.new_connections": "e2e/test_firewall.py::test_how_many_connections_may_come",
    "Firewall.new_connections_per_address": "e2e/test_firewall.py::test_how_many_connections_may_come",
    "Tls.certificate": "assemble/test_certificates.py::test_the_name_chooses_the_certificate",
    "Site.http": "assemble/test_sites.py::test_what_plain_http_gets",
    "Tls.clients": "e2e/test_client_certificates.py::test_who_has_no_good_one_gets_nothing",
    "ClientCertificates.authority": "e2e/test_client_certificates.py::test_who_has_no_good_one_gets_nothing",
    "ClientCertificates.revoked": "e2e/test_client_certificates.py::test_who_has_no_good_one_gets_nothing",
    "ClientCertificates.required": "e2e/test_client_certificates.py::test_where_none_is_required_only_a_good_one_is_told",
    "Tls.key": "assemble/test_trial.py::test_a_certificate_must_fit_its_key",
    "Policies.auth": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Auth.jwt": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Auth.forward": "assemble/test_authenticating.py::test_somebody_else_is_asked",
    "ForwardAuth.to": "assemble/test_authenticating.py::test_somebody_else_is_asked",
    "ForwardAuth.path": "assemble/test_authenticating.py::test_somebody_else_is_asked",
    "ForwardAuth.copy": "assemble/test_authenticating.py::test_somebody_else_is_asked",
    "Jwt.issuer": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.audience": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.file": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.secret": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.algorithms": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.claims": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.token": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.leeway": "assemble/test_authenticating.py::test_whom_a_site_lets_in",
    "Jwt.forward": "assemble/test_authenticating.py::test_claims_are_told_and_who_it_is_is_kept",
    "Jwt.jwks": "e2e/test_tokens.py::test_keys_come_from_a_server",
    "Jwt.allow": "e2e/test_tokens.py::test_keys_come_from_a_server",
    "Jwt.authority": "e2e/test_tokens.py::test_keys_come_from_a_server",
    "Log.format": "assemble/test_trial.py::test_a_mistake_has_its_place",
    "App.interface": "assemble/test_apps.py::test_the_interface_can_be_said",
    "App.factory": "assemble/test_apps.py::test_a_factory_makes_the_application",
    "App.path": "assemble/test_apps.py::test_it_is_imported_from_its_path_with_its_env",
    "App.env": "assemble/test_apps.py::test_it_is_imported_from_its_path_with_its_env",
    "App.threads": "assemble/test_apps.py::test_wsgi_has_its_threads",
    "App.lifespan": "assemble/test_apps.py::test_lifespan",
    "App.websocket_message_limit": "assemble/test_apps.py::test_the_limit_of_websocket_messages",
    "PeerTls.authority": "e2e/test_proxy.py::test_tls_is_verified_and_http2_is_agreed_on",
    "PeerTls.certificate": "e2e/test_proxy.py::test_our_own_certificate",
    "PeerTls.key": "e2e/test_proxy.py::test_our_own_certificate",
    "Upstream.discover": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Discover.file": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Discover.redis": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Discover.dns": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Redis.url": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Redis.prefix": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Dns.family": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "Dns.servers": "assemble/test_discovery.py::test_peers_of_every_source_in_their_order",
    "App.start_timeout": "assemble/test_apps.py::test_a_start_that_takes_too_long",
    "Config.streams": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
    "Server.proxy_protocol": "e2e/test_streams.py::test_haproxy_in_front_says_who_the_client_is",
    "Server.trusted_proxies": "e2e/test_streams.py::test_trusted_proxies_say_who_the_client_is_and_strangers_do_not",
    "Stream.listen": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
    "Stream.to": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
    "Stream.sni": "e2e/test_streams.py::test_tls_is_passed_on_by_the_name_that_curl_asks_for",
    "Stream.balance": "assemble/test_streams.py::test_the_balance_of_a_stream",
    "Stream.tls": "e2e/test_streams.py::test_tls_ends_here_and_begins_here",
    "Stream.peer_tls": "e2e/test_streams.py::test_tls_ends_here_and_begins_here",
    "Stream.connect_timeout": "assemble/test_streams.py::test_the_stream_says_how_long_a_connection_may_take_or_its_upstream",
    "Stream.idle_timeout": "assemble/test_streams.py::test_the_limits_of_a_stream",
    "Stream.connections": "assemble/test_streams.py::test_the_limits_of_a_stream",
    "Stream.send_proxy": "e2e/test_streams.py::test_a_peer_is_told_who_the_client_is",
    "Stream.handler": "assemble/test_handling.py::test_what_a_stream_with_a_handler_says",
    "Stream.model": "assemble/test_handling.py::test_what_a_stream_with_a_handler_says",
    "Stream.path": "assemble/test_handling.py::test_a_handler_is_imported_from_the_path_of_its_stream",
    "Stream.workers": "assemble/test_handling.py::test_what_a_stream_with_a_handler_says",
    "Stream.threads": "assemble/test_handling.py::test_what_a_stream_with_a_handler_says",
    "Stream.message_limit": "assemble/test_handling.py::test_what_a_stream_with_a_handler_says",
    "Stream.log": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
    "StreamLog.format": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
    "StreamLog.to": "e2e/test_streams.py::test_connections_are_balanced_counted_and_logged",
}
"""Keys that need more than a look: the test that shows what they do."""


def all_keys() -> list[str]:
    tables = [
        cls for cls in vars(schema).values() if isinstance(cls, type) and issubclass(cls, Table) and cls is not Table
    ]
    inherited = set(get_type_hints(schema.Policies))
    return [
        f"{cls.__name__}.{field.name}"
        for cls in tables
        for field in msgspec.structs.fields(cls)
        if cls is schema.Policies or not issubclass(cls, schema.Policies) or field.name not in inherited
    ]


@pytest.mark.parametrize("key", all_keys())
def test_every_key_does_something(key: str, tmp_path: Path) -> None:
    if key in ELSEWHERE:
        place, _, name = ELSEWHERE[key].partition("::")
        text = (ROOT / place).read_text()
        assert f"def {name}(" in text
        assert key.partition(".")[2] in text
        return
    for name, text in (
        ("a.txt", "text"),
        ("a.txt.gz", "gz"),
        ("denied.txt", "192.0.2.0/24"),
        ("index.html", "index"),
        ("users", USERS),
        ("accounts", "team:MDEyMzQ1Njc4OWFiY2RlZg\n"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    text, look, expected = LOOKS[key]
    assert look(config_of(text.replace("HERE", str(tmp_path)))) == expected


def test_the_servers_own_log(tmp_path: Path) -> None:
    config = config_of('[server.log]\nlevel = "warning"\nformat = "json"\n' + site(""))
    assert (config.server.log.level, config.server.log.format) == ("warning", "json")


def test_a_certificate_from_files_is_the_sites(tmp_path: Path) -> None:
    write_pem(tmp_path, "a", "a.example")
    text = '[server]\nhttps = ":1"\n' + site('tls = { certificate = "a.pem", key = "a.key" }')
    prepared: Any = plan(config_of(text, tmp_path))._prepared
    assert presented(prepared.certificates.listener.now(), "x.example") == ["a.example"]
