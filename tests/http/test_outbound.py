"""Whom we may connect to: the public Internet, in whatever clothes an address comes."""

from __future__ import annotations

import pytest

from enfilade.http.addresses import Networks
from enfilade.http.outbound import Public, end_address

PUBLIC = ["1.1.1.1", "192.0.1.1", "172.32.0.1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2606:4700::1111", "2a00::1"]
NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.8.9.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::a00:1", "2002:a00:1::1", "2001::1", "2001:db8::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "", "localhost", "unix",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet(address: str) -> None:
    assert address in Public(Networks(()))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_whatever_else_is_not(address: str) -> None:
    assert address not in Public(Networks(()))


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("fd00::/8", "fd00:ec2::254"),
    ],
)
def test_besides_whom_somebody_allows(network: str, address: str) -> None:
    assert address in Public(Networks([network]))
    assert "192.168.0.1" not in Public(Networks(["10.0.0.0/8"]))


def test_where_a_connection_ends() -> None:
    texts = ["64:ff9b::a9fe:a9fe", "::ffff:10.0.0.1", "10.0.0.1", "fe80::1%eth0", "peer.example"]
    assert [end_address(text) for text in texts] == [
        "169.254.169.254", "10.0.0.1", "10.0.0.1", "fe80::1%eth0", "peer.example"
    ]  # fmt: skip
