"""Who belongs to an upstream: what discovery wants, against whom there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from enfilade.upstream.addresses import Address, Wanted
from enfilade.upstream.peer import Peer


class Change(NamedTuple):
    """What a new list of peers comes to. `joined` and `kept` are in the order of that list, `left` in that of the old one;
    `addresses` has everybody who is not in `left`, by name."""

    joined: list[Peer]
    left: list[Peer]
    kept: list[Peer]
    addresses: dict[str, Address]
    peers: dict[str, Peer]


def merge(old: Mapping[str, Peer], wanted: Iterable[Wanted]) -> Change:
    """Make the peers of `old` (by name) those that are `wanted`. Who stays is the same object with all that is known of it, and
    gets its new weight, tier and limit. Of two with one name, the first counts. The order is that of `wanted`, so that all
    workers have the same, whatever they have seen before."""
    joined, kept = [], []
    addresses: dict[str, Address] = {}
    peers: dict[str, Peer] = {}
    for address, weight, tier, limit in wanted:
        name = address.name
        if name in peers:
            continue
        peer = old.get(name)
        if peer is None:
            peer = Peer(name, weight=weight, tier=tier, limit=limit)
            joined.append(peer)
        else:
            peer.weight, peer.tier, peer.limit = weight, tier, limit
            kept.append(peer)
        peers[name] = peer
        addresses[name] = address
    left = [peer for name, peer in old.items() if name not in peers]
    return Change(joined, left, kept, addresses, peers)
