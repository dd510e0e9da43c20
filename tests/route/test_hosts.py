"""Hosts: exact name, wildcard, default, or nobody (FAILURES 8: 421)."""

from __future__ import annotations

import pytest

from enfilade.route.hosts import compile_hosts
from enfilade.route.patterns import RouteError

HOSTS = compile_hosts({"Example.com": 1, "*.example.com": 2, "www.example.com": 3, "[::1]": 4, "bücher.example": 5})


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("example.com", 1),
        ("example.com.", 1),
        ("a.example.com", 2),
        ("www.example.com", 3),
        ("::1", 4),
        ("xn--bcher-kva.example", 5),
        ("a.b.example.com", None),
        ("badexample.com", None),
        ("", None),
        (".", None),
    ],
)
def test_exact_then_wildcard_of_one_label_then_nobody(host: str, site: int | None) -> None:
    assert HOSTS.find(host) == site


def test_the_default_site_takes_the_rest_also_without_a_host() -> None:
    hosts = compile_hosts({"*": 0, "a.example": 1})
    assert [hosts.find(h) for h in ("a.example", "b.example", "")] == [1, 0, 0]


@pytest.mark.parametrize(
    "name", ["", "a b", "https://a.example", "a.example:80", "a*.example", "*.*.example", "a..b", "-a", "a/b"]
)
def test_names_that_no_request_can_have_are_errors(name: str) -> None:
    with pytest.raises(RouteError, match="not a host name"):
        compile_hosts({name: 1})


def test_a_name_twice_is_an_error() -> None:
    with pytest.raises(RouteError, match="twice"):
        compile_hosts({"a.example": 1, "A.example.": 2})
