"""Connections to a peer that is told, as each begins, whose connection is passed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from enfilade.exchange.call import Call, Channel, Home
from enfilade.http.announced import AnnouncedRequest
from enfilade.http.reasons import Reason, reason
from enfilade.upstream.later import Later
from enfilade.upstream.pool import Pool

_BUSY = reason("upstream_busy")

Dial = Callable[[Home, bytes], None]
"""`dial(home, announcement)`: ask for a connection that begins with these bytes."""


class PrivatePools:
    """Stands in place of a `Pool`: one for each announcement, so for each client's connection, of which it carries the requests.

    `own`: the announcement of requests that are our own (health checks). `most`, `length`, `patience` and `keep`, as of `Pool`,
    hold for all of them together: where `most` is reached, the connection that has been idle for longest makes room.
    """

    def __init__(
        self, dial: Dial, own: bytes, later: Later, *, most: int = 0, length: int = 1000, patience: float = 10.0,
        keep: int = 64, shared: bool = False,
    ) -> None:  # fmt: skip
        self._dial = dial
        self._own = own
        self._later = later
        self._most = most
        self._length = length
        self._patience = patience
        self._keep = keep
        self._shared = shared
        self._pools: dict[bytes, _OnesPool] = {}
        self._connections = 0
        self._rested: dict[Channel, None] = {}  # each that was idle when it was last looked at, the latest at the end
        self._waiting: dict[object, _OnesPool] = {}  # whose next connection waits for room

    def carry(self, call: Call) -> None:
        """See `Pool.carry`."""
        self._pool_for(call).carry(call)

    def cancel(self, call: Call, why: Reason) -> None:
        """See `Pool.cancel`."""
        self._pool_for(call).cancel(call, why)

    def retire(self) -> None:
        """See `Pool.retire`."""
        self._keep = 0
        for pool in list(self._pools.values()):
            pool.retire()

    def dismiss(self, announcement: bytes) -> None:
        """Whose connection is so announced has gone."""
        pool = self._pools.get(announcement)
        if pool is not None:
            pool.retire()

    def _pool_for(self, call: Call) -> _OnesPool:
        request = call.request
        announcement = request.announcement if isinstance(request, AnnouncedRequest) else self._own
        pool = self._pools.get(announcement)
        if pool is None:
            pool = _OnesPool(self, announcement, self._later, keep=self._keep, shared=self._shared)
            self._pools[announcement] = pool
        return pool

    # -- what the pools ask and say

    def connect(self, pool: _OnesPool) -> None:
        """`pool` wants a connection more."""
        if self._most and self._connections >= self._most:
            if len(self._waiting) >= self._length:
                self._give_up(pool)
                return
            ticket = object()
            self._waiting[ticket] = pool
            self._later(self._patience, partial(self._expire, ticket))
            self._retire_idle(0)
            return
        self._connections += 1
        self._dial(pool, pool.announcement)

    def rested(self, channel: Channel) -> None:
        """It has nothing to do."""
        self._rested.pop(channel, None)
        self._rested[channel] = None
        self._retire_idle(0 if self._waiting else self._keep)

    def ended(self, pool: _OnesPool, channel: Channel | None) -> None:
        """A connection is no more, or could not be had."""
        self._connections -= 1
        if channel is not None:
            self._rested.pop(channel, None)
        self._forget_empty(pool)
        if self._waiting:
            self.connect(self._waiting.pop(next(iter(self._waiting))))

    def _retire_idle(self, keep: int) -> None:
        """Where more than `keep` are idle, let go of the one that has been so for longest."""
        for channel in list(self._rested)[: max(0, len(self._rested) - keep)]:
            if channel.idle:
                channel.retire()
                return
            del self._rested[channel]

    def _expire(self, ticket: object) -> None:
        pool = self._waiting.pop(ticket, None)
        if pool is not None:
            self._give_up(pool)

    def _give_up(self, pool: _OnesPool) -> None:
        pool.give_up(_BUSY)
        self._forget_empty(pool)

    def _forget_empty(self, pool: _OnesPool) -> None:
        if pool.empty:
            self._pools.pop(pool.announcement, None)


class _OnesPool(Pool):
    """The connections of one client's connection."""

    __slots__ = ("_all", "announcement")

    def __init__(self, all_: PrivatePools, announcement: bytes, later: Later, *, keep: int, shared: bool) -> None:
        super().__init__(self._connect, later, keep=keep, shared=shared)
        self._all = all_
        self.announcement = announcement

    @property
    def empty(self) -> bool:
        return not (self._channels or self._dialing or self._waiting)

    def _connect(self, home: Home) -> None:
        self._all.connect(self)

    def give_up(self, why: Reason) -> None:
        """There is no room for the connection that was asked for."""
        super().refused(why)

    def refused(self, why: Reason) -> None:
        super().refused(why)
        self._all.ended(self, None)

    def freed(self, channel: Channel) -> None:
        super().freed(channel)
        if channel.idle and channel in self._free:
            self._all.rested(channel)

    def lost(self, channel: Channel) -> None:
        super().lost(channel)
        self._all.ended(self, channel)
