"""Header fields of the answer: removed, set, added, as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.field_texts import field_name, field_value
from enfilade.http.fields import Fields, Pair
from enfilade.http.memory import remember

MEMORY = 1024
"""How many handlers' Fields are remembered with what became of them."""


def _pairs(rules: Mapping[str, str]) -> tuple[Pair, ...]:
    return tuple([(field_name(name), field_value(value)) for name, value in rules.items()])


class Headers(Filter):
    """First drops the fields called `remove`, then puts those of `set` in place of all of the same name, then adds those of
    `add`. ValueError for names and values that cannot be sent."""

    def __init__(self, set: Mapping[str, str] = {}, add: Mapping[str, str] = {}, remove: Sequence[str] = ()) -> None:
        self._set, self._add = _pairs(set), _pairs(add)
        self._remove = tuple([field_name(name) for name in remove])
        # By identity, as an equal Fields costs its length to find; the first of the two keeps its id from being used again.
        self._memory: dict[int, tuple[Fields, Fields]] = {}

    def on_response(self, x: Exchange, r: Response) -> Response:
        fields = r.fields
        known = self._memory.get(id(fields))
        return Response(r.status, self._apply(fields) if known is None else known[1], r.body, r.reason)

    def _apply(self, fields: Fields) -> Fields:
        changed = fields.without(*self._remove).setting(*self._set).adding(*self._add)
        remember(self._memory, id(fields), (fields, changed), MEMORY)
        return changed
