"""What only the constructors of filters, handlers and TLS contexts can tell of a configuration: it is tried out, piece by piece,
where nothing is opened and no application is imported, so that a mistake is found with its place in the file, and by `check`."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from enfilade.assemble.authenticating import jwt_filter, make_keys
from enfilade.assemble.balance import make_upstream
from enfilade.assemble.caching import rules_of
from enfilade.assemble.certificates import peer_context, read_context
from enfilade.assemble.concurrency import SaidConcurrency, no_bulkheads
from enfilade.assemble.filters import POLICIES
from enfilade.assemble.limiting import Said, make_limits, no_tables
from enfilade.assemble.ruling import Rulings
from enfilade.assemble.sites import handler_of
from enfilade.assemble.streams import is_udp
from enfilade.cache.reasons import Kind
from enfilade.config.errors import Path, dotted
from enfilade.config.in_force import in_force
from enfilade.config.limit_checks import limits_in
from enfilade.config.report import Report, check_text
from enfilade.config.schema import (
    Auth,
    CacheRules,
    Concurrency,
    Config,
    Jwt,
    OwnRule,
    PeerTls,
    Policies,
    RateLimit,
    RequestRules,
    Route,
    Site,
    Stream,
    Tls,
)
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.config.users import read_users
from enfilade.exchange.exchange import Filter, Handler
from enfilade.filters.basic_auth import Users
from enfilade.filters.firewall import Guard
from enfilade.handlers.respond import Respond
from enfilade.limits.bulkhead import Bulkhead
from enfilade.limits.key import compile_key
from enfilade.net.tls import check_suite
from enfilade.observe.log import LogSink
from enfilade.upstream.upstream import Upstream

if TYPE_CHECKING:
    from enfilade.cache.filter import Cache

_ACTIONS = ("proxy", "redirect", "respond")
_INNER = {
    "check": "status",
    "sticky": "secret",
    "log": "format",
    "cache": "key",
    "redirect": "to",
    "tls": "certificate",
}
"""Of keys that may be tables: the inner one that a constructor complains about."""


class NoMeter:
    def count(self, kind: Kind) -> None: ...


class NoLimitMeter:
    def count(self, shadow: bool) -> None: ...


class NoRuleMeter:
    def count(self, verdict: str, detect: bool, groups: Iterable[str]) -> None: ...


class NoTimer:
    def cancel(self) -> None: ...


class NoWorker:
    """The `Parts` of sites that are compiled to be looked at."""

    guard: Guard | None = None
    offences: Filter | None = None

    def sink(self, to: str) -> LogSink:
        return LogSink("stderr")

    def app(self, name: str) -> Handler:
        return Respond(503)

    def upstream(self, to: str | Sequence[str], balance: str | None) -> Upstream:
        table = UpstreamTable(balance=balance or "round_robin")
        return make_upstream("", table, _later, _zero)

    def meter(self, site: str, pattern: str) -> None:
        return None

    def cache(self, rules: CacheRules, site: str, pattern: str) -> Cache:
        from enfilade.assemble.stores import cache_filter, nowhere  # noqa: PLC0415

        return cache_filter(rules, nowhere(), NoMeter())

    def limits(self, said: Said, site: str, pattern: str) -> list[Filter]:
        return make_limits(said, site, pattern, no_tables(), NoLimitMeter())

    def acme(self) -> Handler:
        return Respond(503)

    def bulkhead(self, said: SaidConcurrency, site: str, pattern: str) -> Bulkhead:
        return no_bulkheads().of(said, site, pattern)

    def rules(self, said: RequestRules, own: dict[str, OwnRule]) -> Filter:
        return Rulings(own, NoRuleMeter(), b"").of(said)

    def users(self, file: str) -> Users:
        return Users(read_users(file))

    def jwt(self, table: Jwt) -> Filter:
        return jwt_filter(table, make_keys(table))

    def tls(self, site: str) -> None:
        return None


def try_out(config: Config, report: Report) -> None:
    """Report what cannot be made of those parts of `config` that are good by themselves (config/checks.py)."""
    if config.bans is not None and config.bans.file is not None:
        _try(partial(_read_bans, config.bans.file), config.bans, ("bans",), "file", report)
    if config.bans is not None and config.bans.nftables:
        _try(partial(_try_nftables, config), config.bans, ("bans",), "nftables", report)
    for i, name in enumerate(config.server.tls_ciphers):
        check_text(check_suite, name, ("server", "tls_ciphers", i), report)
    lists = config.firewall.lists
    if lists is not None and lists.authority is not None:
        make = partial(ssl.create_default_context, cafile=lists.authority)
        _try(make, lists, ("firewall", "lists"), "authority", report)
    for name, upstream in config.upstreams.items():
        _try_upstream(name, upstream, report)
    for name, stream in config.streams.items():
        _try_handler(stream, ("streams", name), config, report)
    if config.acme is not None and config.acme.authority is not None:
        vouching = PeerTls(authority=config.acme.authority)
        _try(partial(peer_context, vouching, ()), config.acme, ("acme",), "authority", report)
    _try_pki(config, report)
    rulings = Rulings(config.rules, NoRuleMeter(), b"")
    for name, site in config.sites.items():
        path = ("sites", name)
        _try_rules(rulings, site, path, report)
        if isinstance(site.tls, Tls):
            _try(partial(read_context, site.tls), site, path, "tls", report)
        _try_policies(site, path, report)
        for pattern, route in site.routes.items():
            _try_policies(route, (*path, pattern), report)
            _try_rules(rulings, route, (*path, pattern), report)
            _try_cache(site, pattern, route, path, report)
            _try_action(pattern, route, (*path, pattern), report)


def _try_handler(stream: Stream, path: Path, config: Config, report: Report) -> None:
    if stream.handler is None:
        return
    from enfilade.models.handler import check_name  # noqa: PLC0415
    from enfilade.models.table import check_transport  # noqa: PLC0415

    _try(partial(check_name, stream.handler), stream, path, "handler", report)
    if stream.model is not None:
        _try(partial(check_transport, stream.model, udp=is_udp(stream)), stream, path, "model", report)
    if config.server.proxy_protocol and not is_udp(stream):
        where = (*path, "handler")
        report(where, True, f"{dotted(where)}: handlers do not read the header of server.proxy_protocol", "")


def _try_pki(config: Config, report: Report) -> None:
    path = ("pki",)
    if config.pki.root is not None:
        from enfilade.assemble.internal import look_at_root  # noqa: PLC0415

        _try(partial(look_at_root, config), config.pki, path, "root", report)
    if config.pki.names:
        from enfilade.pki.acme.names import Names  # noqa: PLC0415

        _try(partial(Names, config.pki.names), config.pki, path, "names", report)
    if config.pki.external_accounts is not None:
        from enfilade.pki.acme.bound import read_bound  # noqa: PLC0415

        _try(partial(read_bound, config.pki.external_accounts), config.pki, path, "external_accounts", report)


def _try_upstream(name: str, table: UpstreamTable, report: Report) -> None:
    path = ("upstreams", name)
    alone = UpstreamTable(balance=table.balance)
    _try(partial(make_upstream, name, alone, _later, _zero), table, path, "balance", report)
    for key in ("sticky", "check"):
        alone = UpstreamTable(**{key: getattr(table, key)})
        _try(partial(make_upstream, name, alone, _later, _zero), table, path, key, report)
    if table.tls != PeerTls():
        _try(partial(peer_context, table.tls, ()), table, path, "tls", report)


def _read_bans(file: str) -> None:
    from enfilade.assemble.ban_file import read_bans  # noqa: PLC0415

    read_bans(file)


def _try_nftables(config: Config) -> None:
    from enfilade.assemble.nftables import try_nftables  # noqa: PLC0415

    try_nftables(config)


def _later(seconds: float, what: Callable[[], None]) -> NoTimer:
    return NoTimer()


def _zero() -> float:
    return 0.0


def _try_policies(table: Policies, path: Path, report: Report) -> None:
    for policy in POLICIES:
        value = getattr(table, policy.key)
        if value:
            _try(partial(policy.make, value, None, NoWorker()), table, path, policy.key, report)
    if isinstance(table.auth, Auth) and table.auth.basic is not None:
        _try(partial(read_users, table.auth.basic.file), table.auth.basic, (*path, "auth", "basic"), "file", report)
    if isinstance(table.auth, Auth) and table.auth.jwt is not None and report.sound((*path, "auth")):
        jwt = table.auth.jwt
        source = next(key for key in ("file", "secret", "authority", "jwks") if getattr(jwt, key) is not None)
        _try(partial(make_keys, jwt), jwt, (*path, "auth", "jwt"), source, report)
    for limit, where in limits_in(table, path):
        if isinstance(limit, RateLimit):
            _try(partial(compile_key, 0, limit.by, no_tables().buckets.spot), limit, where, "by", report)
    if isinstance(table.concurrency, Concurrency):
        for key in ("by", "fair"):
            by = getattr(table.concurrency, key)
            _try(partial(compile_key, 0, by, int), table.concurrency, (*path, "concurrency"), key, report)


def _try_rules(rulings: Rulings, table: Policies, path: Path, report: Report) -> None:
    if table.rules and report.sound(("rules",)):
        said = RequestRules() if table.rules is True else table.rules
        _try(partial(rulings.of, said), table, path, "rules", report)


def _try_cache(site: Site, pattern: str, route: Route, path: Path, report: Report) -> None:
    rules = rules_of(site, route)
    if rules is not None:
        own = in_force(site, route, lambda table: table.cache).own
        table, place = (route, (*path, pattern)) if own else (site, path)
        _try(partial(NoWorker().cache, rules, "", ""), table, place, "cache", report)


def _try_action(pattern: str, route: Route, path: Path, report: Report) -> None:
    key = next((key for key in _ACTIONS if getattr(route, key) is not None), None)
    if key is not None:
        _try(partial(handler_of, pattern, route, NoWorker()), route, path, key, report)


def _try(make: Callable[[], object], table: object, path: Path, key: str, report: Report) -> None:
    where = (*path, key)
    if not report.sound(where):
        return
    if isinstance(getattr(table, key), msgspec.Struct) and key in _INNER:
        where = (*where, _INNER[key])
    try:
        make()
    except ssl.SSLError as error:
        report(where, False, f"{dotted(where)}: cannot be used: {error.args[-1]}", "")
    except (ValueError, OSError) as error:
        report(where, False, f"{dotted(where)}: {error}", "")
