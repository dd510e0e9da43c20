"""What `firewall.outbound` says, and who is named in spite of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from enfilade.config.errors import Path, dotted
from enfilade.config.networks import reachable
from enfilade.config.report import Report
from enfilade.config.schema import Auth, Config, Policies, Proxy, Route
from enfilade.config.units import is_name
from enfilade.http.addresses import UNIX, network
from enfilade.http.outbound import Reachable
from enfilade.upstream.addresses import is_ip, parse_address


def check_outbound(config: Config, report: Report) -> None:
    """Report networks that are none, and peers whose address lies where none may."""
    outbound, path = config.firewall.outbound, ("firewall", "outbound")
    for key in ("allow", "deny"):
        for i, text in enumerate(getattr(outbound, key)):
            where = (*path, key, i)
            try:
                if network(text) == UNIX:
                    raise ValueError('"unix" is no network; Unix sockets are on this machine, and may be connected to')
            except ValueError as error:
                report(where, False, f"{dotted(where)}: {error}")
    if outbound.default == "deny" and not outbound.allow:
        report(
            (*path, "default"),
            False,
            f"{dotted((*path, 'default'))}: nobody can be connected to",
            "name networks in allow",
        )
    if report.sound(path):
        allowed = reachable(outbound)
        for place, url in _peers(config):
            _check_peer(url, place, allowed, report)


def _check_peer(url: str, path: Path, allowed: Reachable, report: Report) -> None:
    with suppress(ValueError):  # reported where it is looked at
        host = parse_address(url).host
        if is_ip(host) and host not in allowed:
            report(
                path,
                False,
                f'{dotted(path)}: firewall.outbound lets nobody connect to "{host}"',
                "name it in allow there",
            )


def _peers(config: Config) -> Iterator[tuple[Path, str]]:
    """Each URL of a peer that the configuration names, and its place."""
    for name, upstream in config.upstreams.items():
        for i, peer in enumerate(upstream.peers):
            path: Path = ("upstreams", name, "peers", i)
            yield (path, peer) if isinstance(peer, str) else ((*path, "url"), peer.url)
    for name, site in config.sites.items():
        tables: dict[Path, Policies] = {("sites", name): site}
        tables |= {("sites", name, pattern): route for pattern, route in site.routes.items()}
        for path, table in tables.items():
            if isinstance(table.auth, Auth) and table.auth.forward is not None:
                yield from _urls(table.auth.forward.to, (*path, "auth", "forward", "to"))
            if isinstance(table, Route) and table.proxy is not None:
                yield from _handed_on(table.proxy, (*path, "proxy"))
    for name, stream in config.streams.items():
        yield from _urls(stream.to, ("streams", name, "to"))
        for server, to in stream.sni.items():
            yield from _urls(to, ("streams", name, "sni", server))


def _handed_on(proxy: str | list[str] | Proxy, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(proxy, Proxy):
        yield from _urls(proxy, path)
        return
    yield from _urls(proxy.to, (*path, "to"))
    for i, branch in enumerate(proxy.split):
        yield from _urls(branch.to, (*path, "split", i, "to"))
    if proxy.mirror is not None:
        yield from _urls(proxy.mirror.to, (*path, "mirror", "to"))


def _urls(to: str | list[str], path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(to, str):
        yield from (((*path, i), url) for i, url in enumerate(to))
    elif not is_name(to):
        yield path, to
