"""`thread_pool`: threads that are there already.

As many threads as are wanted are made at the start and take clients from a queue, so that no client waits for a thread to be
made, and no crowd of clients makes a crowd of threads: what the server may use is known beforehand. A client holds its thread as
long as it is connected, so when there are more clients than threads, the others wait, however idle those are who came first: it
is for short connections.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread

from enfilade.models.blocking import Arrival, arrivals
from enfilade.models.server import Server


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    waiting: SimpleQueue[Arrival] = SimpleQueue()
    for _ in range(server.limits.threads):
        Thread(target=_work, args=(waiting,), daemon=True).start()
    for arrival in arrivals(server):
        waiting.put(arrival)


def _work(waiting: SimpleQueue[Arrival]) -> None:
    while True:
        waiting.get().serve()
