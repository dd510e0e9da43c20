"""What a configuration may say, and should not: mistakes that are no errors."""

from __future__ import annotations

import ipaddress
import os
import resource
import stat
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from cryptography import x509

from enfilade.config.errors import Path
from enfilade.config.in_force import in_force
from enfilade.config.schema import Auth, BasicAuth, Config, Route, Site, Tls
from enfilade.config.units import address, texts
from enfilade.doctor.probe import Grade
from enfilade.doctor.probes.tls import validity

ENTRIES = 20_000
"""Files of a directory that are looked at, at most."""
SECRET_NAMES = (
    ".key",
    ".pem",
    ".p12",
    ".pfx",
    ".sqlite",
    ".sqlite3",
    ".db",
    ".sql",
    ".bak",
    ".kdbx",
    "id_rsa",
    "id_ed25519",
)
"""How the names of files end that nobody means to publish. Those that begin with a dot are not served in any case."""
WIDE = {4: 8, 6: 19}
"""Bits of a network below which it can be nobody's own: the largest of RFC 1918 has 8; registries get 12 to 23 of IPv6."""
TOKEN = 16
"""Characters of a token that nobody guesses."""
SPARE = 64
"""Descriptors of a worker beside those of its connections."""


class Advice(NamedTuple):
    """`path`: of the key that is meant, or would be; `at_key`: the place is where the key stands, not its value; `instead`: what
    to write."""

    grade: Grade
    path: Path
    text: str
    instead: str = ""
    at_key: bool = False


class Subject(NamedTuple):
    """`file`: where the configuration was read."""

    config: Config
    file: str


Rule = Callable[[Subject], Iterator[Advice]]
GOOD, UNCLEAR, BAD = Grade.GOOD, Grade.UNCLEAR, Grade.BAD


def advise(config: Config, file: str) -> list[Advice]:
    return [advice for rule in RULES for advice in rule(Subject(config, file))]


def routes(config: Config) -> Iterator[tuple[Path, Site, Route]]:
    for name, site in config.sites.items():
        for pattern, route in site.routes.items():
            yield ("sites", name, pattern), site, route


def beyond(value: str | list[str]) -> bool:
    """Whether somebody on another machine gets to one of these addresses."""
    return any(not address(text).is_local for text in texts(value))


def listeners(subject: Subject) -> list[str]:
    """Where requests come in."""
    server = subject.config.server
    return [*texts(server.http), *texts(server.https)]


def dynamic(route: Route) -> bool:
    return route.app is not None or route.proxy is not None


# -- how it is reached


def in_the_clear(subject: Subject) -> Iterator[Advice]:
    config = subject.config
    if not beyond(config.server.http):
        return
    for name, site in config.sites.items():
        path: Path = ("sites", name)
        if not site.over_tls:
            yield Advice(
                UNCLEAR,
                (*path, "tls"),
                "everything travels in the clear",
                'tls = "acme", or tls = { certificate = "...", key = "..." }',
                True,
            )
        elif not site.redirects:
            yield Advice(UNCLEAR, (*path, "http"), "plain HTTP gets the same as HTTPS", 'http = "redirect"', True)
    for path, site, route in routes(config):
        if site.over_tls and site.redirects:
            continue
        if in_force(site, route, lambda table: table.auth).value:
            instead = 'http = "redirect", and a certificate'
            yield Advice(BAD, (*path, "auth"), "what lets somebody in travels in the clear", instead, True)


def every_host(subject: Subject) -> Iterator[Advice]:
    site = subject.config.sites.get("*")
    if site and any(map(dynamic, site.routes.values())) and beyond(listeners(subject)):
        text = "every host name is answered: an application that makes links of it makes them for anybody"
        yield Advice(UNCLEAR, ("sites", "*"), text, '[sites."shop.example.com"]', True)


def administration(subject: Subject) -> Iterator[Advice]:
    server = subject.config.server
    if server.admin is None:
        return
    if not address(server.admin).is_local:
        yield Advice(
            UNCLEAR, ("server", "admin"), "it is reached from other machines, without TLS", 'admin = "127.0.0.1:2019"'
        )
    if server.admin_token is not None and len(server.admin_token) < TOKEN:
        yield Advice(
            BAD,
            ("server", "admin_token"),
            f"a token of {len(server.admin_token)} characters can be guessed",
            "32 random ones",
        )


def trust(subject: Subject) -> Iterator[Advice]:
    for key in ("trusted_proxies", "proxy_protocol"):
        for number, text in enumerate(getattr(subject.config.server, key)):
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                continue  # "unix"
            if network.prefixlen < WIDE[network.version]:
                whom = "everybody" if not network.prefixlen else f"{network.num_addresses:,} addresses"
                what = f"{whom} may say that they are somebody else"
                yield Advice(BAD, ("server", key, number), what, 'the addresses of the proxies alone: "10.0.0.5"')


def privileges(subject: Subject) -> Iterator[Advice]:
    if subject.config.server.user is None and os.geteuid() == 0:
        yield Advice(
            UNCLEAR, ("server", "user"), "started as root, as now, workers stay root", 'user = "www-data"', True
        )


# -- what it takes


def bounds(subject: Subject) -> Iterator[Advice]:
    limits, path = subject.config.server.limits, ("server", "limits")
    for key, text, instead in (
        ("body", "request bodies have no end", 'body = "16MB"'),
        ("min_rate", "who sends or reads a byte now and then is never dropped", "min_rate = 240"),
        ("head_timeout", "heads and handshakes may take for ever", 'head_timeout = "10s"'),
        ("body_timeout", "who stops in the middle of a body is waited for for ever", 'body_timeout = "30s"'),
        ("write_timeout", "who takes nothing of an answer is waited for for ever", 'write_timeout = "30s"'),
        ("idle_timeout", "idle connections stay for ever", 'idle_timeout = "75s"'),
    ):
        if not getattr(limits, key):
            yield Advice(BAD, (*path, key), text, instead)
    for place, _, route in routes(subject.config):
        if route.body_limit == 0:
            yield Advice(UNCLEAR, (*place, "body_limit"), "request bodies have no end here", 'body_limit = "100MB"')


def descriptors(subject: Subject) -> Iterator[Advice]:
    server = subject.config.server
    workers = server.workers if isinstance(server.workers, int) else len(os.sched_getaffinity(0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE
    each = 2 if any(map(dynamic, (route for _, _, route in routes(subject.config)))) else 1
    path = ("server", "limits", "connections")
    if not server.limits.connections:
        instead = f"connections = {most // each * workers}"
        yield Advice(
            UNCLEAR, path, "connections have no limit but the descriptors, which are gone one day", instead, True
        )
    elif server.limits.connections * each > most * workers:
        text = f"with {workers} workers of {most + SPARE} descriptors, {each} for a connection, so many cannot be had"
        yield Advice(UNCLEAR, path, text, f"connections = {most // each * workers}, or more descriptors (LimitNOFILE)")


def one_address(subject: Subject) -> Iterator[Advice]:
    if beyond(listeners(subject)) and not subject.config.firewall.connections_per_address:
        text = "one client may hold all connections"
        yield Advice(
            UNCLEAR, ("firewall", "connections_per_address"), text, "[firewall] connections_per_address = 100", True
        )


def users_of(site: Site, route: Route) -> BasicAuth | None:
    auth = in_force(site, route, lambda table: table.auth).value
    return auth.basic if isinstance(auth, Auth) else None


def guesses(subject: Subject) -> Iterator[Advice]:
    for path, site, route in routes(subject.config):
        if in_force(site, route, lambda table: table.limit).value:
            continue
        if users_of(site, route) is not None:
            yield Advice(UNCLEAR, (*path, "limit"), "passwords may be tried without a limit", 'limit = "10/m"', True)
        elif dynamic(route):
            yield Advice(UNCLEAR, (*path, "limit"), "anybody may ask as often as they like", 'limit = "100/m"', True)


# -- what browsers are told


def browsers(subject: Subject) -> Iterator[Advice]:
    for path, site, route in routes(subject.config):
        if route.redirect is None and not in_force(site, route, lambda table: table.security_headers).value:
            yield Advice(
                UNCLEAR,
                (*path, "security_headers"),
                "browsers are not told to be careful",
                "security_headers = true",
                True,
            )
        if dynamic(route) and not in_force(site, route, lambda table: table.csrf).value:
            text = "pages of other sites may send requests in their visitors' names, unless the application looks"
            yield Advice(UNCLEAR, (*path, "csrf"), text, "csrf = true", True)


# -- files


def published(subject: Subject) -> Iterator[Advice]:
    """What lies in a directory that is served, and is nobody's business."""
    own = dict(_secrets(subject))
    for path, _, route in routes(subject.config):
        if route.files is None or not str(path[-1]).endswith("*"):
            continue
        root = os.path.realpath(route.files)
        for file, what in own.items():
            if _served(root, os.path.realpath(file)):
                yield Advice(
                    BAD, (*path, "files"), f"{what} can be fetched: {file}", "a directory with nothing else in it"
                )
        for found in _suspicious(root, own.keys() | _public(subject)):
            yield Advice(BAD, (*path, "files"), f"{found} can be fetched", "a directory with nothing else in it")
        if route.listing:
            yield Advice(UNCLEAR, (*path, "listing"), "everybody sees which files there are", "listing = false")


def _secrets(subject: Subject) -> Iterator[tuple[str, str]]:
    yield os.path.abspath(subject.file), "this configuration"
    for name, site in subject.config.sites.items():
        if isinstance(site.tls, Tls):
            yield site.tls.key, f"the private key of {name}"
    for _, site, route in routes(subject.config):
        if (users := users_of(site, route)) is not None:
            yield users.file, "the file of users"


def _public(subject: Subject) -> set[str]:
    return {site.tls.certificate for site in subject.config.sites.values() if isinstance(site.tls, Tls)}


def _served(root: str, file: str) -> bool:
    """Whether `file` lies beneath `root`, and no part of its way begins with a dot."""
    inside = os.path.relpath(file, root)
    return not any(part.startswith(".") for part in inside.split(os.sep))


def _suspicious(root: str, known: Set[str]) -> Iterator[str]:
    """The first of each kind of names."""
    seen, endings = 0, set(SECRET_NAMES)
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            seen += 1
            ending = next((ending for ending in endings if name.endswith(ending)), None)
            if ending and not name.startswith(".") and os.path.join(folder, name) not in known:
                endings.discard(ending)
                yield os.path.join(folder, name)
        if seen > ENTRIES:
            return


def readable(subject: Subject) -> Iterator[Advice]:
    places: list[tuple[Path, str]] = [
        (("sites", name, "tls"), site.tls.key)
        for name, site in subject.config.sites.items()
        if isinstance(site.tls, Tls)
    ]
    places += [
        ((*path, "auth", "basic", "file"), users.file)
        for path, site, route in routes(subject.config)
        if (users := users_of(site, route)) is not None
    ]
    for path, file in places:
        if os.stat(file).st_mode & stat.S_IROTH:
            yield Advice(BAD, path, f"everybody on this machine may read {file}", f"chmod o-r {file}")


def certificates(subject: Subject) -> Iterator[Advice]:
    for name, site in subject.config.sites.items():
        if isinstance(site.tls, Tls):
            with open(site.tls.certificate, "rb") as file:
                verdict = validity(x509.load_pem_x509_certificates(file.read())[0])
            if verdict.grade is not GOOD:
                yield Advice(
                    verdict.grade,
                    ("sites", name, "tls", "certificate"),
                    verdict.happened,
                    "renew it, by itself from now on",
                )


# -- elsewhere


def upstreams(subject: Subject) -> Iterator[Advice]:
    for name, upstream in subject.config.upstreams.items():
        if upstream.tls is not None and not upstream.tls.verify:
            path = ("upstreams", name, "tls", "verify")
            yield Advice(BAD, path, "whoever is in between can answer in the server's name", 'authority = "ca.pem"')


def telling(subject: Subject) -> Iterator[Advice]:
    if subject.config.server.trace:
        yield Advice(
            UNCLEAR, ("server", "trace"), "TRACE tells scripts what proxies in front add to requests", "trace = false"
        )
    for path, site, route in routes(subject.config):
        if in_force(site, route, lambda table: table.timing).value:
            yield Advice(
                UNCLEAR, (*path, "timing"), "strangers are told how long each step takes", "timing = false", True
            )


RULES: tuple[Rule, ...] = (
    in_the_clear, every_host, administration, trust, privileges, bounds, descriptors, one_address, guesses, browsers,
    published, readable,
    certificates, upstreams, telling,
)  # fmt: skip
