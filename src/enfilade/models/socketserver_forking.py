"""`socketserver_forking`: a process for each connection, by the standard library.

`socketserver.ForkingMixIn` does what `fork` does. Left alone, it serves forty clients at once and then waits for one of them to
end, asks each child whether it has ended every time round, and leaves children behind when it is stopped; so children are handed
over to those who know when one ends (children.py), as soon as they are born.
"""

from __future__ import annotations

import sys
from socketserver import ForkingMixIn, TCPServer, UDPServer
from typing import Any

from enfilade.models.blocking import MainTalker, Reception
from enfilade.models.children import Child, Children
from enfilade.models.on_socketserver import Front
from enfilade.models.server import Server


class Forking(ForkingMixIn):
    """By whom clients are served."""

    max_children = sys.maxsize  # the limit is another one
    children: Children
    _child: Child

    def process_request(self, request: Any, client_address: Any) -> None:
        """Fork, if the system lets us have one more; the child does not come back from there."""
        child = self.children.expect(request)
        if child is None:
            return
        self._child = child
        self.active_children = born = set[int]()
        try:
            super().process_request(request, client_address)
        except OSError as error:
            self.children.miscarried(child, error)
        else:
            self.children.born(child, born.pop())

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve it; in the child."""
        parent = self.children.begin(self._child)
        super().finish_request(request, client_address)  # type: ignore[misc]
        parent.farewell()


class ForkingTCPServer(Front, Forking, TCPServer):
    """Connections, of Unix sockets, too."""


class ForkingUDPServer(Front, Forking, UDPServer):
    """Datagrams."""


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    udp = any(door.udp for door in server.doors)
    with Children(server) as children, Reception(server, children, make=MainTalker) as reception:
        front = (ForkingUDPServer if udp else ForkingTCPServer)(server, reception)
        front.children = children
        front.run()
