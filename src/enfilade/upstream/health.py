"""Which peers of an upstream can be used: those that fail are ejected for a while, then tried with one exchange at a time, and
those that come back begin slowly. Active checks, and what other workers have found, count beside it.

Health writes `up`, `trial`, `share` and `latency` of each `Peer`, which is all that balancers look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import exp

from enfilade.http.reasons import Reason, Source, reason
from enfilade.upstream.breaker import Breaker, State, Tolerance
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import Check
from enfilade.upstream.shared import Shared

ROWS = 2
"""Rows of the board for each peer, as gauges: until when it is ejected, and until when its checks are known to fail."""

_HOLD = 5.0
"""Seconds for which others believe what a worker does not tell again; after an ejection its time to try the peer."""

_DECAY = 10.0
"""Seconds after which an old latency weighs 1/e (Finagle's `decayTime`)."""

_FIRST_SHARE = 0.1

_NOT_ITS_FAULT = frozenset(map(reason, ("no_peer", "no_tunnel", "total_timeout", "upstream_broken", "upstream_busy")))
"""Of the upstream as a whole; and an exchange may take too long in all because its client reads slowly."""

_CLOSED = State.CLOSED
_NO_CHECK = Check()


class Condition(Enum):
    """From the best to the worst. UP: used. STARTING: used, for less than its weight. TRIAL: one exchange decides. ELSEWHERE:
    another worker has ejected it. EJECTED: it failed too often. FAILING: its checks fail."""

    UP = "up"
    STARTING = "starting"
    TRIAL = "trial"
    ELSEWHERE = "ejected by another worker"
    EJECTED = "ejected"
    FAILING = "failing"


@dataclass(frozen=True)
class Policy:
    """`tolerance`: what a peer is ejected for, and for how long. `ejected`: at most this share (0 to 1) of the peers, but one if
    there are two, and never all: 1 leaves one. `slow_start`: seconds until a peer that comes, or comes back, gets all of its
    weight."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    ejected: float = 0.5
    slow_start: float = 10.0


class _Record(Breaker):
    """What is known of one peer. `heard_at`: when `latency` was true; `used_since`: when it was last taken into use, None
    while it is not; `run`: checks in a row that contradict `failing`."""

    __slots__ = ("elsewhere", "failing", "failing_elsewhere", "heard_at", "peer", "row", "run", "used_since")

    def __init__(self, peer: Peer, row: int | None, tolerance: Tolerance, may_open: Callable[[], bool]) -> None:
        super().__init__(tolerance, may_open)
        self.peer = peer
        self.row = row
        self.heard_at = 0.0
        self.used_since: float | None = None
        self.run = 0
        self.failing = False
        self.failing_elsewhere = False
        self.elsewhere = False

    @property
    def checked_out(self) -> bool:
        """Whether checks, of whichever worker, say no."""
        return self.failing or self.failing_elsewhere

    @property
    def ejected(self) -> bool:
        return self.state is not _CLOSED or self.elsewhere

    @property
    def usable(self) -> bool:
        return not self.ejected and not self.checked_out

    @property
    def trying(self) -> bool:
        """Whether the exchange that decides is under way."""
        return self.state is State.HALF_OPEN and not self.peer.up


class Health:
    """The health of one upstream's peers. Every exchange that a peer `took` ends with `succeeded` or `failed`, whatever became
    of it.

    `now` is the monotonic clock, in seconds. `tick` is called about once a second, and alone reads and writes `shared`.
    At most a share of the peers is out by ejection; checks may take out all of them, for they are asked for.
    """

    def __init__(self, policy: Policy, check: Check = _NO_CHECK, shared: Shared | None = None) -> None:
        self._policy = policy
        self._check = check
        self._shared = shared
        self._records: dict[Peer, _Record] = {}

    # -- the group

    def joined(self, peer: Peer, now: float, row: int | None = None) -> None:
        """A peer has come; `row` is the first of its ROWS on the board; None: workers tell each other nothing of it. It begins
        slowly, as all do that come together."""
        record = self._records[peer] = _Record(peer, row, self._policy.tolerance, self._may_eject)
        self._settle(record, now)

    def left(self, peer: Peer, now: float) -> None:
        """A peer has gone; what its exchanges still say is not heard."""
        record = self._records.pop(peer, None)
        if record is None:
            return
        if self._shared is not None and record.row is not None:
            for row in range(record.row, record.row + ROWS):
                self._shared.tell(row, 0.0)
        self._reinstate(now)

    def condition(self, peer: Peer) -> Condition:
        """For people. KeyError: it is not one of the group."""
        record = self._records[peer]
        if record.checked_out:
            return Condition.FAILING
        if record.state is State.HALF_OPEN:
            return Condition.TRIAL
        if record.state is State.OPEN:
            return Condition.EJECTED
        if record.elsewhere:
            return Condition.ELSEWHERE
        return Condition.UP if peer.share == 1.0 else Condition.STARTING

    # -- exchanges

    def succeeded(self, peer: Peer, status: int, seconds: float, now: float) -> None:
        """The peer has answered with `status` (0 where there is none) after `seconds`. 502, 503 and 504 are failures."""
        record = self._records.get(peer)
        if record is None:
            return
        if 502 <= status <= 504:
            self._failed(record, now)
            return
        latency = peer.latency
        if seconds >= latency:
            peer.latency = seconds  # a peak is believed at once, and forgotten slowly (Finagle's PeakEwma)
        else:
            peer.latency = seconds + (latency - seconds) * exp((record.heard_at - now) / _DECAY)
        record.heard_at = now
        if record.state is _CLOSED:
            record.successes += 1
            record.streak = 0
        elif record.trying:
            record.succeeded(now)
            self._settle(record, now)

    def failed(self, peer: Peer, why: Reason, now: float) -> None:
        """The exchange failed. Connect errors, resets, time-outs and bad answers count; what others have done does not."""
        record = self._records.get(peer)
        if record is None:
            return
        if why.source is Source.UPSTREAM and why not in _NOT_ITS_FAULT:
            self._failed(record, now)
        elif record.trying:
            record.abandoned(now)
            self._offer_trial(record, now)

    def _failed(self, record: _Record, now: float) -> None:
        record.peer.failures += 1
        if record.state is _CLOSED or record.trying:  # otherwise it began before the ejection, and is no news
            record.failed(now)
            self._settle(record, now)

    # -- checks

    def probed(self, peer: Peer, ok: bool, now: float) -> None:
        """An active check has ended."""
        record = self._records.get(peer)
        if record is None:
            return
        if ok is not record.failing:
            record.run = 0
            return
        record.run += 1
        if record.run >= (self._check.rise if record.failing else self._check.fall):
            record.run = 0
            record.failing = not record.failing
            self._settle(record, now)
            self._reinstate(now)

    # -- time

    def tick(self, now: float) -> None:
        """What happens without any exchange."""
        for record in self._records.values():
            record.tick(now)
            if self._shared is not None and record.row is not None:
                self._exchange_news(record, record.row, self._shared, now)
            if record.state is not _CLOSED:
                self._offer_trial(record, now)
            self._settle(record, now)
            if record.peer.latency and not record.peer.in_flight:  # so that a slow peer is asked again one day
                record.peer.latency *= exp((record.heard_at - now) / _DECAY)
                record.heard_at = now
        self._reinstate(now)

    def _exchange_news(self, record: _Record, row: int, shared: Shared, now: float) -> None:
        shared.tell(row, 0.0 if record.state is _CLOSED else record.until + _HOLD)
        shared.tell(row + 1, now + _HOLD if record.failing else 0.0)
        record.failing_elsewhere = shared.heard(row + 1) > now
        # Two workers may have ejected different halves at the same time.
        record.elsewhere = shared.heard(row) > now and (record.ejected or self._may_eject())

    def _offer_trial(self, record: _Record, now: float) -> None:
        """Let the peer take one exchange, if it is time. An exchange that ended without a word is made up for, too."""
        peer = record.peer
        if not record.checked_out and (record.admits(now) or (record.trying and not peer.in_flight)):
            peer.up = peer.trial = True
            peer.share = 1.0  # it is one exchange, whatever its share

    def _settle(self, record: _Record, now: float) -> None:
        """Write down what follows for the peer."""
        peer = record.peer
        if record.usable:
            if record.used_since is None:
                record.used_since = now
            peer.up, peer.trial = True, False
            peer.share = self._share(now - record.used_since)
            return
        record.used_since = None
        if record.state is not State.HALF_OPEN or record.checked_out:
            peer.up = peer.trial = False

    def _share(self, used: float) -> float:
        slow_start = self._policy.slow_start
        return 1.0 if used >= slow_start else _FIRST_SHARE + (1.0 - _FIRST_SHARE) * used / slow_start

    # -- never all

    @property
    def _most(self) -> int:
        """How many peers may be out by ejection."""
        peers = len(self._records)
        return min(peers - 1, max(1, int(self._policy.ejected * peers)))

    @property
    def _out(self) -> int:
        return sum([not record.usable for record in self._records.values()])

    def _may_eject(self) -> bool:
        return self._out < self._most

    def _reinstate(self, now: float) -> None:
        """Bring back who would be first, while too many are out since others have left or fail their checks."""
        while self._out > self._most:
            ejected = [r for r in self._records.values() if r.ejected and not r.checked_out]
            if not ejected:
                return
            record = min(ejected, key=lambda r: r.until)
            record.close(now)
            record.elsewhere = False
            self._settle(record, now)
