"""`thread`: a thread for each connection (over UDP, for each datagram).

A handler may wait as long as it likes, for only its own client waits with it. A thread costs some ten microseconds to start and
some ten kilobytes while it waits, so thousands are no trouble; but only one of them at a time runs Python (the global interpreter
lock), so threads do not make computing faster. They share all objects: what two of them change needs a lock.
"""

from __future__ import annotations

from threading import Thread

from enfilade.models.blocking import arrivals
from enfilade.models.server import Server


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    for arrival in arrivals(server):
        try:
            Thread(target=arrival.serve, daemon=True).start()
        except RuntimeError:  # the system lets us have no more of them
            arrival.refuse()
