"""What our own authority must hold."""

from __future__ import annotations

import os
from collections.abc import Iterator

from enfilade.config.errors import Path, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Config, Pki
from enfilade.http.addresses import Networks

LONGEST = 90 * 86400.0
"""Seconds that a certificate may be valid: what is renewed by itself need not last."""


def serves_acme(config: Config) -> bool:
    """Whether other programs can get certificates."""
    return any(True for _ in _routes(config))


def check_pki(config: Config, report: Report) -> None:
    """Report what is wrong with it, and with the routes that serve it."""
    pki = config.pki
    if not 1 <= pki.lifetime <= LONGEST:
        text = "pki.lifetime: a certificate is valid for 1 second at least, and for 90 days at most"
        report(("pki", "lifetime"), False, text)
    _check_root(pki, report)
    for i, text in enumerate(pki.networks):
        try:
            Networks([text])
        except ValueError as error:
            report(("pki", "networks", i), False, f"{dotted(('pki', 'networks', i))}: {error}")
    for path in _routes(config):
        _check_route(config, path, report)


def _check_root(pki: Pki, report: Report) -> None:
    if pki.root is not None and not os.path.isdir(pki.root):
        above = os.path.dirname(pki.root)
        if os.path.lexists(pki.root):
            report(("pki", "root"), False, f'pki.root: "{pki.root}" is not a directory')
        elif not os.path.isdir(above):
            report(("pki", "root"), False, f'pki.root: the directory "{above}" does not exist')


def _routes(config: Config) -> Iterator[Path]:
    for name, site in config.sites.items():
        yield from (("sites", name, pattern, "pki") for pattern, route in site.routes.items() if route.pki is not None)


def _check_route(config: Config, path: Path, report: Report) -> None:
    pattern, where = str(path[2]), dotted(path)
    if not (pattern.startswith("/") and pattern.endswith("/*") and "{" not in pattern):
        report(path, True, f'{where}: its directory is beneath the pattern, which ends with "/*" and names no method')
    if not config.pki.names and report.complete(("pki",)):
        report(path, True, f"{where}: nobody can have a certificate", 'write names = ["*.internal"] in [pki]')
    site = config.sites[str(path[1])]
    if not (site.over_tls or config.server.trusted_proxies) and report.complete(path[:2]):
        report(path, True, f"{where}: ACME is spoken over https", 'give the site tls = "internal"')
    if config.pki.root is None and config.server.workers != 1 and report.complete(("pki",)):
        text = f"{where}: several workers cannot remember one account in memory"
        report(path, True, text, 'write root = "DIRECTORY" in [pki], or workers = 1 in [server]')
