"""Whom we may connect to: asked of each address at the moment of connecting, so that a name cannot mean one address when it is
looked at, and another when it is used."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network

from enfilade.http.addresses import Addresses, Networks, plain_address, plain_ip

# Global unicast, less IANA's registries of special-purpose addresses (RFC 6890), multicast, and those addresses of IPv6 that
# lead to any of IPv4 (6to4, Teredo).
_PUBLIC = Networks(
    ("0.0.0.0/0", "2000::/3"),
    (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ),
)  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")
"""Each of its addresses stands for the one of IPv4 in its last 32 bits (RFC 6052)."""


class Reachable:
    """Who is in `those`, whatever address stands for theirs: `address in reachable`. A name is nobody: it has to be looked up
    first."""

    def __init__(self, those: Addresses) -> None:
        self._those = those

    def __contains__(self, address: str) -> bool:
        plain = plain_ip(end_address(address))
        return plain is not None and plain in self._those


class Public:
    """The public Internet, and who is in `besides`: `address in public`."""

    def __init__(self, besides: Addresses) -> None:
        self._besides = besides

    def __contains__(self, address: str) -> bool:
        plain = end_address(address)
        return plain in _PUBLIC or plain in self._besides


def end_address(text: str) -> str:
    """The address that a connection to `text` ends at: one of IPv6 that stands for one of IPv4 is that. What is no address stays
    as it is."""
    try:
        found = plain_address(text)
    except ValueError:
        return text
    return str(IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else found)
