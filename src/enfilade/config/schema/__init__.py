"""Everything that can be configured: the tables of `enfilade.toml`, and the same objects in Python.

The text of each field is its public documentation: `enfilade schema` and `docs/configuration.md` are made from it.
"""

from typing import Annotated

from enfilade.config.schema.acme import Acme, DnsUpdate, OnDemand
from enfilade.config.schema.apps import App, AppLimits, WorkerRange
from enfilade.config.schema.auth import Auth, BasicAuth, ForwardAuth, Jwt
from enfilade.config.schema.bans import Bans
from enfilade.config.schema.cache import Cache, CacheRules, DiskStore
from enfilade.config.schema.firewall import Countries, Firewall, Lists, Outbound
from enfilade.config.schema.leaves import Table, Text
from enfilade.config.schema.pki import Pki
from enfilade.config.schema.rules import Condition, OwnRule, RequestRules
from enfilade.config.schema.server import ClientCertificates, Limits, Server, ServerLog, Tls
from enfilade.config.schema.sites import (
    Branch,
    Compression,
    Concurrency,
    Cors,
    Csrf,
    Fixed,
    HeaderRules,
    Log,
    MirrorTo,
    Policies,
    Proxy,
    RateLimit,
    Redirect,
    Route,
    SecurityHeaders,
    SharedLimits,
    Site,
)
from enfilade.config.schema.streams import Stream, StreamLog
from enfilade.config.schema.upstreams import (
    Breaker,
    Check,
    Discover,
    Dns,
    Ejection,
    Peer,
    PeerTls,
    Redis,
    StickyCookie,
    Upstream,
)

__all__ = [
    "Acme",
    "App",
    "AppLimits",
    "Auth",
    "Bans",
    "BasicAuth",
    "Branch",
    "Breaker",
    "Cache",
    "CacheRules",
    "Check",
    "ClientCertificates",
    "Compression",
    "Concurrency",
    "Condition",
    "Config",
    "Cors",
    "Countries",
    "Csrf",
    "Discover",
    "DiskStore",
    "Dns",
    "DnsUpdate",
    "Ejection",
    "Firewall",
    "Fixed",
    "ForwardAuth",
    "HeaderRules",
    "Jwt",
    "Limits",
    "Lists",
    "Log",
    "MirrorTo",
    "OnDemand",
    "Outbound",
    "OwnRule",
    "Peer",
    "PeerTls",
    "Pki",
    "Policies",
    "Proxy",
    "RateLimit",
    "Redirect",
    "Redis",
    "RequestRules",
    "Route",
    "SecurityHeaders",
    "Server",
    "ServerLog",
    "SharedLimits",
    "Site",
    "StickyCookie",
    "Stream",
    "StreamLog",
    "Table",
    "Text",
    "Tls",
    "Upstream",
    "WorkerRange",
]


class Config(Table, frozen=True):
    """A whole configuration."""

    server: Annotated[Server, Text("The processes and what they listen on.")] = Server()
    firewall: Annotated[Firewall, Text("Whom the listeners let in.")] = Firewall()
    acme: Annotated[Acme | None, Text("Certificates from an authority, by themselves.")] = None
    bans: Annotated[Bans | None, Text("Who is kept out for what they did; off unless this table is there.")] = None
    rules: Annotated[dict[str, OwnRule], Text("Rules of one's own on requests, by id.")] = {}
    sites: Annotated[
        dict[str, Site], Text('Sites by host name: `example.com`, `*.example.com`, or `"*"` for every other host.')
    ] = {}
    apps: Annotated[dict[str, App], Text("Applications by name.")] = {}
    upstreams: Annotated[dict[str, Upstream], Text("Servers that requests are handed on to, by name.")] = {}
    limits: Annotated[SharedLimits, Text("Limits that several servers share.")] = SharedLimits()
    cache: Annotated[Cache, Text("Where routes with `cache` store their answers.")] = Cache()
    streams: Annotated[dict[str, Stream], Text("Raw TCP and UDP services by name.")] = {}
    pki: Annotated[Pki, Text('Our own authority, which signs the certificates of `tls = "internal"`.')] = Pki()

    @property
    def inline_apps(self) -> dict[str, App]:
        """Those that run inside the edge workers."""
        return {name: app for name, app in self.apps.items() if app.inline}

    @property
    def isolated_apps(self) -> dict[str, App]:
        """Those that run in processes of their own."""
        return {name: app for name, app in self.apps.items() if not app.inline}
