"""Fields by which whoever answers is told who asks: what the client says there by itself is removed (FAILURES 17)."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.exchange.exchange import Exchange


class Told:
    """The fields called `names`, in lower case."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names = frozenset(names)

    def strip(self, x: Exchange) -> None:
        """Take them off the request, with those that have an underscore for a hyphen: many applications take one
        for the other."""
        names = x.request.fields.names
        claimed = [
            name for name in names if name in self._names or (b"_" in name and name.replace(b"_", b"-") in self._names)
        ]
        if claimed:
            x.request = x.request.with_fields(x.request.fields.without(*claimed))
