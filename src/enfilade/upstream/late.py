"""Late binding: a worker that does not take up what it was sent gets nothing more until it does.

An application that computes keeps its event loop busy, and begins nothing meanwhile: what is sent to it waits behind whatever
it does, though another worker may be free before. So it waits in the upstream's queue instead, for the first worker that is.

Nothing has to be known of the application: a request that was begun and waits for something holds up nobody.
"""

from __future__ import annotations

from typing import Protocol

from enfilade.upstream.later import Later
from enfilade.upstream.peer import Peer

PATIENCE = 0.005
"""Seconds in which a worker should take up what it is sent: longer than the turns of a busy loop whose requests are short."""


class Link(Protocol):
    """`sent`: how many requests it was ever given; `begun`: how many of them the worker has taken up, the first ones."""

    @property
    def sent(self) -> int: ...
    @property
    def begun(self) -> int: ...


class Group(Protocol):
    """The upstream."""

    @property
    def alone(self) -> bool:
        """There is only one peer, so nobody could be quicker."""

    def freed(self) -> bool:
        """A peer is held no more: it gets its part of those who wait. Whether others still do."""


class LateBinding:
    """Says of `peer`, by its `link`, whether it is `held`: it has let something wait for `PATIENCE`. When it has taken all of
    that up, it gets its part of those that wait in the queue by then: of a few that is one, so that it goes where it is answered
    first; of many a batch, because batches make a link fast. While others wait, it is held again.

    `watching`: something that was sent is still looked after.
    """

    __slots__ = ("_group", "_later", "_link", "_peer", "watching")

    def __init__(self, peer: Peer, link: Link, group: Group, later: Later) -> None:
        self._peer = peer
        self._link = link
        self._group = group
        self._later = later
        self.watching = False

    def heard(self) -> None:
        """Something came from the worker."""
        peer, link = self._peer, self._link
        if peer.held and link.begun >= link.sent:
            peer.held = False
            peer.held = self._group.freed() and link.begun < link.sent

    def watch(self) -> None:
        """The link was given a request: is it taken up in time? Need not be called again while `watching`."""
        self.watching = True
        sent = self._link.sent

        def look() -> None:
            self.watching = False
            if self._link.begun < sent:
                self._peer.held = not self._group.alone
            if self._link.begun < self._link.sent:
                self.watch()

        self._later(PATIENCE, look)
