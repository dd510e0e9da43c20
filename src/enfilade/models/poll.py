"""`poll`: one thread, and a list of clients that is handed over for each question, of any length.

poll(2) does what select(2) does, with an array of descriptors in place of sets of bits, so it has no highest descriptor, and
tells in one word what each is ready for. What stays is that the whole array goes to the kernel with each call, and is looked at
from its beginning to its end: a client that says nothing costs as much as one that talks. Every Unix has it, and some hundred
clients are no work for it; with thousands that are mostly silent, it does little else. All who are ready at once share one
call, so it is dearest where each says something alone: then ten thousand clients are ten thousand calls, and each of them looks
at ten thousand descriptors.
"""

from __future__ import annotations

import select

from enfilade.models.readiness import Loop
from enfilade.models.server import Server


class Poll:
    """See `readiness.Poller`."""

    most = 0

    def __init__(self) -> None:
        self._poll = select.poll()
        self.watch = self._poll.register  # as often as one likes
        self.forget = self._poll.unregister

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller.wait`."""
        return self._poll.poll(timeout * 1000)

    def close(self) -> None:
        """See `Poller.close`: the kernel knows nothing."""


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    Loop(server, Poll()).run()
