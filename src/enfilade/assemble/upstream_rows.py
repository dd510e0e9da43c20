"""The rows of the board about one upstream: what each worker counts of its peers, and the sums.

Peers come and go while workers run, so a peer has no rows by name, but a slot. In its own column each worker marks whose counts
stand in a slot, and begins them anew when it gives the slot to another peer. Readers go by these marks: no peer is shown with
another one's numbers, even while workers disagree who is where, and one that has gone is not shown at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple, TypedDict
from zlib import crc32

from enfilade.process.board import Board
from enfilade.upstream.health import ROWS as HEALTH_ROWS
from enfilade.upstream.health import Condition
from enfilade.upstream.peer import Peer
from enfilade.upstream.upstream import Upstream

SLOTS = 64
"""Peers of an upstream with rows of their own. Of those beyond, each worker knows only what it has seen itself."""

_CONDITIONS = tuple(Condition)


class UpstreamRows(NamedTuple):
    """First rows. Of the upstream: `queue`, `retries`, `breaker_open` (1 where a worker's breaker is); of each slot: whose it is
    (`mark`), what is counted, the place of its `condition` among all, and what workers tell each other of its `health`."""

    queue: int
    retries: int
    breaker_open: int
    mark: int
    in_flight: int
    requests: int
    failures: int
    condition: int
    health: int


class PeerStatus(TypedDict):
    """`state`: the worst that any worker says."""

    peer: str
    state: str
    in_flight: int
    requests: int
    failures: int


class UpstreamStatus(TypedDict):
    """`breaker_open`: workers whose circuit breaker is open."""

    upstream: str
    queue: int
    retries: int
    breaker_open: int
    peers: list[PeerStatus]


def register_upstream(board: Board, name: str) -> UpstreamRows:
    """Raises BoardFull."""
    labels = (("upstream", name),)
    return UpstreamRows(
        board.rows("upstream_queue", labels, gauge=True),
        board.rows("upstream_retries", labels),
        board.rows("upstream_breaker_open", labels, gauge=True),
        board.rows("upstream_mark", labels, SLOTS),
        board.rows("upstream_in_flight", labels, SLOTS, gauge=True),
        board.rows("upstream_requests", labels, SLOTS),
        board.rows("upstream_failures", labels, SLOTS),
        board.rows("upstream_condition", labels, SLOTS, gauge=True),
        board.rows("upstream_health", labels, SLOTS * HEALTH_ROWS, gauge=True),
    )


class UpstreamCells:
    """What one worker writes in these rows. `others`: the cells of all other workers."""

    def __init__(self, rows: UpstreamRows, cells: memoryview[int], others: Sequence[memoryview[int]]) -> None:
        self._rows = rows
        self._cells = cells
        self._others = others
        self._slots: dict[Peer, int] = {}
        self._noted: dict[Peer | None, int] = {}  # failures of the peers, and retries

    def join(self, peer: Peer) -> int | None:
        """Count `peer` from now on. The first row of its health; None: there is no slot for it."""
        slot = self._free_slot(peer.name)
        if slot is None:
            return None
        self._slots[peer] = slot
        rows, cells = self._rows, self._cells
        mark = _mark(peer.name)
        if cells[rows.mark + slot] != mark:
            cells[rows.requests + slot] = cells[rows.failures + slot] = 0
            cells[rows.mark + slot] = mark
        peer.share_counts(cells, rows.in_flight + slot, rows.requests + slot, self._others)
        return rows.health + slot * HEALTH_ROWS

    def leave(self, peer: Peer) -> None:
        """Its slot is free for another."""
        slot = self._slots.pop(peer, None)
        if slot is not None:
            self._add(self._rows.failures + slot, peer, peer.failures)
            del self._noted[peer]
            self._cells[self._rows.condition + slot] = 0
            peer.withdraw_counts()

    def note(self, upstream: Upstream, now: float) -> None:
        """Write down how `upstream` is doing. About once a second."""
        rows, cells = self._rows, self._cells
        cells[rows.queue] = upstream.waiting
        cells[rows.breaker_open] = upstream.breaker_open(now)
        self._add(rows.retries, None, upstream.retries)
        for peer, slot in self._slots.items():
            cells[rows.condition + slot] = _CONDITIONS.index(upstream.health.condition(peer))
            self._add(rows.failures + slot, peer, peer.failures)

    def status(self, board: Board, name: str) -> UpstreamStatus:
        """How the upstream called `name` is doing in all workers together; its peers are those of this one."""
        rows = self._rows
        counts = _counts(board, rows)
        return UpstreamStatus(
            upstream=name,
            queue=board.total(rows.queue),
            retries=board.total(rows.retries),
            breaker_open=board.total(rows.breaker_open),
            peers=[_status(peer.name, counts[_mark(peer.name)]) for peer in self._slots],
        )

    def _add(self, row: int, of: Peer | None, count: int) -> None:
        self._cells[row] += count - self._noted.get(of, 0)
        self._noted[of] = count

    def _free_slot(self, name: str) -> int | None:
        """The same in all workers, as long as they know of the same peers."""
        taken = set(self._slots.values())
        first = crc32(name.encode())
        return next((slot for i in range(SLOTS) if (slot := (first + i) % SLOTS) not in taken), None)


def _mark(name: str) -> int:
    """What stands for `name` in a cell; never 0."""
    return 1 + int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "big")


def _counts(board: Board, rows: UpstreamRows) -> dict[int, _Counts]:
    """By mark, over all columns."""
    found: dict[int, _Counts] = {}
    firsts = (rows.mark, rows.condition, rows.in_flight, rows.requests, rows.failures)
    for column in board.columns():
        for mark, *counts in zip(*(column.cells[row : row + SLOTS].tolist() for row in firsts), strict=True):
            if mark:
                found[mark] = found.get(mark, _NO_COUNTS).plus(*counts)
    return found


class _Counts(NamedTuple):
    condition: int
    in_flight: int
    requests: int
    failures: int

    def plus(self, condition: int, in_flight: int, requests: int, failures: int) -> _Counts:
        return _Counts(
            max(self.condition, condition),
            self.in_flight + in_flight,
            self.requests + requests,
            self.failures + failures,
        )


_NO_COUNTS = _Counts(0, 0, 0, 0)


def _status(name: str, counts: _Counts) -> PeerStatus:
    return PeerStatus(
        peer=name,
        state=_CONDITIONS[counts.condition].value,
        in_flight=counts.in_flight,
        requests=counts.requests,
        failures=counts.failures,
    )
