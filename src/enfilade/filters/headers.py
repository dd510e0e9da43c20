"""Header fields of the answer: removed, set, added, as the configuration says."""

from __future__ import annotations

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.filters.remade import Remade
from enfilade.http.field_rules import FieldRules


class Headers(Filter):
    """Applies `rules` to every answer."""

    def __init__(self, rules: FieldRules) -> None:
        self._remade: Remade[None] = Remade(lambda fields, _: rules.apply(fields))

    def on_response(self, x: Exchange, r: Response) -> Response:
        return self._remade.of(r, None)
