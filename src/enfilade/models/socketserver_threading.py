"""`socketserver_threading`: a thread for each connection, by the standard library.

`socketserver.ThreadingMixIn` does what `thread` does, and is found in every Python. It costs a little more, because there is a
select(2) before each accept(2), and an object of the handler's class for each client; and it was made for servers that run until
somebody stops them, so that whatever else is asked of one has to be added.
"""

from __future__ import annotations

from socketserver import TCPServer, ThreadingMixIn, UDPServer
from typing import Any

from enfilade.models.blocking import Reception
from enfilade.models.on_socketserver import Front
from enfilade.models.server import Server


class Threading(ThreadingMixIn):
    """By whom clients are served."""

    daemon_threads = True
    block_on_close = False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread, if the system lets us have one more."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            request.refuse()


class ThreadingTCPServer(Front, Threading, TCPServer):
    """Connections, of Unix sockets, too."""


class ThreadingUDPServer(Front, Threading, UDPServer):
    """Datagrams."""


def serve(server: Server) -> None:
    """Serve until the server is drained."""
    udp = any(door.udp for door in server.doors)
    with Reception(server) as reception:
        (ThreadingUDPServer if udp else ThreadingTCPServer)(server, reception).run()
