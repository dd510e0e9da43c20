"""Which filters stand in front of a route, and why: what a route says goes before what its site says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from enfilade.assemble.authenticating import auth_of, forward_filter
from enfilade.assemble.caching import rules_of, why_cached
from enfilade.assemble.concurrency import concurrency_of
from enfilade.assemble.limiting import limits_of
from enfilade.assemble.parts import Parts
from enfilade.assemble.ruling import foretell, rules_in_force
from enfilade.config.in_force import in_force
from enfilade.config.schema import (
    Compression,
    Config,
    Cors,
    Csrf,
    HeaderRules,
    Log,
    Route,
    SecurityHeaders,
    Site,
)
from enfilade.exchange.exchange import Filter
from enfilade.filters import rank
from enfilade.filters.access_log import AccessLog
from enfilade.filters.basic_auth import BasicAuth
from enfilade.filters.body_limit import BodyLimit
from enfilade.filters.client_certificate import ClientCertificate
from enfilade.filters.compress import Compress
from enfilade.filters.cors import Cors as CorsFilter
from enfilade.filters.csrf import Csrf as CsrfFilter
from enfilade.filters.decompress import Decompress
from enfilade.filters.firewall import Firewall
from enfilade.filters.headers import Headers
from enfilade.filters.request_id import RequestId
from enfilade.filters.security_headers import SecurityHeaders as SecurityHeadersFilter
from enfilade.filters.timing import Timing
from enfilade.http.codings import TYPES
from enfilade.http.field_rules import FieldRules
from enfilade.http.origins import Origins
from enfilade.http.request import Request
from enfilade.http.security_fields import PRESETS
from enfilade.limits.bulkhead import Concurrency
from enfilade.limits.filter import UserLimit


class Place(NamedTuple):
    """A route, or, for the pattern "", what stands for a site's requests that no route takes."""

    config: Config
    name: str
    pattern: str
    parts: Parts

    @property
    def site(self) -> Site:
        return self.config.sites[self.name]

    @property
    def route(self) -> Route | None:
        return self.site.routes.get(self.pattern)


class Standing(NamedTuple):
    """A filter in front of a route, and why it stands there, or what it would do about a request."""

    filter: Filter
    why: Callable[[Request], str]

    @property
    def name(self) -> str:
        return type(self.filter).__name__


def filters_of(place: Place) -> list[Standing]:
    """All of them, in their fixed order."""
    found = [standing for source in _SOURCES for standing in source(place)]
    return sorted(found, key=lambda standing: rank(standing.filter))


def _always(why: str) -> Callable[[Request], str]:
    return lambda request: why


# -- those of one key each


def access_log(value: object, route: Route | None, parts: Parts) -> Filter:
    log = value if isinstance(value, Log) else Log()
    return AccessLog(parts.sink(log.to), log.format)


def _request_id(value: object, route: Route | None, parts: Parts) -> Filter:
    field = "x-request-id" if value is True else str(value)
    return RequestId(field, tell=route is not None and route.app is not None)


def _timing(value: object, route: Route | None, parts: Parts) -> Filter:
    return Timing()


def _headers(value: object, route: Route | None, parts: Parts) -> Filter:
    assert isinstance(value, HeaderRules)
    return Headers(FieldRules(value.set, value.add, value.remove))


def _security_headers(value: object, route: Route | None, parts: Parts) -> Filter:
    table = (
        value
        if isinstance(value, SecurityHeaders)
        else SecurityHeaders(preset="standard" if value is True else "strict")
    )
    left_out = {name.lower() for name in table.leave_out}
    fields = {name: text for name, text in PRESETS[table.preset].items() if name not in left_out}
    return SecurityHeadersFilter(fields | {name.lower(): text for name, text in table.set.items()})


def _cors(value: object, route: Route | None, parts: Parts) -> Filter:
    assert isinstance(value, Cors)
    origins = None if value.origins == ["*"] else Origins(value.origins)
    return CorsFilter(origins, value.methods, value.headers, value.expose, value.credentials, int(value.max_age))


def _csrf(value: object, route: Route | None, parts: Parts) -> Filter:
    return CsrfFilter(Origins(value.origins if isinstance(value, Csrf) else ()))


def _compress(value: object, route: Route | None, parts: Parts) -> Filter:
    said = value if isinstance(value, Compression) else Compression()
    return Compress(said.codings, said.minimum, TYPES if said.types is None else said.types)


def _decompress(value: object, route: Route | None, parts: Parts) -> Filter:
    return Decompress()


class Policy(NamedTuple):
    """A key of sites and routes that puts a filter into their chains; `default` counts where neither says anything."""

    key: str
    filter: type[Filter]
    make: Callable[[object, Route | None, Parts], Filter]
    default: object = None


POLICIES = (
    Policy("request_id", RequestId, _request_id),
    Policy("log", AccessLog, access_log, True),
    Policy("timing", Timing, _timing),
    Policy("headers", Headers, _headers),
    Policy("security_headers", SecurityHeadersFilter, _security_headers),
    Policy("cors", CorsFilter, _cors),
    Policy("csrf", CsrfFilter, _csrf),
    Policy("decompress", Decompress, _decompress),
    Policy("compress", Compress, _compress),
)


def policies_of(site: Site, route: Route | None) -> Iterator[tuple[Policy, object, str]]:
    """The policies in force, each with its value and who says so."""
    for policy in POLICIES:
        said = in_force(site, route, attrgetter(policy.key))
        value, who = (policy.default, "the default") if said.value is None else (said.value, said.who)
        if value:
            yield policy, value, who


# -- where filters come from


def _policies(place: Place) -> Iterator[Standing]:
    for policy, value, who in policies_of(place.site, place.route):
        yield Standing(policy.make(value, place.route, place.parts), _always(who))


def _authentication(place: Place) -> Iterator[Standing]:
    auth, who = auth_of(place.site, place.route)
    if auth is None:
        return
    if auth.basic is not None:
        yield Standing(BasicAuth(place.parts.users(auth.basic.file), auth.basic.realm), _always(who))
    if auth.jwt is not None:
        yield Standing(place.parts.jwt(auth.jwt), _always(who))
    if auth.forward is not None:
        upstream = place.parts.upstream(auth.forward.to, None)
        yield Standing(forward_filter(auth.forward, upstream), _always(who))


def _certificates(place: Place) -> Iterator[Standing]:
    if place.site.verifies:
        required = place.route is not None and place.route.client_certificate
        yield Standing(ClientCertificate(required=required), _always("tls.clients asks for certificates"))


def _firewall(place: Place) -> Iterator[Standing]:
    guard = place.parts.guard
    if guard is not None and place.config.server.trusted_proxies:
        yield Standing(Firewall(guard), _always("whom a trusted proxy names as the client is looked up, too"))


def _offences(place: Place) -> Iterator[Standing]:
    offences, bans = place.parts.offences, place.config.bans
    if offences is not None and bans is not None:
        counted = ", ".join(bans.on)
        yield Standing(offences, _always(f"more than {bans.limit} of {counted} in {bans.window:g} s: a ban"))


def _rules(place: Place) -> Iterator[Standing]:
    """Foretold without the header fields that a client would send."""
    own, said = place.config.rules, rules_in_force(place.site, place.route)
    if said is not None:
        who = in_force(place.site, place.route, lambda table: table.rules).who
        rules = place.parts.rules(said, own)
        yield Standing(rules, lambda request: f"{who}: {foretell(own, said, request)}")


def _limits(place: Place) -> Iterator[Standing]:
    said = limits_of(place.site, place.route)
    if said.limits:
        for limit in place.parts.limits(said, place.name, place.pattern):
            yield Standing(limit, _always(said.why(users=isinstance(limit, UserLimit))))


def _concurrency(place: Place) -> Iterator[Standing]:
    said = concurrency_of(place.site, place.route)
    if said is not None:
        bulkhead = place.parts.bulkhead(said, place.name, place.pattern)
        yield Standing(Concurrency(bulkhead, said.level), _always(said.why()))


def _bodies(place: Place) -> Iterator[Standing]:
    limit = body_limit(place.config, place.site, place.route)
    if limit:
        yield Standing(BodyLimit(limit), _always(f"bodies of at most {limit} bytes"))


def _cache(place: Place) -> Iterator[Standing]:
    rules = rules_of(place.site, place.route)
    if rules is not None:
        cache = place.parts.cache(rules, place.name, place.pattern)
        yield Standing(cache, _always(why_cached(place.site, place.route, rules)))


_SOURCES = (
    _policies, _authentication, _certificates, _firewall, _offences, _rules, _limits, _concurrency, _bodies, _cache,
)  # fmt: skip


# -- how long bodies may be


def engine_body_limit(config: Config) -> int:
    """What the engines let through: the largest limit of all; 0: none. Routes with a smaller one have a filter for it."""
    limits = [r.body_limit for s in config.sites.values() for r in s.routes.values() if r.body_limit is not None]
    limits.append(config.server.limits.body)
    return 0 if 0 in limits else max(limits)


def body_limit(config: Config, site: Site, route: Route | None) -> int:
    """The limit of `route` where it is below what the engines let through, or counts what they cannot; 0: none."""
    own = config.server.limits.body if route is None or route.body_limit is None else route.body_limit
    decoded = any(policy.filter is Decompress for policy, _, _ in policies_of(site, route))
    return 0 if own == engine_body_limit(config) and not decoded else own
