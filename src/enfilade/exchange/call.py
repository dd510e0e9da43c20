"""One request that we make of a peer, and the words between its three parties: whoever makes it, the connection that carries it,
and the pool that the connection belongs to. `upstream` and `handlers` know connections by these words only.
"""

from __future__ import annotations

from typing import Protocol

from enfilade.exchange.bodies import Stream
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request


class Call:
    """One attempt to get `request` answered over one connection.

    `body` is the request's (ended and empty where there is none), `caller` hears what becomes of it. `channel` carries it, as
    `stream`; None before and after that. `sent`: whether a byte of it may have been read by the peer.
    `began`, `heard_at`: the monotonic times when it was handed over and when the last byte of its answer came. `status`: of the
    answer; 0: there was none yet.
    """

    __slots__ = ("began", "body", "caller", "channel", "heard_at", "request", "sent", "status", "stream")

    def __init__(self, request: Request, body: Stream, caller: Caller) -> None:
        self.request = request
        self.body = body
        self.caller = caller
        self.channel: Channel | None = None
        self.stream = 0
        self.sent = False
        self.status = 0
        self.began = 0.0
        self.heard_at = 0.0

    def __repr__(self) -> str:
        return f"<Call {self.request!r} {self.status or 'waits'}>"


class Caller(Protocol):
    """Whoever makes calls. Each call ends exactly once: by a whole answer, or by `over`; without an `answered` before it, it has
    failed."""

    def informed(self, call: Call, status: int, fields: Fields) -> None:
        """An interim response (1xx, not 100 and not 101)."""

    def answered(self, call: Call, response: Response) -> None:
        """The peer's answer. Where its body is bytes, the call is over; otherwise it flows from here on."""

    def over(self, call: Call, why: Reason | None) -> None:
        """Nothing more will come: all is well, or `why` not."""


class Channel(Protocol):
    """A connection to a peer. `shared`: it carries many calls at once; `room`: how many it can take now; `idle`: it has none."""

    shared: bool

    @property
    def room(self) -> int: ...
    @property
    def idle(self) -> bool: ...

    def carry(self, call: Call) -> None:
        """Send the call's request, and see it through."""

    def cancel(self, call: Call, why: Reason) -> None:
        """Nobody wants the answer any more: the peer is told as far as its protocol can. The caller hears `over`."""

    def retire(self) -> None:
        """Take no further calls, and close when those that are carried are over."""


class Home(Protocol):
    """The pool that channels of one peer belong to. `crowded`: more of them have nothing to do than are to be kept."""

    @property
    def crowded(self) -> bool: ...

    def opened(self, channel: Channel) -> None:
        """It is connected and takes calls."""

    def refused(self, why: Reason) -> None:
        """A connection that was asked for could not be had."""

    def freed(self, channel: Channel) -> None:
        """It has room again."""

    def lost(self, channel: Channel) -> None:
        """It takes no further calls: closed, or closing."""
