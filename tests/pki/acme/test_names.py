"""For which names certificates may be had."""

from __future__ import annotations

import pytest

from enfilade.pki.acme.names import Identifier, Names

NAMES = Names(["db.internal", "*.apps.internal", "10.0.0.0/8", "fd00::/8", "192.0.2.1"])


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("db.internal", "dns", True),
        ("x.db.internal", "dns", False),
        ("a.apps.internal", "dns", True),
        ("a.b.apps.internal", "dns", True),
        ("apps.internal", "dns", False),
        ("xapps.internal", "dns", False),
        ("apps.internal.example", "dns", False),
        ("10.255.0.1", "ip", True),
        ("11.0.0.1", "ip", False),
        ("fd12::1", "ip", True),
        ("::ffff:10.0.0.1", "ip", False),
        ("192.0.2.1", "ip", True),
        ("192.0.2.2", "ip", False),
    ],
)
def test_what_is_among_them(name: str, kind: str, found: bool) -> None:
    assert (Identifier(kind, name) in NAMES) is found


@pytest.mark.parametrize(
    "entry", ["", "*", "a.*", "*.*.a", "A.internal", "a b", "10.0.0.1/8", "http://a", "a:80", ".a", "a."]
)
def test_what_is_no_name(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a host name"):
        Names([entry])


def test_nobody_is_among_none() -> None:
    assert Identifier("dns", "a.internal") not in Names([])
