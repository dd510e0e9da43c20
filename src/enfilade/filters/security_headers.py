"""Header fields that tell browsers to be careful, where the answer has none of the same name."""

from __future__ import annotations

from collections.abc import Mapping

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.field_texts import field_name, field_value
from enfilade.http.fields import Fields, Pair
from enfilade.http.memory import remember
from enfilade.http.security_fields import HSTS

MEMORY = 1024
"""How many handlers' Fields are remembered, for each scheme, with what became of them."""


class SecurityHeaders(Filter):
    """Adds each of `fields` that the answer does not have. ValueError for names and values that cannot be sent.

    Strict-Transport-Security goes out over TLS only (RFC 6797 section 7.2), as the client speaks it: trusted proxies say so.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        pairs = tuple([(field_name(name), field_value(value)) for name, value in fields.items()])
        self._over_tls = Defaults(pairs)
        self._plain = Defaults(tuple([pair for pair in pairs if pair[0] != HSTS.encode()]))

    def on_response(self, x: Exchange, r: Response) -> Response:
        defaults = self._over_tls if x.request.scheme == "https" else self._plain
        return r.with_fields(defaults.apply(r.fields))


class Defaults:
    """`pairs`, for answers that do not say otherwise."""

    def __init__(self, pairs: tuple[Pair, ...]) -> None:
        self._pairs = pairs
        # By identity, as an equal Fields costs its length to find; the first of the two keeps its id from being used again.
        self._memory: dict[int, tuple[Fields, Fields]] = {}

    def apply(self, fields: Fields) -> Fields:
        known = self._memory.get(id(fields))
        if known is not None:
            return known[1]
        names = fields.names
        made = fields.adding(*[pair for pair in self._pairs if pair[0] not in names])
        remember(self._memory, id(fields), (fields, made), MEMORY)
        return made
