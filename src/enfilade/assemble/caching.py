"""Which routes cache, and by which rules: what a server needs to know where nothing is cached."""

from __future__ import annotations

from collections.abc import Iterator

from enfilade.config.in_force import in_force
from enfilade.config.schema import CacheRules, Config, Route, Site


def caching_routes(config: Config) -> Iterator[tuple[str, str]]:
    """Site and pattern of each route that caches."""
    for name, site in config.sites.items():
        for pattern, route in site.routes.items():
            if rules_of(site, route) is not None:
                yield name, pattern


def rules_of(site: Site, route: Route | None) -> CacheRules | None:
    """What is cached of this route, and how. A site speaks for what its applications and upstreams answer: a file of our own
    is as quick as any cache."""
    if route is None:
        return None
    said, own = in_force(site, route, lambda table: table.cache)
    if said is None or said is False or not (own or route.app is not None or route.proxy is not None):
        return None
    if isinstance(said, CacheRules):
        return said
    return CacheRules() if said is True else CacheRules(ttl=said)


def why_cached(site: Site, route: Route | None, rules: CacheRules) -> str:
    """How long answers are fresh and what they are found by, and who says so."""
    who = in_force(site, route, lambda table: table.cache).who
    fresh = "as answers say" if rules.ttl is None else f"as answers say, or for {rules.ttl:g} s"
    query = "the query" if rules.query is None else f"of the query {', '.join(rules.query) or 'nothing'}"
    if rules.ignore_query:
        query += f" without {', '.join(rules.ignore_query)}"
    key = ", ".join(["scheme", "host", "path", query, *rules.key])
    return f"{who}: fresh {fresh}; found by {key}"
