"""Header fields that tell browsers to be careful, where the answer has none of the same name."""

from __future__ import annotations

from collections.abc import Mapping

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.filters.remade import Remade
from enfilade.http.field_texts import field_name, field_value
from enfilade.http.fields import Fields, Pair
from enfilade.http.security_fields import HSTS


class SecurityHeaders(Filter):
    """Adds each of `fields` that the answer does not have. ValueError for names and values that cannot be sent.

    Strict-Transport-Security goes out over TLS only (RFC 6797 section 7.2), as the client speaks it: trusted proxies say so.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        pairs = tuple([(field_name(name), field_value(value)) for name, value in fields.items()])
        plain = tuple([pair for pair in pairs if pair[0] != HSTS.encode()])
        self._remade: Remade[bool] = Remade(lambda fields, tls: _with_defaults(fields, pairs if tls else plain))

    def on_response(self, x: Exchange, r: Response) -> Response:
        return self._remade.of(r, x.request.scheme == "https")


def _with_defaults(fields: Fields, pairs: tuple[Pair, ...]) -> Fields:
    names = fields.names
    return fields.adding(*[pair for pair in pairs if pair[0] not in names])
