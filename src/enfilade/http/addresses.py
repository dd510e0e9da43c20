"""IP addresses as texts in one form, and the networks that are trusted."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from enfilade.http.memory import remember

UNIX = "unix"
"""Stands in a list of networks for whoever comes by a Unix socket."""
MEMORY = 4096
"""How many addresses are remembered; the memory is emptied when it is full."""


def plain_ip(text: str) -> str | None:
    """The address `text` in its one form (RFC 5952); an IPv4 address in IPv6's clothes (RFC 4291 section 2.5.5.2) without them.
    None: it is no address. A zone (`%eth0`) is none that others could use."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id is not None:
            return None
        found = found.ipv4_mapped or found
    return str(found)


def subscriber(text: str) -> str:
    """What all addresses have in common that who has the address `text` can likely choose from: of IPv6 the network of 64 bits,
    which is what one subscriber gets at least (RFC 6177); of IPv4 the address. Whatever is no address stays as it is."""
    plain = plain_ip(text.partition("%")[0])
    if plain is None or ":" not in plain:
        return plain or text
    return str(ip_network((plain, 64), strict=False))


class Networks:
    """A set of networks: `address in networks`. Made of texts such as `10.0.0.0/8`, `::1` and `unix`. Raises ValueError."""

    __slots__ = ("_memory", "_networks", "_unix")

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        self._unix = UNIX in texts
        self._networks = [network(text) for text in texts if text != UNIX]
        self._memory: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def __contains__(self, address: str) -> bool:
        """`address`: an IP address; "" stands for a Unix socket; whatever else is in no network."""
        if not address:
            return self._unix
        known = self._memory.get(address)
        if known is None:
            plain = plain_ip(address)
            known = plain is not None and any(ip_address(plain) in network for network in self._networks)
            remember(self._memory, address, known, MEMORY)
        return known


def network(text: str) -> IPv4Network | IPv6Network:
    """`text` as a network, an address as the network of it alone. Raises ValueError."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a network; write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix"'
        ) from None
    raise ValueError(f'"{text}" is an address with a mask; the network is "{wider}"')
