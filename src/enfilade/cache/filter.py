"""The cache as a filter: what it does is around the handler, so that everybody in front of it sees its answers too."""

from __future__ import annotations

from enfilade.cache.claims import Claims
from enfilade.cache.front import Front, Meter
from enfilade.cache.keeper import Keeper
from enfilade.cache.key import KeyRules
from enfilade.exchange.exchange import Filter, Handler


class Cache(Filter):
    """RFC 9111 in front of a handler. `keeper`: what may be stored, and where; `keys`: by what it is found; `claims`: what
    workers know of each other's fetches."""

    def __init__(self, keeper: Keeper, keys: KeyRules, meter: Meter, claims: Claims) -> None:
        self.keeper = keeper
        self.keys = keys
        self._meter = meter
        self._claims = claims

    def around(self, handler: Handler) -> Handler:
        """See `Filter.around`."""
        return Front(handler, self.keeper, self.keys, self._meter, self._claims)
