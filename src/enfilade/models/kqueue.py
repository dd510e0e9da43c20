"""What `epoll` is where there is none, on the BSDs and macOS: kqueue(2), in which the kernel keeps the list as well.

Reading from a descriptor and writing to it are two entries of that list ("filters"), and each is reported by itself.
"""

from __future__ import annotations

import select as of_any_system
from typing import Any

from enfilade.models.readiness import READABLE, WRITABLE

select: Any = of_any_system
"""Type checkers know but what their own system has."""
AT_ONCE = 1024
"""Events that are asked for at once at most."""


class Kqueue:
    """See `readiness.Poller`."""

    most = 0

    def __init__(self) -> None:
        self._kqueue = select.kqueue()
        self._watched: dict[int, int] = {}

    def watch(self, fd: int, events: int) -> None:
        """See `Poller.watch`."""
        changed = events ^ self._watched.get(fd, 0)
        self._watched[fd] = events
        changes = [
            select.kevent(fd, kind, select.KQ_EV_ADD if events & event else select.KQ_EV_DELETE)
            for event, kind in ((READABLE, select.KQ_FILTER_READ), (WRITABLE, select.KQ_FILTER_WRITE))
            if changed & event
        ]
        self._kqueue.control(changes, 0)

    def forget(self, fd: int) -> None:
        """See `Poller.forget`."""
        self.watch(fd, 0)
        del self._watched[fd]

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller.wait`."""
        kinds = {select.KQ_FILTER_READ: READABLE, select.KQ_FILTER_WRITE: WRITABLE}
        return [(event.ident, kinds[event.filter]) for event in self._kqueue.control(None, AT_ONCE, timeout)]

    def close(self) -> None:
        """See `Poller.close`."""
        self._kqueue.close()
