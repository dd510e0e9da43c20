"""Fields by which we tell whoever answers something about a request: what a client does about them is undone (FAILURES 17)."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.http.fields import Fields
from enfilade.http.grammar import list_members


class Told:
    """The fields called `names`, in lower case."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names = frozenset(names)

    def clear(self, fields: Fields) -> Fields:
        """`fields` without them, and without those that have an underscore for a hyphen: many applications take one for the
        other. Nor does Connection name them any more, or a proxy would take off what we are about to say (RFC 9110 section
        7.6.1). The same object where there is nothing to do."""
        names = self._names
        claimed = [
            name for name in fields.names if name in names or (b"_" in name and name.replace(b"_", b"-") in names)
        ]
        if claimed:
            fields = fields.without(*claimed)
        connection = fields.get(b"connection")
        if connection is not None and not names.isdisjoint(members := list_members(connection)):
            fields = fields.setting((b"connection", b", ".join([member for member in members if member not in names])))
        return fields
