"""Sites, compiled: hosts to one lookup, patterns to one table a site, filters and a handler to one chain a route."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from enfilade.assemble.filters import Place, access_log, filters_of
from enfilade.assemble.parts import Parts
from enfilade.cache.purge_request import METHOD as PURGE
from enfilade.cache.purge_request import PurgeMethod
from enfilade.config.schema import (
    Auth,
    Config,
    Fixed,
    Redirect,
    Route,
    Site,
)
from enfilade.config.schema import Proxy as ProxyTable
from enfilade.config.units import address, texts
from enfilade.exchange.chain import compile_chain, done_hooks
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter, Handler, Match
from enfilade.exchange.exchange import Route as CompiledRoute
from enfilade.exchange.key import parse_key
from enfilade.exchange.response import Response
from enfilade.filters import ASKING
from enfilade.handlers.files import Files
from enfilade.handlers.methods import answer_server_method, refuse_method
from enfilade.handlers.proxy.announcing import AnnouncingProxy
from enfilade.handlers.proxy.instead import page, status_of
from enfilade.handlers.proxy.proxy import Proxy
from enfilade.handlers.proxy.split import Mirror, SplitHandler
from enfilade.handlers.proxy.target import rewrite, strip
from enfilade.handlers.redirect import Redirect as RedirectHandler
from enfilade.handlers.respond import Respond
from enfilade.http.field_rules import FieldRules
from enfilade.http.memory import remember
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.route.hosts import compile_hosts
from enfilade.route.patterns import Found, Refused, Table, compile_routes
from enfilade.upstream.split import Branch, Split, sample

if TYPE_CHECKING:
    from enfilade.cache.filter import Cache

NO_ROUTE = reason("no_route")
NO_SITE = reason("no_site")
REJECTED = ("", "")
"""Site and pattern of what was refused before it was routed, on the board and in the log."""
KNOWN_MATCHES = 4096
KNOWN_KEY = 256
"""So many matches a site are remembered, by a method and a path of so many characters together."""


class Target(NamedTuple):
    """What a pattern leads to. `mount`: None for what the pattern's `*` gives. `purge`: where PURGE for it goes; None: with the
    other methods."""

    route: CompiledRoute
    mount: str | None
    purge: CompiledRoute | None


class CompiledSite:
    """One site. Requests that no pattern takes have routes too, so that they are logged and counted like all others."""

    def __init__(self, name: str, site: Site, config: Config, parts: Parts) -> None:
        self.name = name
        self.tls = parts.tls(name)
        self.verifies = site.verifies
        self._parts = parts
        self._filters = [standing.filter for standing in filters_of(Place(config, name, "", parts))]
        self.plain = None
        if site.redirects:
            open_to_all = [f for f in self._filters if type(f).__name__ not in ASKING]
            self.plain = Match(self._route("", RedirectHandler(secure_address(config)), open_to_all), {}, "")
        self._trace = config.server.trace
        self._table: Table[Target] = compile_routes(
            [(pattern, compile_route(name, pattern, config, site, parts)) for pattern in site.routes]
        )
        self._missing = Match(self._route("", lambda x: error_response(NO_ROUTE, x)), {}, "")
        self._server = Match(self._route("", self._answer_server_method), {}, "")
        self._refused: dict[tuple[str, ...], Match] = {}
        self._known: dict[tuple[str, str], Match] = {}

    def match(self, request: Request) -> Match:
        key = request.method, request.path
        known = self._known.get(key)
        if known is None:
            known = self._look_up(*key)
            if sum(map(len, key)) <= KNOWN_KEY:
                remember(self._known, key, known, KNOWN_MATCHES)
        return known

    def _look_up(self, method: str, path: str) -> Match:
        if method == "TRACE" or path == "*":
            return self._server
        if method == PURGE:
            cached = self._table.find("GET", path)
            if isinstance(cached, Found) and cached.target.purge is not None:
                return Match(cached.target.purge, cached.params, cached.mount)
        found = self._table.find(method, path)
        if isinstance(found, Found):
            route, mount, _ = found.target
            return Match(route, found.params, found.mount if mount is None else mount)
        return self._missing if found is None else self._refusal(found)

    def _refusal(self, refused: Refused) -> Match:
        allow = refused.allow
        match = self._refused.get(allow)
        if match is None:
            route = self._route("", lambda x: refuse_method(x, allow))
            match = self._refused[allow] = Match(route, {}, "")
        return match

    def _answer_server_method(self, x: Exchange) -> Response:
        return answer_server_method(x, self._trace) or error_response(NO_ROUTE, x)

    def _route(self, pattern: str, handler: Handler, filters: Sequence[Filter] | None = None) -> CompiledRoute:
        filters = self._filters if filters is None else filters
        return CompiledRoute(
            self.name,
            pattern,
            compile_chain(filters, handler),
            done_hooks(filters),
            self._parts.meter(self.name, pattern),
        )


class Sites:
    """All sites of a configuration. `find(host)`; `misdirected`: the match of requests for none of them; `rejected`: of those
    that an engine refused."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self.by_name = {name: CompiledSite(name, site, config, parts) for name, site in config.sites.items()}
        self.find: Callable[[str], CompiledSite | None] = compile_hosts(self.by_name).find
        log = _first_log(config)
        filters = [] if log is False else [access_log(log, None, parts)]
        if parts.offences is not None:
            filters.append(parts.offences)
        self._filters = filters
        self._meter = parts.meter(*REJECTED)
        self.rejected = self.misdirected = self.besides(lambda x: error_response(NO_SITE, x))

    def besides(self, handler: Handler) -> Match:
        """The match of requests that `handler` answers whichever site they are for."""
        chain = compile_chain(self._filters, handler)
        return Match(CompiledRoute(*REJECTED, chain, done_hooks(self._filters), self._meter), {}, "")


def secure_address(config: Config) -> str:
    """Where plain HTTP is redirected to: the first address that serves TLS."""
    found = [address(text) for text in texts(config.server.https)]
    ports = [a.port for a in found if a.kind == "tcp"]
    port = f":{ports[0]}" if ports and ports[0] not in (0, 443) else ""
    return f"https://{{host}}{port}{{path}}?{{query}}"


def compile_route(site_name: str, pattern: str, config: Config, site: Site, parts: Parts) -> Target:
    """One line of a site."""
    route = site.routes[pattern]
    filters = [standing.filter for standing in filters_of(Place(config, site_name, pattern, parts))]
    meter = parts.meter(site_name, pattern)

    def compiled(filters: list[Filter], handler: Handler) -> CompiledRoute:
        return CompiledRoute(site_name, pattern, compile_chain(filters, handler), done_hooks(filters), meter)

    purge, token, cache = None, config.cache.purge_token, _cache_among(filters)
    if cache is not None and token is not None:
        others = [filter for filter in filters if filter is not cache]
        purge = compiled(others, PurgeMethod(token, cache.keeper.purges, cache.keys))
    mount = None if route.mount is True else "" if route.mount is False else route.mount.rstrip("/")
    return Target(compiled(filters, handler_of(pattern, route, parts)), mount, purge)


def _cache_among(filters: list[Filter]) -> Cache | None:
    """Known by its name: its module is imported only where something is cached."""
    return next((cast("Cache", filter) for filter in filters if type(filter).__name__ == "Cache"), None)


def handler_of(pattern: str, route: Route, parts: Parts) -> Handler:
    """What answers: the schema says that it is exactly one."""
    if route.app is not None:
        return parts.app(route.app)
    if route.files is not None:
        return Files(
            route.files,
            spa=route.spa,
            listing=route.listing,
            index=route.index,
            cache_control=route.cache_control,
            precompressed=route.precompressed,
        )
    if route.proxy is not None:
        return proxy_of(pattern, route, parts)
    if route.redirect is not None:
        to = route.redirect if isinstance(route.redirect, Redirect) else Redirect(to=route.redirect)
        return RedirectHandler(to.to, to.status, params=params_of(pattern))
    if route.pki is not None:
        return parts.acme()
    said = route.respond
    fixed = said if isinstance(said, Fixed) else Fixed(status=said) if isinstance(said, int) else Fixed(body=said or "")
    # Only requests with the method that a pattern names come to its route.
    return Respond(fixed.status, fixed.body, fixed.type, any_method=not pattern.startswith("/"))


def proxy_of(pattern: str, route: Route, parts: Parts) -> Handler:
    said = route.proxy
    table = said if isinstance(said, ProxyTable) else ProxyTable(to=said or "")
    if not table.split:
        return _proxy(pattern, table, table.to, route.balance, parts)
    branches = [
        Branch(branch.weight, [(parse_key(key), value.encode()) for key, value in branch.when.items()])
        for branch in table.split
    ]
    ways = [_proxy(pattern, table, branch.to, route.balance, parts) for branch in table.split]
    return SplitHandler(Split(branches, parse_key(table.split_by)), ways)


def _proxy(pattern: str, table: ProxyTable, to: str | Sequence[str], balance: str | None, parts: Parts) -> Proxy:
    rules = table.headers
    mirror = None
    if table.mirror is not None:
        other = _proxy(pattern, msgspec.structs.replace(table, mirror=None), table.mirror.to, None, parts)
        mirror = Mirror(other, sample(table.mirror.part, random.random))
    upstream = parts.upstream(to, balance)
    kind = Proxy if upstream.announce is None else AnnouncingProxy
    return kind(
        upstream,
        mirror=mirror,
        host={"client": None, "peer": ""}.get(table.host, table.host),
        path=strip if table.strip else None if table.path is None else rewrite(table.path, params_of(pattern)),
        rules=None if rules is None else FieldRules(rules.set, rules.add, rules.remove),
        instead={status_of(name): page(file) for name, file in table.instead.items()},
        internal=None if table.internal is None else Files(table.internal),
    )


def params_of(pattern: str) -> list[str]:
    """The names in `{braces}` of a pattern."""
    return [piece.partition("}")[0] for piece in pattern.split("{")[1:]]


def user_files(config: Config) -> set[str]:
    """The files of users that some site or route names."""
    tables = [table for site in config.sites.values() for table in (site, *site.routes.values())]
    return {table.auth.basic.file for table in tables if isinstance(table.auth, Auth) and table.auth.basic is not None}


def _first_log(config: Config) -> object:
    """Where requests are logged that belong to no site: to the default site's log, or the first one's."""
    sites = config.sites
    first = sites.get("*") or next(iter(sites.values()), None)
    return None if first is None else first.log


def route_names(config: Config) -> list[tuple[str, str]]:
    """Site and pattern of every route, with those for requests that no pattern and no site takes."""
    names = [(site, pattern) for site, s in config.sites.items() for pattern in (*s.routes, "")]
    return [REJECTED, *names]
