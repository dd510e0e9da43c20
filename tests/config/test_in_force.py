"""What a route says goes before what its site says, be it only `false`."""

from __future__ import annotations

import pytest

from enfilade.config.in_force import InForce, in_force
from enfilade.config.schema import Route, Site


@pytest.mark.parametrize(
    ("site", "route", "expected"),
    [
        (Site(), Route(), (None, False)),
        (Site(rules=True), None, (True, False)),
        (Site(rules=True), Route(), (True, False)),
        (Site(rules=True), Route(rules=False), (False, True)),
        (Site(), Route(rules=True), (True, True)),
    ],
)
def test_a_route_speaks_for_itself(site: Site, route: Route | None, expected: tuple[bool | None, bool]) -> None:
    assert in_force(site, route, lambda table: table.rules) == expected


def test_it_is_said_who_says_so() -> None:
    assert InForce(1, True).who == "the route says so"
    assert InForce(1, False).who == "the site says so"
