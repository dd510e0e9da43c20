"""What [acme] and the sites that it is for must hold beyond the types of their values."""

from __future__ import annotations

import os
import re
import shutil
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from enfilade.config.errors import NO_REDIS, Path, did_you_mean, dotted
from enfilade.config.report import Report, check_text
from enfilade.config.schema import Acme, Config
from enfilade.config.schema.acme import Challenge
from enfilade.config.units import dns_server, texts
from enfilade.http.public_names import is_public
from enfilade.http.uri import parse_url
from enfilade.route.hosts import compile_hosts
from enfilade.route.patterns import RouteError

AUTHORITIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
"""Those that have a name of their own here, and their directories."""
_HMAC = re.compile(r"([A-Za-z0-9_-]{4}){4,}([A-Za-z0-9_-]{2,3})?=*")
_EMAIL = re.compile(r"[^\s@,?]+@[^\s@,?]+")


def certifiable(site: str, acme: Acme) -> bool:
    """Whether an authority of the Internet can sign for the host of `site`, the way `acme` has it."""
    return is_public(site.lower()) and (acme.dns is not None or on_demand(site, acme) or not site.startswith("*."))


def on_demand(site: str, acme: Acme) -> bool:
    """Whether each name of `site`, which wants certificates by ACME, has one of its own when it is first asked for."""
    wide = site == "*" or (site.startswith("*.") and acme.dns is None)
    return wide and acme.on_demand is not None


def directory_url(text: str) -> str:
    """Of an authority. Raises ValueError."""
    url = AUTHORITIES.get(text, text)
    if not re.fullmatch(r"https://[^\s/]+\S*", url):
        near = did_you_mean(text, AUTHORITIES) or 'write the URL of its directory, which begins with "https://"'
        raise ValueError(f'"{text}" is no authority; {near}')
    return url


def read_hmac(file: str) -> bytes:
    """The key of an account that was made elsewhere. Raises OSError or ValueError, which does not repeat it."""
    with open(file, encoding="ascii", errors="replace") as found:
        text = found.read().strip()
    if not _HMAC.fullmatch(text):
        raise ValueError(f'"{file}" does not hold a key in base64url')
    bare = text.rstrip("=")
    return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def answerable(config: Config) -> list[Challenge]:
    """The challenges that the configuration wants and that can be answered, the best first."""
    assert config.acme is not None, "only then anything is asked"
    said = config.acme.challenge
    served = {"http-01": config.server.http, "tls-alpn-01": config.server.https, "dns-01": config.acme.dns}
    return [kind for kind in ([said] if isinstance(said, str) else said) if served[kind]]


def check_acme(config: Config, report: Report) -> None:
    """Report what is wrong with [acme], and with sites that want certificates by it."""
    sites = [name for name, site in config.sites.items() if site.tls == "acme"]
    for name in sites:
        _check_site(name, config.acme, report)
    acme = config.acme
    if acme is None:
        return
    path: Path = ("acme",)
    if not acme.terms_agreed and report.complete(path):
        text = "acme: nothing is ordered unless you agree to the authority's terms of service"
        report((*path, "terms_agreed"), True, text, "read them, then write terms_agreed = true")
    if not sites and report.complete(path) and report.complete(()) and report.complete(("sites",)):
        report(path, True, "acme: no site has a public host name", 'write tls = "acme" where a certificate is wanted')
    if sites and not answerable(config) and report.complete(path) and report.complete(("server",)):
        text = "acme.challenge: nothing is listened to where the authority would ask"
        report((*path, "challenge"), True, text, 'add http = ":80" to [server]')
    _check_account(acme, path, report)
    _check_dns(acme, report)
    _check_on_demand(acme, sites, report)
    if (acme.storage is None) is (acme.redis is None) and report.complete(path):
        report(path, True, "acme needs either storage or redis", 'write storage = "certificates"')
    if acme.redis is not None and find_spec("redis") is None:
        report((*path, "redis"), True, f"acme.redis {NO_REDIS}")
    if acme.storage is not None and os.path.exists(acme.storage) and not os.path.isdir(acme.storage):
        report((*path, "storage"), False, f'acme.storage: "{acme.storage}" is not a directory')


def _check_site(name: str, acme: Acme | None, report: Report) -> None:
    where = ("sites", name, "tls")
    if acme is None:
        if report.complete(()):
            text = f'{dotted(where)}: "acme" needs a table [acme]'
            report(where, False, text, 'write [acme] with storage = "certificates" and terms_agreed = true')
    elif name == "*":
        if acme.on_demand is None:
            text = f"{dotted(where)}: a certificate is for names, and this site has none"
            report(where, False, text, "name its hosts, or say in acme.on_demand which it may have")
    elif name.startswith("*.") and acme.dns is None and acme.on_demand is None:
        text = f"{dotted(where)}: for a wildcard the authority looks for a record in the DNS"
        report(where, False, text, "say in acme.dns how it is made, or in acme.on_demand which names may have one each")
    elif acme.authority is None and not certifiable(name, acme):
        text = f'{dotted(where)}: no authority of the Internet can sign for "{name}"'
        report(where, False, text, 'use tls = "internal", or an authority of your own')


def _check_account(acme: Acme, path: Path, report: Report) -> None:
    for i, text in enumerate(texts(acme.directory)):
        where = (*path, "directory") if isinstance(acme.directory, str) else (*path, "directory", i)
        try:
            directory_url(text)
        except ValueError as error:
            report(where, False, f"{dotted(where)}: {error}")
    if not acme.directory:
        report((*path, "directory"), False, "acme.directory names no authority")
    if acme.email is not None and not _EMAIL.fullmatch(acme.email):
        report((*path, "email"), False, f'acme.email: "{acme.email}" is not an email address')
    if (acme.account_key_id is None) is not (acme.account_hmac is None) and report.complete(path):
        said = "account_hmac" if acme.account_key_id is None else "account_key_id"
        report((*path, said), True, "acme: account_key_id and account_hmac belong together")
    if acme.account_hmac is not None:
        _check_secret(read_hmac, acme.account_hmac, (*path, "account_hmac"), report)


def read_secret(file: str) -> bytes:
    """The key of a name server. Raises OSError or ValueError, which does not repeat it."""
    with open(file, encoding="ascii", errors="replace") as found:
        text = found.read().strip()
    try:
        secret = b64decode(text, validate=True)
    except ValueError:
        secret = b""
    if not secret:
        raise ValueError(f'"{file}" does not hold a key in base64')
    return secret


def _check_dns(acme: Acme, report: Report) -> None:
    path: Path = ("acme", "dns")
    if isinstance(acme.dns, list):
        program = acme.dns[0] if acme.dns else ""
        if shutil.which(program) is None:
            report(
                path, False, f'acme.dns: there is no program "{program}" that can be run', "name it with its whole path"
            )
    elif acme.dns is not None:
        try:
            dns_server(acme.dns.server)
        except ValueError as error:
            report((*path, "server"), False, f"acme.dns.server: {error}")
        _check_secret(read_secret, acme.dns.secret, (*path, "secret"), report)


def _check_on_demand(acme: Acme, sites: Sequence[str], report: Report) -> None:
    said, path = acme.on_demand, ("acme", "on_demand")
    if said is None:
        return
    if not said.allow and said.ask is None and report.complete(path):
        text = "acme.on_demand does not say which names may have a certificate"
        report(path, True, text, 'write allow = ["*.customers.example"], or ask = "http://..."')
    if not any(on_demand(name, acme) for name in sites) and report.complete(("sites",)):
        text = "acme.on_demand: no site has certificates on demand"
        report(path, True, text, 'write tls = "acme" for a site called "*", or for a wildcard without acme.dns')
    seen: set[str] = set()
    for i, text in enumerate(said.allow):
        where = (*path, "allow", i)
        try:
            if text == "*":
                raise RouteError("this is every name")
            if text.lower() in seen:
                raise RouteError("it is named twice")
            seen.add(text.lower())
            compile_hosts({text: True})
        except RouteError as error:
            report(where, False, f"{dotted(where)}: {error}", "write a name, or one with *. in front")
    if said.ask is not None:
        check_text(parse_url, said.ask, (*path, "ask"), report)


def _check_secret(read: Callable[[str], object], file: str, path: Path, report: Report) -> None:
    try:
        read(file)
    except OSError as error:
        cause = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        report(path, False, f'{dotted(path)}: "{file}" {cause}')
    except ValueError as error:
        report(path, False, f"{dotted(path)}: {error}")
