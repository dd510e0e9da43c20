"""Who a request comes from, once that was found out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Identity(NamedTuple):
    """What a filter that has authenticated a request keeps for those behind it: `x.keep(Identity, Identity(name, claims))`, and
    `x.kept(Identity)`, None where nobody has.

    `name`: who it is, in the words of whoever vouches for it; empty where they name nobody. `claims`: what else is vouched for,
    by name.
    """

    name: str
    claims: Mapping[str, object] = {}
