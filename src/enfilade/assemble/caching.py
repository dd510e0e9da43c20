"""Which routes cache, and the filter of each that does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from enfilade.cache.decide import Rules
from enfilade.cache.filter import Cache
from enfilade.cache.front import Meter
from enfilade.cache.keeper import Keeper
from enfilade.cache.key import KeyRules
from enfilade.config.schema import CacheRules, Config, Route, Site
from enfilade.http.cookies import cookie_reader
from enfilade.http.field_texts import field_name
from enfilade.http.fields import Fields

if TYPE_CHECKING:
    from enfilade.assemble.stores import Stores


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
    said = route.cache
    if said is None and (route.app is not None or route.proxy is not None):
        said = site.cache
    if said is None or said is False:
        return None
    if isinstance(said, CacheRules):
        return said
    return CacheRules() if said is True else CacheRules(ttl=said)


def cache_filter(rules: CacheRules, stores: Stores, meter: Meter) -> Cache:
    """ValueError for a part of requests that there is not."""
    parts = tuple(_part(text) for text in rules.key)
    keyed = rules.ignore_cookies or any(text.split()[:1] == ["cookie"] for text in rules.key)
    keeper = Keeper(
        stores.tiers,
        stores.purges,
        Rules(ttl=rules.ttl, negative=rules.negative, grace=rules.grace, refresh=rules.refresh, cookies_keyed=keyed),
        clock=time.time,
        dice=random.random,
        jitter=rules.jitter,
        min_uses=rules.min_uses,
    )
    query = None if rules.query is None else tuple(rules.query)
    return Cache(keeper, KeyRules(query, tuple(rules.ignore_query), rules.sort_query, parts), meter, stores.claims)


def _part(text: str) -> Callable[[Fields], bytes | None]:
    """What reads `header NAME` or `cookie NAME`."""
    kind, *names = text.split() or [""]
    if kind == "header" and len(names) == 1:
        name = field_name(names[0])
        return lambda fields: fields.get(name)
    if kind == "cookie" and len(names) == 1:
        return cookie_reader(names[0])
    raise ValueError(f'"{text}" is no part of a key: write "header NAME" or "cookie NAME"')
