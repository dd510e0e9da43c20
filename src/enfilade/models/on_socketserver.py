"""For models on the standard library's `socketserver`, whose pattern is: TCPServer and UDPServer wait for clients, a mix-in says
by whom they are served, and a handler is made for each of them. It leaves a lot to whoever derives from it, such as to have
several sockets, to know limits, to count, and to end.
"""

from __future__ import annotations

from socket import socket
from socketserver import BaseRequestHandler, BaseServer
from typing import Any

from enfilade.models.blocking import Arrival, Reception
from enfilade.models.server import TICK, Address, Server


class Front(BaseServer):
    """The methods that we need to override, be they of a server or of a mix-in. A request is an `Arrival`."""

    socket: socket

    def __init__(self, server: Server, reception: Reception) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)  # type: ignore[call-arg]
        self.socket.close()  # ours are bound already
        self._server = server
        self._reception = reception

    def fileno(self) -> int:
        """What is waited for is all doors at once."""
        return self._reception.fileno()

    def get_request(self) -> tuple[Any, Address]:
        """Raises OSError where there is none."""
        for arrival in self._reception.wait(0):
            return arrival, arrival.client
        raise BlockingIOError

    def service_actions(self) -> None:
        """Each time round."""
        super().service_actions()
        self._server.turn()
        if self._server.draining:
            raise Drained

    def shutdown_request(self, request: Any) -> None:
        """See `BaseServer`. Whoever serves a client sees to its end."""

    def close_request(self, request: Any) -> None:
        """See `BaseServer`."""

    def run(self) -> None:
        """Serve until the server is drained."""
        try:
            self.serve_forever(TICK)
        except Drained:
            pass
        for arrival in self._reception.leave():
            self.process_request(arrival, arrival.client)  # type: ignore[arg-type]
        self._reception.see_off()


class Drained(Exception):
    """What `shutdown` is for other threads."""


class Handler(BaseRequestHandler):
    """Made anew for each client."""

    request: Arrival

    def handle(self) -> None:
        """All of it."""
        self.request.serve()
