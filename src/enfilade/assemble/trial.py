"""What only the constructors of filters, handlers and TLS contexts can tell of a configuration: it is tried out, piece by piece,
where nothing is opened and no application is imported, so that a mistake is found with its place in the file, and by `check`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial

import msgspec

from enfilade.assemble.certificates import read_context
from enfilade.assemble.sites import POLICIES, handler_of
from enfilade.config.errors import Path, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Config, Policies, Route, Tls
from enfilade.exchange.exchange import Handler
from enfilade.handlers.respond import Respond
from enfilade.observe.log import LogSink
from enfilade.upstream.upstream import Queue, Timer, Upstream

_ACTIONS = ("proxy", "redirect", "respond")
_INNER = {"log": "format", "redirect": "to", "tls": "certificate"}
"""Of keys that may be tables: the inner one that a constructor complains about."""


class NoWorker:
    """The `Parts` of sites that are compiled to be looked at."""

    def sink(self, to: str) -> LogSink:
        return LogSink("stderr")

    def app(self, name: str) -> Handler:
        return Respond(503)

    def upstream(self, route: Route) -> Upstream:
        return Upstream("", route.balance or "round_robin", Queue(0, 0.0, _never))

    def meter(self, site: str, pattern: str) -> None:
        return None

    def tls(self, site: str) -> None:
        return None


def _never(seconds: float, what: Callable[[], None]) -> Timer:
    raise AssertionError("nothing waits here")


def try_out(config: Config, report: Report) -> None:
    """Report what cannot be made of those parts of `config` that are good by themselves (config/checks.py)."""
    for name, site in config.sites.items():
        path = ("sites", name)
        if isinstance(site.tls, Tls):
            _try(partial(read_context, site.tls), site, path, "tls", report)
        _try_policies(site, path, report)
        for pattern, route in site.routes.items():
            _try_policies(route, (*path, pattern), report)
            _try_action(pattern, route, (*path, pattern), report)


def _try_policies(table: Policies, path: Path, report: Report) -> None:
    for policy in POLICIES:
        value = getattr(table, policy.key)
        if value:
            _try(partial(policy.make, value, None, NoWorker()), table, path, policy.key, report)


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
        report(where, False, f"{dotted(where)}: certificate and key cannot be used: {error.args[-1]}", "")
    except (ValueError, OSError) as error:
        report(where, False, f"{dotted(where)}: {error}", "")
