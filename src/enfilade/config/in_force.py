"""Which of two tables is heard: what a route says goes before what its site says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from enfilade.config.schema import Policies, Route, Site

T = TypeVar("T")


class InForce(NamedTuple, Generic[T]):
    """`value`: None where neither says anything. `own`: the route says so, not its site."""

    value: T
    own: bool

    @property
    def who(self) -> str:
        return who_says(self.own)


def who_says(own: bool) -> str:
    return "the route says so" if own else "the site says so"


def in_force(site: Site, route: Route | None, key: Callable[[Policies], T]) -> InForce[T]:
    """What holds of `key` for `route`, or (None) for the site's requests that no route takes."""
    own = None if route is None else key(route)
    return InForce(key(site), False) if own is None else InForce(own, True)
