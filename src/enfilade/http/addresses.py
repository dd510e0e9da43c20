"""IP addresses as texts in one form, and sets of them: the networks that are trusted, or let in."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Protocol, Union

from enfilade.http.memory import remember

ANYWHERE = ("0.0.0.0/0", "::/0")
"""The networks of all addresses."""
UNIX = "unix"
"""Stands in a list of networks for whoever comes by a Unix socket."""
Network = Union[IPv4Network, IPv6Network, str]
"""The only text is UNIX."""
MEMORY = 4096
"""How many addresses are remembered; the memory is emptied when it is full."""
_LOW = (1 << 64) - 1
_MAPPED = 96
"""Bits in front of an IPv4 address in IPv6's clothes (RFC 4291 section 2.5.5.2)."""


def plain_ip(text: str) -> str | None:
    """The address `text` in its one form (RFC 5952); an IPv4 address in IPv6's clothes without them. None: it is no address.
    A zone (`%eth0`) is none that others could use."""
    try:
        return None if "%" in text else str(plain_address(text))
    except ValueError:
        return None


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """The address `text`; an IPv4 address in IPv6's clothes without them. Raises ValueError."""
    if ":" not in text:
        return IPv4Address(text)
    found = IPv6Address(text)
    return found.ipv4_mapped or found


class Addresses(Protocol):
    """A set of addresses that may change."""

    def __contains__(self, address: str) -> bool: ...


def subscriber(text: str) -> str:
    """What all addresses have in common that who has the address `text` can likely choose from: of IPv6 the network of 64 bits,
    which is what one subscriber gets at least (RFC 6177); of IPv4 the address. Whatever is no address stays as it is."""
    plain = plain_ip(text.partition("%")[0])
    if plain is None or ":" not in plain:
        return plain or text
    return str(ip_network((plain, 64), strict=False))


class Networks:
    """A set of addresses: `address in networks`. In it is who is in one of `those`, but not who is in one of `without`: of
    several networks the most specific decides, and between two that are the same, `those`. `rest`: whether all others are in it.

    Made of networks, or texts such as `10.0.0.0/8`, `::1` and `unix`. Raises ValueError. However many they are, it is kept as the
    borders at which the sorted addresses change sides: at most two a network, of 4 bytes (IPv4) or 16 (IPv6).
    """

    __slots__ = ("_high", "_low", "_memory", "_rest", "_unix", "_v4")

    def __init__(
        self, those: Iterable[str | Network], without: Iterable[str | Network] = (), *, rest: bool = False
    ) -> None:
        sides: dict[Network, bool] = {_parsed(one): False for one in without}
        sides.update((_parsed(one), True) for one in those)
        self._rest = rest
        self._unix = sides.pop(UNIX, rest)
        self._v4 = array("I", _borders(sides, IPv4Network, rest))
        v6 = _borders(sides, IPv6Network, rest)
        self._high = array("Q", [border >> 64 for border in v6])
        self._low = array("Q", [border & _LOW for border in v6])
        self._memory: dict[str, bool] = {}

    def __bool__(self) -> bool:
        """Whether anybody can be in it."""
        return self._unix or self._rest or bool(self._v4 or self._high)

    def __contains__(self, address: str) -> bool:
        """`address`: an IP address, its zone left out; "" stands for a Unix socket; whatever else is in no network."""
        if not address:
            return self._unix
        known = self._memory.get(address)
        if known is None:
            known = self._look_up(address)
            remember(self._memory, address, known, MEMORY)
        return known

    def _look_up(self, text: str) -> bool:
        try:
            address = plain_address(text.partition("%")[0])
        except ValueError:
            return self._rest
        number = int(address)
        if isinstance(address, IPv4Address):
            before = bisect_right(self._v4, number)
        else:
            high = number >> 64
            first = bisect_left(self._high, high)
            last = bisect_right(self._high, high, first)
            before = bisect_right(self._low, number & _LOW, first, last)
        return self._rest is (before % 2 == 0)


def _borders(sides: dict[Network, bool], family: type[IPv4Network | IPv6Network], rest: bool) -> list[int]:
    """The sorted numbers of addresses of `family` from which on the other side holds; below the first it is `rest`.

    Networks lie within each other or apart, so those that are open at an address are a stack, the most specific on top."""
    borders: list[int] = []
    now = rest
    opened: list[tuple[int, bool]] = []

    def turn(at: int, side: bool) -> None:
        nonlocal now
        if side is not now:
            now = side
            if borders and borders[-1] == at:
                borders.pop()
            else:
                borders.append(at)

    def close() -> None:
        end, _ = opened.pop()
        turn(end, opened[-1][1] if opened else rest)

    ranges = [(*_range(one), side) for one, side in sides.items() if isinstance(one, family)]
    for first, end, side in sorted(ranges, key=lambda found: (found[0], -found[1])):
        while opened and opened[-1][0] <= first:
            close()
        opened.append((end, side))
        turn(first, side)
    while opened:
        close()
    beyond = 1 << (32 if family is IPv4Network else 128)
    return borders[:-1] if borders and borders[-1] == beyond else borders


def _range(one: IPv4Network | IPv6Network) -> tuple[int, int]:
    """The number of the first address, and of the one behind the last."""
    first = int(one.network_address)
    return first, first + (1 << (one.max_prefixlen - one.prefixlen))


def _parsed(one: str | Network) -> Network:
    return network(one) if isinstance(one, str) else one


def network(text: str) -> Network:
    """`text` as a network, an address as the network of it alone, UNIX as it is; one of IPv4 in IPv6's clothes without them.
    Raises ValueError."""
    if text == UNIX:
        return UNIX
    try:
        return _plain(ip_network(text.replace("%", " ")))  # a zone is none that others could use
    except ValueError:
        pass
    try:
        wider = ip_network(text.replace("%", " "), strict=False)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a network; write "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" or "unix"'
        ) from None
    raise ValueError(f'"{text}" is an address with a mask; the network is "{wider}"')


def _plain(found: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), found.prefixlen - _MAPPED))
    return found
