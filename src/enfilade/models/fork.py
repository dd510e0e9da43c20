"""`fork`: a process for each connection (over UDP, for each datagram).

The server of the first Unix systems: accept, fork, and the child serves the client while the parent waits for the next one. As
each client has a process of its own, handlers may compute on all processors, may forget what they have taken, may even crash,
and only their own client suffers; but they share nothing with each other. A process costs about a millisecond to start, for its
memory is copied when one of both writes to it, and Python writes to whatever it counts references of.
"""

from __future__ import annotations

from enfilade.models.blocking import MainTalker, arrivals
from enfilade.models.children import Children
from enfilade.models.server import Server


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    with Children(server) as children:
        for arrival in arrivals(server, children, make=MainTalker):
            children.start(arrival)
