"""The time-outs of a connection, the same for both roles: who keeps us waiting, and for how long it may.

Nothing on the hot path looks at a clock. Instead a busy connection is looked at from time to time: what made no progress
since the last time is stalled.
"""

from __future__ import annotations

from enfilade.http.reasons import reason
from enfilade.wire.events import Event, StreamClosed
from enfilade.wire.http2.connection import Connection, ConnectionFault
from enfilade.wire.http2.limits import Http2Limits
from enfilade.wire.http2.output import Stall, Stream
from enfilade.wire.http2.states import Drain, Error

_BODY_TIMEOUT = reason("body_timeout")
_HEAD_TIMEOUT = reason("head_timeout")
_IDLE = reason("idle_timeout")
_READ_TIMEOUT = reason("read_timeout")

PULSE = 0.25
"""A busy connection is looked at four times in its shortest time-out: so exact are time-outs of what makes no progress."""


class TimedConnection(Connection):
    """A connection with `deadline` and `tick`."""

    def __init__(self, limits: Http2Limits) -> None:
        super().__init__(limits)
        self._slow_body = Stall()
        self._pulse_every = PULSE * min(
            limits.head_timeout, limits.settings_timeout, limits.body_timeout, limits.write_timeout, limits.idle_timeout
        )

    def deadline(self) -> float | None:
        """When `tick` must be called at the latest. 0.0 before the first call that tells the time."""
        if self._over or self.closing:
            return None
        if self._began is None:
            return 0.0
        if self._busy() or not self._acked or self._rest or self._drain or self._preface:
            return self._pulse + self._pulse_every
        return self._idle_since + self.limits.idle_timeout

    def tick(self, now: float) -> list[Event]:
        """Time has passed: report the time-outs that are due."""
        events: list[Event] = []
        if self._began is None:
            self._start_clock(now)
        due = self.deadline()
        if due is None or now < due:
            return events
        self._gone.clear()
        self._now = now
        try:
            self._check_peer(now)
            self._check_input(now, events)
            self._check_output(now, events)
        except ConnectionFault as fault:
            self._fail(fault.error, fault.reason, events)
        self._pulse = now
        self._read_mark, self._sent_mark = self._read_bytes, self._granted - self._window
        return events

    def _busy(self) -> bool:
        return bool(self._streams) or self._block is not None

    def _check_peer(self, now: float) -> None:
        limits = self.limits
        assert self._began is not None
        if not (self._acked and self._greeted) and now - self._began >= limits.settings_timeout:
            raise ConnectionFault(Error.SETTINGS_TIMEOUT, _HEAD_TIMEOUT)
        in_frame = self._rest and self._rest[3:4] != b"\x00" and now - self._rest_since >= limits.head_timeout
        if in_frame or (self._block is not None and now - self._block_since >= limits.head_timeout):
            raise ConnectionFault(Error.ENHANCE_YOUR_CALM, _HEAD_TIMEOUT)
        if self._drain is Drain.ANNOUNCED:
            if self._drain_since is None:
                self._drain_since = now
            elif now - self._drain_since >= limits.settings_timeout:
                self._finish_drain()
        if self._streams:
            self._idle_since = now
        elif now - self._idle_since >= limits.idle_timeout:
            raise ConnectionFault(Error.NO_ERROR, _IDLE)

    def _check_input(self, now: float, events: list[Event]) -> None:
        """Bodies that come too slowly: below `min_rate` though all that came was taken by its reader."""
        awaited = self._awaited()
        slow = self._read_bytes - self._read_mark < self.limits.min_rate * (now - self._pulse)
        unread = any(s.held > s.taken for _, s in awaited)
        if self._slow_body.lasts(bool(awaited) and slow and not unread, now, self.limits.body_timeout):
            for stream, s in awaited:
                self._refuse(stream, s, _BODY_TIMEOUT, events)

    def _awaited(self) -> list[tuple[int, Stream]]:
        """The streams whose body the peer still owes."""
        raise NotImplementedError

    def _check_output(self, now: float, events: list[Event]) -> None:
        """Streams whose window stays shut, or all of them if the peer opens windows by the byte."""
        crawls = self._granted - self._window - self._sent_mark < self.limits.min_rate * (now - self._pulse)
        for stream, s in list(self._streams.items()):
            if s.rest is None and stream not in self._waiting:
                continue
            s = self._own(stream, s)
            s.stall = s.stall or Stall()
            held_up = s.rest is not None or stream in self._waiting
            if s.stall.lasts(held_up and (crawls or not s.moved), now, self.limits.write_timeout):
                self._send_reset(stream, Error.CANCEL)
                self._gone.add(stream)
                events.append(StreamClosed(stream, _READ_TIMEOUT))
            s.moved = False
