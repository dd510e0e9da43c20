"""Which hosts can be somebody's on the public Internet."""

from __future__ import annotations

import pytest

from enfilade.http.public_names import is_public


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "a.b.example.com",
        "*.example.com",
        "example.com.",
        "xn--mller-kva.de",
        "8.8.8.8",
        "2606:4700::1",
        "[2606:4700::1]",
    ],
)
def test_these_are(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "host",
    ["*", "localhost", "app.localhost", "nas", "nas.local", "db.internal", "x.test", "router.home.arpa", "x.onion", "x.example",
     "x.invalid", "10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "*.local", "192.0.2.1", "100.64.0.1"],
)  # fmt: skip
def test_these_are_not(host: str) -> None:
    assert not is_public(host)
