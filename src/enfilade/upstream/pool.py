"""The connections that this worker has to one peer: which of them carries the next call, and when another one is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from enfilade.exchange.call import Call, Channel, Home
from enfilade.http.reasons import Reason, reason
from enfilade.upstream.later import Later

_BUSY = reason("upstream_busy")


class Pool:
    """The `Home` of a peer's channels. `dial(home)` asks for one more, and is answered by `opened` or `refused`.

    `most`: connections at once; 0: any number. Where no further one may be had, `length` calls wait for one that has room,
    each for `patience` seconds. `keep`: of the connections that have nothing to do; who has more is `crowded`. `shared`: each
    carries many calls at once, so that one is dialed for all that wait; what is not known before is learnt from the first one.
    """

    __slots__ = (
        "_channels",
        "_dial",
        "_dialing",
        "_free",
        "_keep",
        "_later",
        "_length",
        "_most",
        "_patience",
        "_shared",
        "_waiting",
    )  # fmt: skip

    def __init__(
        self,
        dial: Callable[[Home], None],
        later: Later,
        *,
        most: int = 0,
        length: int = 1000,
        patience: float = 10.0,
        keep: int = 64,
        shared: bool = False,
    ) -> None:
        self._dial = dial
        self._later = later
        self._most = most
        self._length = length
        self._patience = patience
        self._keep = keep
        self._shared = shared
        self._free: dict[Channel, None] = {}  # those that may have room, the one used last at the end
        self._channels: set[Channel] = set()
        self._dialing = 0
        self._waiting: deque[Call] = deque()

    def carry(self, call: Call) -> None:
        """See the call through: over a connection that has room, or as soon as there is one."""
        while self._free:
            channel, _ = self._free.popitem()
            if channel.shared:
                if not channel.room:
                    continue  # it will say when it has
                self._free[channel] = None
            channel.carry(call)
            return
        self._wait(call)

    def cancel(self, call: Call, why: Reason) -> None:
        """Nobody wants the call's answer any more. Its caller hears `over`."""
        if call.channel is not None:
            call.channel.cancel(call, why)
        else:
            self._give_up(call, why)

    def _give_up(self, call: Call, why: Reason) -> None:
        if call in self._waiting:
            self._waiting.remove(call)
            call.caller.over(call, why)

    def retire(self) -> None:
        """Let go of all connections, as soon as they have nothing to do."""
        self._keep = 0
        for channel in list(self._channels):
            channel.retire()

    @property
    def idle(self) -> bool:
        """No connection carries, or waits to carry, anything."""
        return not self._waiting and all(channel.idle for channel in self._channels)

    def connect(self) -> None:
        """Ask for a connection, whether or not anything waits for it."""
        self._dialing += 1
        self._dial(self)

    def _wait(self, call: Call) -> None:
        if 0 < self._most <= len(self._channels) + self._dialing:
            if len(self._waiting) - self._dialing >= self._length:
                call.caller.over(call, _BUSY)
                return
            self._later(self._patience, partial(self._give_up, call, _BUSY))
        self._waiting.append(call)
        self._dial_more()

    def _dial_more(self) -> None:
        wanted = 1 if self._shared else len(self._waiting)
        if self._dialing < wanted and (not self._most or len(self._channels) + self._dialing < self._most):
            self.connect()

    # -- Home

    @property
    def crowded(self) -> bool:
        return len(self._free) > self._keep

    def opened(self, channel: Channel) -> None:
        self._dialing -= 1
        self._channels.add(channel)
        self._shared = channel.shared
        self.freed(channel)
        if self._waiting:
            self._dial_more()

    def refused(self, why: Reason) -> None:
        self._dialing -= 1
        hopeless = self._shared or not (self._channels or self._dialing)
        for _ in range(len(self._waiting) if hopeless else min(1, len(self._waiting))):
            call = self._waiting.popleft()
            call.caller.over(call, why)

    def freed(self, channel: Channel) -> None:
        while self._waiting:
            channel.carry(self._waiting.popleft())
            if not channel.room:
                return
        self._free[channel] = None
        if not self._keep and channel.idle:
            channel.retire()

    def lost(self, channel: Channel) -> None:
        self._channels.discard(channel)
        self._free.pop(channel, None)
        if self._waiting:
            self._dial_more()
