"""`epoll`: one thread, and a list of clients that the kernel keeps.

Each descriptor is told to the kernel once, and epoll_wait(2) gives back only those that are ready: what it costs depends on how
many talk, not on how many are connected, so ten thousand idle clients cost nothing but their memory. Level-triggered: whoever
is not read to the end is reported again. Only Linux has it; elsewhere, asyncio finds what there is.
"""

from __future__ import annotations

import select

from enfilade.models.readiness import Loop
from enfilade.models.server import Server


class Epoll:
    """See `readiness.Poller`."""

    most = 0

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self.wait = self._epoll.poll

    def watch(self, fd: int, events: int) -> None:
        """See `Poller.watch`."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._watched.add(fd)

    def forget(self, fd: int) -> None:
        """See `Poller.forget`."""
        self._watched.remove(fd)
        self._epoll.unregister(fd)

    def close(self) -> None:
        """See `Poller.close`."""
        self._epoll.close()


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    Loop(server, Epoll()).run()
