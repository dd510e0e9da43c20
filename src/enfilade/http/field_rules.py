"""What a configuration does to header fields: removed, set, added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from enfilade.http.field_texts import field_name, field_value
from enfilade.http.fields import Fields, Pair


class FieldRules:
    """First drops the fields called `remove`, then puts those of `set` in place of all of the same name, then adds those of
    `add`. ValueError for names and values that cannot be sent."""

    __slots__ = ("_add", "_remove", "_set")

    def __init__(self, set: Mapping[str, str] = {}, add: Mapping[str, str] = {}, remove: Sequence[str] = ()) -> None:
        self._set, self._add = _pairs(set), _pairs(add)
        self._remove = tuple([field_name(name) for name in remove])

    def apply(self, fields: Fields) -> Fields:
        return fields.without(*self._remove).setting(*self._set).adding(*self._add)


def _pairs(rules: Mapping[str, str]) -> tuple[Pair, ...]:
    return tuple([(field_name(name), field_value(value)) for name, value in rules.items()])
