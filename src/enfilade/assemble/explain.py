"""What a request would walk through, without making it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from enfilade.assemble.banning import no_offences
from enfilade.assemble.filters import Place, filters_of
from enfilade.assemble.guarding import fetch_lists, is_guarded
from enfilade.assemble.sites import secure_address
from enfilade.assemble.trial import NoWorker
from enfilade.config.networks import verdict
from enfilade.config.schema import Config, Proxy, Route, Site
from enfilade.filters import ASKING
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.http.uri import UriError, parse_authority, split_target
from enfilade.net.firewall import Guard
from enfilade.route.hosts import compile_hosts
from enfilade.route.patterns import Found, Refused, compile_routes


@dataclass(frozen=True)
class Step:
    """One door: the `room`, what stands in it (`name`), and why this request gets there (`reason`)."""

    room: str
    name: str
    reason: str


def explain(config: Config, method: str, url: str, client: str | None = None, ban: str | None = None) -> list[Step]:
    """The steps of `method url` through `config`, and before them what becomes of a connection from `client` (an address, or
    `unix`), if one is named; `ban`: what is known of their ban. Raises ValueError where `url` is none that a client could ask
    for, or `client` is none."""
    if client is None:
        return _request(config, method, url)
    lists = fetch_lists(config.firewall)
    let_in, why = verdict(config.firewall, client, {} if lists is None else lists.texts())
    if not let_in:
        return [Step("firewall", "refused", why)]
    if ban is not None:
        return [Step("firewall", "banned", ban)]
    return [Step("firewall", "let in", why), *_request(config, method, url)]


def _request(config: Config, method: str, url: str) -> list[Step]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is not an address; write http://host/path or https://host/path")
    try:
        _, host = parse_authority(parts.netloc.encode())
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        path, raw_path, query = split_target(target.encode())
    except UriError as error:
        raise ValueError(f"{url!r}: {error.reason.text}") from None
    found = _site(config, parts.scheme, host)
    if isinstance(found, Step):
        return [found]
    name, site, how = found
    authority = parts.netloc.lower()
    fields = Fields([(b"host", authority.encode())])
    request = Request(method, parts.scheme, authority, host, path, raw_path, query, fields, "1.1")
    steps = [Step("site", name, how)]
    if parts.scheme == "http" and site.redirects:
        redirect = Step("route", "308 Permanent Redirect", f"plain HTTP leads to {secure_address(config)}")
        asked = (step for step in _filters(config, name, "", request) if step.name not in ASKING)
        return [*steps, redirect, *asked]
    return steps + _route(config, name, request)


def _site(config: Config, scheme: str, host: str) -> tuple[str, Site, str] | Step:
    name = compile_hosts({name: name for name in config.sites}).find(host)
    if name is None:
        return Step("site", "421 Misdirected Request", f'no site is called {host}, and there is no default site "*"')
    site = config.sites[name]
    if scheme == "https" and not site.over_tls:
        return Step("site", "421 Misdirected Request", f'the site "{name}" is not served over TLS')
    if name == "*":
        return name, site, "the default site, as no other is called " + host
    return name, site, "its name" if name == host else f"{host} is one of its names"


def _route(config: Config, name: str, request: Request) -> list[Step]:
    site = config.sites[name]
    method, path = request.method, request.path
    if method == "TRACE":
        answers = "echoed, as trace is on" if config.server.trace else "405 Method Not Allowed, as trace is off"
        return [Step("route", "TRACE", answers), *_filters(config, name, "", request)]
    found = compile_routes([(pattern, pattern) for pattern in site.routes]).find(method, path)
    if isinstance(found, Refused):
        step = Step("route", "405 Method Not Allowed", f"{path} takes {', '.join(found.allow)}")
        return [step, *_filters(config, name, "", request)]
    if not isinstance(found, Found):
        return [Step("route", "404 Not Found", f"no pattern takes {path}"), *_filters(config, name, "", request)]
    route = site.routes[found.target]
    why = f"the most specific of {len(site.routes)} patterns" if len(site.routes) > 1 else "the only pattern"
    if found.params:
        why += "; " + ", ".join(f"{param} = {value!r}" for param, value in found.params.items())
    return [
        Step("route", found.target, why),
        *_filters(config, name, found.target, request),
        _handler(config, route, found.mount),
    ]


def _filters(config: Config, site: str, pattern: str, request: Request) -> list[Step]:
    """Those of the route `pattern`, or, for "", of the site's requests that no route takes."""
    parts = NoWorker()
    parts.guard = Guard(None) if is_guarded(config) else None
    parts.offences = None if config.bans is None else no_offences()
    standing = filters_of(Place(config, site, pattern, parts))
    return [Step("filter", one.name, one.why(request)) for one in standing]


def _handler(config: Config, route: Route, mount: str) -> Step:
    if route.app is not None:
        prefix = mount if route.mount is True else "" if route.mount is False else route.mount
        at = f", mounted at {prefix}" if prefix else ""
        return Step("handler", "app", f"{route.app} = {config.apps[route.app].target}{at}")
    if route.files is not None:
        return Step("handler", "Files", route.files)
    if route.proxy is not None:
        return Step("handler", "Proxy", handed_to(route.proxy))
    if route.redirect is not None:
        return Step("handler", "Redirect", f"to {getattr(route.redirect, 'to', route.redirect)}")
    if route.pki is not None:
        return Step("handler", "AcmeHandler", f"certificates for {', '.join(config.pki.names)}")
    return Step("handler", "Respond", f"always {getattr(route.respond, 'status', route.respond)}")


def handed_to(said: Proxy | str | list[str]) -> str:
    """Whom a route hands requests on to: `to a`, `to a or to b`."""
    proxy = said if isinstance(said, Proxy) else Proxy(to=said)
    ways = [branch.to for branch in proxy.split] or [proxy.to]
    return " or ".join(f"to {to if isinstance(to, str) else ', '.join(to)}" for to in ways)
