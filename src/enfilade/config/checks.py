"""What a configuration must hold beyond the types of its values. Reads files where one is named, binds nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec

import msgspec

from enfilade.config import units
from enfilade.config.acme_checks import check_acme
from enfilade.config.build import STREAMS
from enfilade.config.errors import NO_REDIS, Path, did_you_mean, dotted
from enfilade.config.firewall_checks import check_bans, check_firewall
from enfilade.config.limit_checks import check_priorities, check_users
from enfilade.config.outbound_checks import check_outbound
from enfilade.config.peers import read_peers
from enfilade.config.pki_checks import check_pki
from enfilade.config.policy_checks import check_header_rules, check_policies
from enfilade.config.report import Report, check_text
from enfilade.config.rule_checks import check_rules
from enfilade.config.schema import (
    App,
    Auth,
    Cache,
    Check,
    Config,
    Discover,
    Fixed,
    Log,
    Policies,
    Proxy,
    Route,
    Server,
    Site,
    StreamLog,
    Tls,
    Upstream,
    WorkerRange,
)
from enfilade.config.stream_checks import check_stream, listens
from enfilade.http.addresses import Networks
from enfilade.http.field_texts import field_value
from enfilade.route.hosts import compile_hosts
from enfilade.route.patterns import RouteError, compile_routes
from enfilade.upstream.addresses import parse_address

ACTIONS = ("app", "files", "proxy", "redirect", "respond", "pki")
OPTIONS = {
    "balance": "proxy",
    "mount": "app",
    "spa": "files",
    "listing": "files",
    "index": "files",
    "cache_control": "files",
    "precompressed": "files",
}
"""Options of a route, and the action that they belong to."""

ISOLATED = (
    "workers", "concurrency", "venv", "python", "user", "group", "cwd", "limits", "warm_up", "max_requests", "max_memory",
    "queue", "queue_timeout", "idle_stop", "live",
)  # fmt: skip
"""Options of applications in processes of their own."""

_DOTTED = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_TARGET = re.compile(rf"{_DOTTED}(:{_DOTTED})?")
_PREFIX = re.compile(r"[A-Za-z0-9_:-]+")
LEAST_CACHE = 1024 * 1024
"""Bytes of memory with which a cache can begin."""
_FORMATS = ("common", "combined", "json")


def check(config: Config, report: Report) -> None:
    """Report everything in `config` that cannot work."""
    _check_server(config, report)
    check_firewall(config.firewall, report)
    if config.bans is not None:
        check_bans(config.bans, report)
        if config.bans.file is not None:
            _check_new_file(config.bans.file, ("bans", "file"), report)
    if not (config.sites or config.streams) and report.complete(()) and report.complete(("sites",)):
        report((), True, "there is nothing to serve: no sites", 'write [sites."*"] and a route such as "/*"')
    _check_together(list(config.sites), _compile_hosts, ("sites",), report)
    for name, site in config.sites.items():
        _check_site(site, ("sites", name), config, report)
    for name, app in config.apps.items():
        _check_app(app, ("apps", name), report)
    for name, upstream in config.upstreams.items():
        _check_upstream(upstream, ("upstreams", name), report)
    check_rules(config, report)
    _check_cache(config.cache, report)
    if config.limits.redis is not None and find_spec("redis") is None:
        report(("limits", "redis"), True, f"limits.redis {NO_REDIS}")
    _check_environment(config.apps, report)
    _check_streams(config, report)
    check_outbound(config, report)
    check_pki(config, report)
    check_acme(config, report)
    if config.acme is not None and config.acme.authority is not None:
        _check_pem(config.acme.authority, "CERTIFICATE", ("acme", "authority"), report)


def _check_server(config: Config, report: Report) -> None:
    server = config.server
    seen: dict[tuple[bool, units.Address], Path] = {}
    for path, text in _addresses(server):
        try:
            address = units.address(text)
        except ValueError as error:
            report(path, False, f"{dotted(path)}: {error}", "")
            continue
        _check_once(path, text, address, False, seen, report)
        needs_token = path == ("server", "admin") and not address.is_local
        if needs_token and not server.admin_token and report.complete(("server",)):
            report(path, False, f'{dotted(path)}: "{text}" is open to other machines, so it needs admin_token', "")
    for name, stream in config.streams.items():
        for path, text in listens(stream, ("streams", name)):
            with suppress(ValueError):  # reported where the stream is looked at
                found = units.stream_address(text)
                _check_once(path, text, found.address, found.kind == "udp", seen, report)
    for key in ("proxy_protocol", "trusted_proxies"):
        for i, text in enumerate(getattr(server, key)):
            check_text(lambda text: Networks([text]), text, ("server", key, i), report)
    if server.tls_ciphers and server.tls_minimum == "1.3":
        report(("server", "tls_ciphers"), True, "server.tls_ciphers is for TLS 1.2, which tls_minimum rules out")
    with_tls = [name for name, site in config.sites.items() if site.over_tls]
    if server.https and config.sites and not with_tls and _know_sites(config, report):
        report(
            ("server", "https"),
            True,
            "server.https: no site has a certificate",
            'give a site tls = {...} or tls = "internal"',
        )
    if with_tls and not server.https and report.complete(("server",)) and report.complete(()):
        path = ("sites", with_tls[0], "tls")
        report(path, True, f"{dotted(path)}: no address serves TLS", 'add https = ":443" to [server]')


def _check_once(
    path: Path,
    text: str,
    address: units.Address,
    udp: bool,
    seen: dict[tuple[bool, units.Address], Path],
    report: Report,
) -> None:
    """Report an address that another listener has; a free port is another one each time."""
    if (udp, address) in seen and not (address.kind == "tcp" and address.port == 0):
        report(path, False, f'{dotted(path)}: "{text}" is already the address of {dotted(seen[udp, address])}', "")
    seen.setdefault((udp, address), path)


def _know_sites(config: Config, report: Report) -> bool:
    return report.complete(("sites",)) and all(report.complete(("sites", name)) for name in config.sites)


def _addresses(server: Server) -> Iterable[tuple[Path, str]]:
    for key, value in (("http", server.http), ("https", server.https), ("admin", server.admin)):
        if isinstance(value, str):
            yield ("server", key), value
        elif value is not None:
            for i, text in enumerate(value):
                yield ("server", key, i), text


# -- sites and routes


def _check_site(site: Site, path: Path, config: Config, report: Report) -> None:
    if isinstance(site.tls, Tls):
        _check_pem(site.tls.certificate, "CERTIFICATE", (*path, "tls", "certificate"), report)
        _check_pem(site.tls.key, "PRIVATE KEY", (*path, "tls", "key"), report)
    if site.http == "redirect" and not site.over_tls:
        text = f"{dotted((*path, 'http'))}: this site is not served over TLS"
        report((*path, "http"), False, text, 'give it tls = {...} or tls = "internal"')
    if site.http == "serve" and site.verifies:
        text = f"{dotted((*path, 'http'))}: over plain HTTP nobody shows the certificate that tls.clients asks for"
        report((*path, "http"), False, text, "")
    _check_policies(site, path, config, report)
    check_users(site, path, report)
    check_priorities(site, path, report)
    if not site.routes and report.complete(path):
        report(path, True, f"{dotted(path)} has no routes", 'write one as "/*" = { files = "DIRECTORY" }')
    _check_together(list(site.routes), _compile_patterns, path, report)
    for pattern, route in site.routes.items():
        if route.client_certificate and not site.verifies:
            where = (*path, pattern, "client_certificate")
            report(where, False, f"{dotted(where)}: this site asks nobody for one", "give its tls the table clients")
        _check_route(route, (*path, pattern), config, report)


def _compile_hosts(names: list[str]) -> None:
    compile_hosts(dict.fromkeys(names))


def _compile_patterns(patterns: list[str]) -> None:
    compile_routes([(pattern, None) for pattern in patterns])


def _check_together(keys: list[str], compile_all: Callable[[list[str]], None], path: Path, report: Report) -> None:
    """Report each of `keys` that does not compile, or not beside the good ones before it; mostly all do at once."""
    good: list[str] = []
    try:
        compile_all(keys)
        return
    except RouteError:
        pass
    for key in keys:
        try:
            compile_all([*good, key])
            good.append(key)
        except RouteError as error:
            report((*path, key), True, str(error), "")


def _check_route(route: Route, path: Path, config: Config, report: Report) -> None:
    actions = [name for name in ACTIONS if getattr(route, name) is not None]
    whole = report.complete(path)
    if not actions and whole:
        report(path, True, f"{dotted(path)} does nothing", f"give it one of {', '.join(ACTIONS)}")
    elif len(actions) > 1:
        report((*path, actions[1]), True, f"{dotted(path)} has {' and '.join(actions)}, but one thing answers", "")
    for name, default in _defaults(route, OPTIONS):
        if getattr(route, name) != default and OPTIONS[name] not in actions and whole:
            report((*path, name), True, f"{dotted((*path, name))} goes only with {OPTIONS[name]}", "")
    if route.app is not None and route.app not in config.apps and _know_app(route.app, report):
        text = f'{dotted((*path, "app"))}: there is no application "{route.app}"'
        report((*path, "app"), False, text, did_you_mean(route.app, config.apps))
    if route.proxy is not None:
        _check_proxy(route, path, config, report)
    if route.files is not None:
        _check_directory(route.files, (*path, "files"), report)
    if route.cache_control is not None:
        check_text(field_value, route.cache_control, (*path, "cache_control"), report)
    if isinstance(route.respond, Fixed):
        check_text(field_value, route.respond.type, (*path, "respond", "type"), report)
    if isinstance(route.mount, str) and (not route.mount.startswith("/") or route.mount.endswith("/")):
        text = f'{dotted((*path, "mount"))}: "{route.mount}" is not a prefix'
        report((*path, "mount"), False, text, 'it starts with "/" and does not end with it, as in "/api"')
    if route.cors and not str(path[-1]).startswith("/"):
        text = f"{dotted((*path, 'cors'))}: browsers ask with OPTIONS first, which this pattern does not take"
        report((*path, "cors"), True, text, "say it for the site, or for a pattern without a method")
    _check_policies(route, path, config, report)


def _check_proxy(route: Route, path: Path, config: Config, report: Report) -> None:
    proxy = route.proxy
    if isinstance(proxy, Proxy):
        where = (*path, "proxy")
        if bool(proxy.to) is bool(proxy.split) and report.complete(where):
            report(where, True, f"{dotted(where)} needs either to or split", "")
        if proxy.to:
            _check_to(proxy.to, (*where, "to"), config, report)
        for i, branch in enumerate(proxy.split):
            _check_to(branch.to, (*where, "split", i, "to"), config, report)
        if proxy.mirror is not None:
            _check_to(proxy.mirror.to, (*where, "mirror", "to"), config, report)
        to = proxy.to
    else:
        to = proxy or ""
        _check_to(to, (*path, "proxy"), config, report)
    if route.balance is not None and isinstance(to, str) and units.is_name(to):
        report((*path, "balance"), True, f'{dotted((*path, "balance"))} stands in the upstream "{to}"', "")
    if isinstance(proxy, Proxy):
        if proxy.strip and proxy.path is not None:
            report((*path, "proxy", "strip"), True, f"{dotted((*path, 'proxy'))} has both strip and path", "")
        if proxy.headers is not None:
            check_header_rules(proxy.headers, (*path, "proxy", "headers"), report)
        if proxy.internal is not None:
            _check_directory(proxy.internal, (*path, "proxy", "internal"), report)


def _check_to(to: str | list[str], path: Path, config: Config, report: Report) -> None:
    """The name of an upstream, or URLs."""
    if not (isinstance(to, str) and units.is_name(to)):
        for place, url in [(path, to)] if isinstance(to, str) else [((*path, i), url) for i, url in enumerate(to)]:
            check_text(_http_address, url, place, report)
    elif to in config.upstreams:
        _check_for_routes(to, config.upstreams[to], path, report)
    elif report.complete(()):
        text = f'{dotted(path)}: there is no upstream "{to}"'
        report(path, False, text, did_you_mean(to, config.upstreams) or 'a URL begins with "http://"')


def _check_asked(to: str | list[str], path: Path, config: Config, report: Report) -> None:
    """Who is asked about requests."""
    if not to:
        report(path, False, f"{dotted(path)} names nobody")
        return
    _check_to(to, path, config, report)
    upstream = config.upstreams.get(to) if isinstance(to, str) else None
    if upstream is not None and upstream.send_proxy is not None:
        report(path, False, f'{dotted(path)}: "{to}" has send_proxy, but is asked by us, not by a client')


def _http_address(url: str) -> None:
    if not parse_address(url).speaks("http"):
        raise ValueError(f'"{url}" is no server for a route; it speaks "http", "https" or "h2c"')


def _check_for_routes(name: str, upstream: Upstream, path: Path, report: Report) -> None:
    """An upstream that a route names, at `path`, holds nothing that only streams have."""
    for peer in upstream.peers:
        url = peer if isinstance(peer, str) else peer.url
        with suppress(ValueError):  # reported where the upstream is looked at
            if not parse_address(url).speaks("http"):
                check_text(_http_address, url, path, report)
    if isinstance(upstream.check, Check) and upstream.check.send:
        where = ("upstreams", name, "check", "send")
        report(where, True, f"{dotted(where)} goes only with streams, and {dotted(path)} is none")


def _check_cache(cache: Cache, report: Report) -> None:
    if 0 < cache.memory < LEAST_CACHE:
        report(
            ("cache", "memory"), False, f"cache.memory: {cache.memory} bytes are too few", 'write "1MB" or more, or 0'
        )
    if cache.redis is not None and find_spec("redis") is None:
        report(("cache", "redis"), True, f"cache.redis {NO_REDIS}")
    if cache.memcached is not None:
        check_text(units.server, cache.memcached, ("cache", "memcached"), report)


def _check_upstream(upstream: Upstream, path: Path, report: Report) -> None:
    discover = upstream.discover
    if not (upstream.peers or discover.file or discover.redis) and report.complete(path):
        report(path, True, f"{dotted(path)} has no servers", 'write peers = ["http://host:port"]')
    _check_discover(discover, (*path, "discover"), report)
    if isinstance(upstream.check, Check):
        for key in ("send", "contains"):
            check_text(units.octets, getattr(upstream.check, key), (*path, "check", key), report)
    for i, peer in enumerate(upstream.peers):
        if isinstance(peer, str):
            check_text(parse_address, peer, (*path, "peers", i), report)
        else:
            check_text(parse_address, peer.url, (*path, "peers", i, "url"), report)


def _check_discover(discover: Discover, path: Path, report: Report) -> None:
    if discover.file is not None:
        _check_peer_file(discover.file, (*path, "file"), report)
    if discover.redis is not None:
        where = (*path, "redis", "prefix")
        if not _PREFIX.fullmatch(discover.redis.prefix):
            report(
                where,
                False,
                f'{dotted(where)}: "{discover.redis.prefix}" is not a prefix: letters, digits, "_", ":", "-"',
            )
        if find_spec("redis") is None:
            report((*path, "redis"), True, f"{dotted((*path, 'redis'))} {NO_REDIS}")
    for i, server in enumerate(discover.dns.servers):
        check_text(units.dns_server, server, (*path, "dns", "servers", i), report)


def _check_peer_file(name: str, path: Path, report: Report) -> None:
    try:
        with open(name, encoding="utf-8") as file:
            read_peers(file.read(), name)
    except OSError as error:
        cause = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        report(path, False, f'{dotted(path)}: "{name}" {cause}', _similar_entry(name))
    except ValueError as error:
        report(path, False, f'{dotted(path)}: "{name}": {error}')


def _know_app(name: str, report: Report) -> bool:
    return report.complete(()) and report.sound(("apps", name))


def _defaults(table: msgspec.Struct, names: Container[str]) -> Iterable[tuple[str, object]]:
    return ((field.name, field.default) for field in msgspec.structs.fields(table) if field.name in names)


def _check_policies(table: Policies, path: Path, config: Config, report: Report) -> None:
    check_policies(table, path, report)
    if isinstance(table.log, Log) and table.log.to not in STREAMS:
        _check_new_file(table.log.to, (*path, "log", "to"), report)
    if isinstance(table.auth, Auth) and table.auth.forward is not None:
        _check_asked(table.auth.forward.to, (*path, "auth", "forward", "to"), config, report)


def _check_app(app: App, path: Path, report: Report) -> None:
    if not _TARGET.fullmatch(app.target):
        where = (*path, "target")
        text = f'{dotted(where)}: "{app.target}" is not a target'
        report(where, False, text, 'write module:attribute, as in "shop.main:app"')
    _check_directory(app.path, (*path, "path"), report)
    if app.inline and report.complete(path):
        for key, default in _defaults(app, ISOLATED):
            if getattr(app, key) != default:
                text = f"{dotted((*path, key))} goes only with processes of its own"
                report((*path, key), True, text, "write inline = false")
    elif not app.inline:
        _check_isolated(app, path, report)


def _check_isolated(app: App, path: Path, report: Report) -> None:
    workers = app.workers
    if isinstance(workers, WorkerRange) and workers.min > workers.max:
        where = (*path, "workers")
        report(where, False, f"{dotted(where)}: min is {workers.min}, and max {workers.max}", "")
    program = app.interpreter
    if app.venv is not None and app.python is not None:
        report((*path, "python"), True, f"{dotted(path)} has venv and python, but one interpreter runs it", "")
    elif program is not None and not os.access(program, os.X_OK):
        where = (*path, "venv" if app.python is None else "python")
        report(where, False, f'{dotted(where)}: there is no "{program}" that can be run', _similar_entry(program))
    if app.cwd is not None:
        _check_directory(app.cwd, (*path, "cwd"), report)
    for key in ("warm_up", "live"):
        value = getattr(app, key)
        if value is not None and not value.startswith("/"):
            report((*path, key), False, f'{dotted((*path, key))}: "{value}" is not a path', 'it starts with "/"')


def _check_streams(config: Config, report: Report) -> None:
    for name, stream in config.streams.items():
        path = ("streams", name)
        check_stream(stream, path, config.upstreams, report)
        _check_together(list(stream.sni), _compile_hosts, (*path, "sni"), report)
        if isinstance(stream.tls, Tls):
            _check_pem(stream.tls.certificate, "CERTIFICATE", (*path, "tls", "certificate"), report)
            _check_pem(stream.tls.key, "PRIVATE KEY", (*path, "tls", "key"), report)
        if stream.peer_tls.authority is not None:
            _check_pem(stream.peer_tls.authority, "CERTIFICATE", (*path, "peer_tls", "authority"), report)
        if isinstance(stream.log, StreamLog) and stream.log.to not in STREAMS:
            _check_new_file(stream.log.to, (*path, "log", "to"), report)


def _check_environment(apps: Mapping[str, App], report: Report) -> None:
    """Inline applications run in the process of the worker, so there is one environment for all of them."""
    first: dict[str, tuple[str, Path]] = {}
    for name, app in apps.items():
        for variable, value in app.env.items():
            path = ("apps", name, "env", variable)
            if not variable or "=" in variable or "\0" in variable + value:
                report(path, True, f"{dotted(path)}: not a variable that a process can have")
                continue
            if not app.inline:
                continue
            said, where = first.setdefault(variable, (value, path))
            if said != value:
                text = f"{dotted(path)}: applications share one environment, and {dotted(where)} says otherwise"
                report(path, False, text)


# -- files


def _check_directory(name: str, path: Path, report: Report) -> None:
    if not os.path.isdir(name):
        cause = "is not a directory" if os.path.exists(name) else "does not exist"
        report(path, False, f'{dotted(path)}: "{name}" {cause}', _similar_entry(name))
    elif not os.access(name, os.R_OK | os.X_OK):
        report(path, False, f'{dotted(path)}: "{name}" is not readable', "")


def _check_new_file(name: str, path: Path, report: Report) -> None:
    """A file that is written: it need not be there, its directory must."""
    folder = os.path.dirname(name)
    if os.path.isdir(name):
        report(path, False, f'{dotted(path)}: "{name}" is a directory', "")
    elif not os.path.isdir(folder):
        report(path, False, f'{dotted(path)}: the directory "{folder}" does not exist', _similar_entry(folder))


def _check_pem(name: str, label: str, path: Path, report: Report) -> None:
    try:
        with open(name, "rb") as file:
            known = re.search(rb"-----BEGIN [A-Z ]*" + label.encode(), file.read())
    except OSError as error:
        cause = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        report(path, False, f'{dotted(path)}: "{name}" {cause}', _similar_entry(name))
        return
    if not known:
        report(path, False, f'{dotted(path)}: "{name}" has no PEM block "{label}"', "")


def _similar_entry(name: str) -> str:
    if os.path.exists(name):
        return ""
    try:
        return did_you_mean(os.path.basename(name), os.listdir(os.path.dirname(name)))
    except OSError:
        return ""
