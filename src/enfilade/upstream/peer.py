"""One peer: what balancers and health know of it."""

from __future__ import annotations

from collections.abc import Sequence

from enfilade.upstream.pool import Pool
from enfilade.upstream.private import PrivatePools


class Peer:
    """One server of an upstream, as this worker sees it.

    - `name`: its address; what consistent hashing and sticky cookies know it by.
    - `weight`: how much it gets in comparison to others. `share`: 0 to 1, the part of it while it starts slowly.
    - `tier`: peers of a higher one get something only where no lower one has a peer that can be used.
    - `limit`: exchanges in flight at most, over all workers; 0: any number.
    - `in_flight`: exchanges of this worker. `failures`: how many went against the peer so far. `latency`: seconds, averaged
      (EWMA); 0 until it has answered.
    - `authority`, `tls`, `http2`: what requests call it, and what it speaks.
    - `held`: it has not taken up what it was sent: it gets nothing more until it has.
    - `up`: whether health lets it be used at all. `trial`: for one exchange only: who takes it makes the peer down again.
    - `turn`: belongs to the balancer, which remembers here how far its turn has come.
    - `pool`: this worker's connections to it; `upgrades`: those that upgrades are asked for on.
    """

    __slots__ = (
        "_cells", "_others", "_requests", "_row", "authority", "failures", "held", "http2", "in_flight", "latency", "limit",
        "name", "pool", "share", "tier", "tls", "trial", "turn", "up", "upgrades", "weight",
    )  # fmt: skip

    def __init__(self, name: str, *, weight: int = 1, tier: int = 0, limit: int = 0) -> None:
        self.name = name
        self.weight = weight
        self.tier = tier
        self.limit = limit
        self.share = 1.0
        self.in_flight = 0
        self.failures = 0
        self.latency = 0.0
        self.authority = ""
        self.tls = False
        self.http2 = False
        self.held = False
        self.up = True
        self.trial = False
        self.turn = 0.0
        self.pool: Pool | PrivatePools
        self.upgrades: Pool | PrivatePools
        self._cells: memoryview[int] | None = None
        self._others: Sequence[memoryview[int]] = ()
        self._row = self._requests = 0

    def share_counts(
        self, cells: memoryview[int], in_flight: int, requests: int, others: Sequence[memoryview[int]]
    ) -> None:
        """Count in these rows of `cells` too, as `others` (the same list for good, kept up to date by its owner) do in theirs."""
        self._cells, self._row, self._requests, self._others = cells, in_flight, requests, others

    def withdraw_counts(self) -> None:
        """Leave these rows to another peer: what is in flight still counts no more."""
        if self._cells is not None:
            self._cells[self._row] -= self.in_flight
        self._cells, self._others = None, ()

    @property
    def load(self) -> int:
        """Exchanges in flight over all workers."""
        load = self.in_flight
        for cells in self._others:
            load += cells[self._row]
        return load

    @property
    def full(self) -> bool:
        return self.held or 0 < self.limit <= self.load

    @property
    def has_others(self) -> bool:
        """Whether other workers may fill it, and make room."""
        return self.limit > 0 and len(self._others) > 0

    def took(self) -> None:
        """An exchange more is in flight."""
        self.in_flight += 1
        if self.trial:
            self.up = False
        if self._cells is not None:
            self._cells[self._row] += 1
            self._cells[self._requests] += 1

    def let_go(self) -> None:
        """An exchange is over."""
        self.in_flight -= 1
        if self._cells is not None:
            self._cells[self._row] -= 1

    def __repr__(self) -> str:
        return f"<Peer {self.name} {self.in_flight} in flight{'' if self.up else ', down'}>"
