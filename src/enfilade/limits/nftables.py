"""Bans as nftables is told of them: texts for `nft -f`, each of which the kernel carries out whole or not at all.

A table of our own, and nothing else: a set for each family whose elements end by themselves, and a chain that looks at no packet
but those to where we listen. Refused is as the workers refuse: TCP by a reset, so that nobody who was banned in error waits for
a time-out, and with one packet for each that came; UDP in silence, as an answer would go to whomever the sender claims to be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address
from typing import NamedTuple

from enfilade.http.addresses import Network

Door = tuple[str, str, int]
"""Where we listen: "tcp" or "udp", an address, a port."""
LONGEST = 366 * 86400
"""Seconds that an element lasts at most; what is banned for longer is refused by the workers from then on."""
SETTLED = 1.0
"""Seconds before the end of an element from which on it may be gone already, and is not removed: the kernel refuses to remove
what is not there, and all else of the text with it."""
_SUBSCRIBER = "ffff:ffff:ffff:ffff::"
"""Of IPv6, networks of 64 bits are banned. A set of them by their first addresses is looked up faster than one of intervals."""


class BanTable(NamedTuple):
    """`never`: who is let through, whatever the sets say. `bans`, below: until when, in seconds since 1970, by address; of IPv6
    the network (limits/bans.py)."""

    doors: Sequence[Door]
    never: Iterable[Network]

    @property
    def name(self) -> str:
        """That of the first door, which no other server of this machine can have."""
        protocol, address, port = self.doors[0]
        return f"enfilade_{protocol}_{re.sub('[.:]', '_', str(ip_address(address)))}_{port}"

    @property
    def removal(self) -> str:
        """Whether it is there or not."""
        return f"table inet {self.name}\ndelete table inet {self.name}\n"

    @property
    def look(self) -> str:
        """Changes nothing; fails where somebody has removed the table."""
        return f"add chain inet {self.name} refuse\n"

    def whole(self, bans: Mapping[str, int], now: float) -> str:
        """In place of what is there."""
        rules = [
            "type filter hook input priority raw; policy accept;",
            *(f"{family} saddr {{ {', '.join(found)} }} return" for family, found in self._never().items() if found),
            "ip saddr @banned4 jump refuse",
            f"ip6 saddr & {_SUBSCRIBER} == @banned6 jump refuse",
        ]
        lines = [
            f"table inet {self.name} {{",
            "set banned4 { type ipv4_addr; flags timeout; }",
            "set banned6 { type ipv6_addr; flags timeout; }",
            "chain refuse {",
            *map(_refusal, self.doors),
            "}",
            "chain input {",
            *rules,
            "}",
            "}",
        ]
        return self.removal + "\n".join(lines) + "\n" + self._add(bans, now)

    def change(self, old: Mapping[str, int], new: Mapping[str, int], now: float) -> str:
        """Without `old`, which the kernel has, and with `new`; an address may be in both. "": nothing is to be done."""
        still = [address for address, until in old.items() if until > now + SETTLED]
        return self._elements("delete", dict.fromkeys(still, "")) + self._add(new, now)

    def _add(self, bans: Mapping[str, int], now: float) -> str:
        lasts = {address: min(math.ceil(until - now), LONGEST) for address, until in bans.items() if until > now}
        return self._elements("add", {address: f" timeout {seconds}s" for address, seconds in lasts.items()})

    def _elements(self, verb: str, suffixes: Mapping[str, str]) -> str:
        v4: list[str] = []
        v6: list[str] = []
        for address, suffix in suffixes.items():
            (v6 if ":" in address else v4).append(str(ip_address(address.removesuffix("/64"))) + suffix)
        found = {"banned4": v4, "banned6": v6}
        return "".join(
            f"{verb} element inet {self.name} {name} {{ {', '.join(those)} }}\n"
            for name, those in found.items()
            if those
        )

    def _never(self) -> dict[str, list[str]]:
        """By family, none within another: nft refuses that."""
        v4 = (one for one in self.never if isinstance(one, IPv4Network))
        v6 = (one for one in self.never if isinstance(one, IPv6Network))
        return {"ip": [*map(str, collapse_addresses(v4))], "ip6": [*map(str, collapse_addresses(v6))]}


def _refusal(door: Door) -> str:
    protocol, text, port = door
    address = ip_address(text)
    if address.is_unspecified:
        where = f"meta nfproto ipv{address.version}"
    else:
        where = f"{'ip' if address.version == 4 else 'ip6'} daddr {address}"
    return f"{where} {protocol} dport {port} counter {'reject with tcp reset' if protocol == 'tcp' else 'drop'}"
