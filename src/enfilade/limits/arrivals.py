"""How many connections may come: open at once from one address, and new ones in a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from enfilade.http.addresses import Networks, subscriber
from enfilade.http.memory import remember
from enfilade.http.reasons import Reason, reason
from enfilade.limits.bucket import Bucket
from enfilade.limits.sketch import Sketch
from enfilade.limits.table import Buckets

MEMORY = 4096
"""How many addresses are remembered with what they are counted as."""
ADDRESS_CONNECTIONS = reason("address_connection_limit")
ADDRESS_RATE = reason("address_connection_rate")
TOTAL_RATE = reason("connection_rate")

Leave = Callable[[], None]
"""What a connection is to call once when it is over."""
_UNCOUNTED: tuple[int, ...] = ()


class Rates(NamedTuple):
    """How many new ones: of one address, and of all together; None: any number. The buckets lie in `table`."""

    address: Bucket | None
    total: Bucket | None
    table: Buckets


class Arrivals:
    """Counts connections, over all workers. `most`: those of one address at once, 0: any number; `sketch` counts them. An address
    of IPv6 counts as its /64. Who comes by a Unix socket, or is in `uncounted`, is not counted. `clock`: monotonic, in
    nanoseconds, the same for all workers."""

    def __init__(
        self,
        most: int,
        sketch: Sketch | None,
        rates: Rates | None,
        uncounted: Networks,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._most = most
        self._sketch = sketch
        self._rates = rates
        self._uncounted = uncounted
        self._clock = clock
        self._hashes: dict[str, int] = {}

    def come(self, client: str) -> Reason | Leave | None:
        """A connection from the address `client` begins: why it may not; or what is to be called when it is over, if anything."""
        if not client or client in self._uncounted:
            return None
        whose = self._hash(client)
        sketch = self._sketch
        places = _UNCOUNTED if sketch is None else sketch.places(whose)
        if sketch is not None and sketch.count(places) >= self._most:
            return ADDRESS_CONNECTIONS
        if self._rates is not None:
            why = _take(self._rates, whose, self._clock())
            if why is not None:
                return why
        if sketch is None:
            return None
        sketch.add(places, 1)
        return partial(sketch.add, places, -1)

    def _hash(self, client: str) -> int:
        """As workers are forked from one process, they have one secret of `hash` in common."""
        known = self._hashes.get(client)
        if known is None:
            known = hash(("connections", subscriber(client)))
            remember(self._hashes, client, known, MEMORY)
        return known


def _take(rates: Rates, whose: int, now: int) -> Reason | None:
    """Count one that both rates let through; one that is refused counts with neither."""
    table = rates.table
    places = []
    for key, bucket, why in ((whose, rates.address, ADDRESS_RATE), (_TOTAL, rates.total, TOTAL_RATE)):
        if bucket is not None:
            place, free, _ = table.look(bucket, table.spot(key), now)
            if not free:
                return why
            places.append(place)
    for place in places:
        table.count(place)
    return None


_TOTAL = hash(("connections",))
