"""`select`: one thread, and a list of clients that is handed over for each question.

select(2), of 1983, was the first way to wait for many clients at once, and it is everywhere, so whoever must run on anything
uses it. All descriptors go to the kernel as sets of bits with each call, the kernel looks at every one of them, and we look at
every bit of what comes back: ten times the clients, ten times the work, however few of them talk. A set has 1024 bits
(FD_SETSIZE), so a descriptor from 1024 on cannot be waited for, and its client is turned away.
"""

from __future__ import annotations

import select

from enfilade.models.readiness import READABLE, WRITABLE, Loop
from enfilade.models.server import Server


class Select:
    """See `readiness.Poller`."""

    most = 1024

    def __init__(self) -> None:
        self._readers: set[int] = set()
        self._writers: set[int] = set()

    def watch(self, fd: int, events: int) -> None:
        """See `Poller.watch`."""
        for fds, event in ((self._readers, READABLE), (self._writers, WRITABLE)):
            if events & event:
                fds.add(fd)
            else:
                fds.discard(fd)

    def forget(self, fd: int) -> None:
        """See `Poller.forget`."""
        self.watch(fd, 0)

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller.wait`."""
        readable, writable, _ = select.select(self._readers, self._writers, (), timeout)
        ready = dict.fromkeys(readable, READABLE)
        for fd in writable:
            ready[fd] = ready.get(fd, 0) | WRITABLE
        return list(ready.items())

    def close(self) -> None:
        """See `Poller.close`: the kernel knows nothing."""


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    Loop(server, Select()).run()
