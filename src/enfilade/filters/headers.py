"""Header fields of the answer: removed, set, added, as the configuration says."""

from __future__ import annotations

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.field_rules import FieldRules
from enfilade.http.fields import Fields
from enfilade.http.memory import remember

MEMORY = 1024
"""How many handlers' Fields are remembered with what became of them."""


class Headers(Filter):
    """Applies `rules` to every answer."""

    def __init__(self, rules: FieldRules) -> None:
        self._rules = rules
        # By identity, as an equal Fields costs its length to find; the first of the two keeps its id from being used again.
        self._memory: dict[int, tuple[Fields, Fields]] = {}

    def on_response(self, x: Exchange, r: Response) -> Response:
        fields = r.fields
        known = self._memory.get(id(fields))
        return Response(r.status, self._apply(fields) if known is None else known[1], r.body, r.reason)

    def _apply(self, fields: Fields) -> Fields:
        changed = self._rules.apply(fields)
        remember(self._memory, id(fields), (fields, changed), MEMORY)
        return changed
