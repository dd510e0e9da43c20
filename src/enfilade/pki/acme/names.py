"""For which names certificates may be had."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from enfilade.pki.acme.problem import Problem, malformed

_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
MOST = 100
"""Names of one certificate."""


class Identifier(msgspec.Struct, frozen=True):
    """A name as ACME has it: `type` is "dns" (RFC 8555) or "ip" (RFC 8738)."""

    type: str
    value: str


class Names:
    """`entries`: host names, "*.NAME" for all beneath NAME, networks and addresses. Raises ValueError for anything else."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._hosts: set[str] = set()
        self._above: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            self._take(entry)

    def _take(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry))
            return
        except ValueError:
            pass
        name = entry.removeprefix("*.")
        if not (_HOST.fullmatch(name) and len(name) < 254):
            raise ValueError(f'"{entry}" is neither a host name, nor "*.NAME", nor a network; names are in lower case')
        (self._above if entry.startswith("*.") else self._hosts).add(name)

    def __contains__(self, identifier: Identifier) -> bool:
        value = identifier.value
        if identifier.type == "ip":
            address = ip_address(value)
            return any(address in network for network in self._networks)
        labels = value.split(".")
        return value in self._hosts or any(".".join(labels[i:]) in self._above for i in range(1, len(labels)))

    def check(self, said: object) -> list[Identifier]:
        """What somebody asks for, each once. Raises Problem where that is none of ours."""
        if not isinstance(said, list) or not 0 < len(said) <= MOST:
            raise malformed(f"an order has a list of 1 to {MOST} identifiers")
        found = list(dict.fromkeys(map(_identifier, said)))
        for one in found:
            if one not in self:
                raise Problem("rejectedIdentifier", f"certificates for {one.value} are not given here", 403)
        return found


def _identifier(said: object) -> Identifier:
    """One of an order, in the form in which names are compared. Raises Problem."""
    if not isinstance(said, dict) or not isinstance(said.get("value"), str):
        raise malformed("an identifier has type and value")
    kind, value = said.get("type"), said["value"].lower()
    if kind == "ip":
        try:
            return Identifier("ip", str(ip_address(value)))
        except ValueError:
            raise malformed("this is not an IP address") from None
    if kind != "dns":
        raise Problem("unsupportedIdentifier", "identifiers are of type dns or ip")
    if value.startswith("*."):
        raise Problem("rejectedIdentifier", "a wildcard needs the challenge dns-01, which is not offered here", 403)
    if not (_HOST.fullmatch(value) and len(value) < 254):
        raise malformed("this is not a host name")
    return Identifier("dns", value)
