"""`single`: one after the other.

The first server in every book: accept a client, serve it to its end, accept the next. Nothing can be simpler, and nothing can go
wrong between two clients, as there are never two. Everybody else waits in the kernel's queue meanwhile, and a client that says
nothing holds up all of them until its time is over: it is for work that takes no time, or for one client.
"""

from __future__ import annotations

from enfilade.models.blocking import MainTalker, arrivals
from enfilade.models.server import Server


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    for arrival in arrivals(server, make=MainTalker):
        arrival.serve()
