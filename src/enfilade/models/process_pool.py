"""`process_pool`: processes that are there already (prefork).

As many processes as are wanted are forked at the start, and all of them accept at the same sockets: each is a server that
serves one client after the other, and the kernel gives the next client to one that has time. They compute on all processors,
and one that crashes is replaced; but a client holds its process as long as it is connected, and the others wait in the kernel's
queue, so it is for short connections. All who wait are woken for one client (the "thundering herd"), and all but the first find
nobody: with as few processes as there are processors, that is cheaper than to prevent it.
"""

from __future__ import annotations

from math import inf

from enfilade.models.blocking import MainTalker, arrivals
from enfilade.models.children import Children, Parent
from enfilade.models.server import Server

REPLACE = 0.1
"""Seconds between replacements of processes that have died: whatever killed them may kill the next ones, too."""


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    limits = server.limits
    size = min(limits.threads, limits.connections or limits.threads)
    replace_at = -inf

    def serve_some(parent: Parent) -> None:
        for arrival in arrivals(server, parent, make=MainTalker):
            arrival.serve()

    def replace() -> None:
        nonlocal replace_at
        if len(children) < size and server.clock() >= replace_at and not server.draining:
            replace_at = server.clock() + REPLACE
            while len(children) < size and (child := children.start(serve_some)) is not None:
                server.open.add(child)

    with Children(server, replace) as children:
        replace()
        for _ in arrivals(server, children, listens=False):
            pass
