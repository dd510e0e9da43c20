"""The sockets that a loop accepts at."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import uvloop

BACKLOG = 4096


class _Listener(NamedTuple):
    """`sock` is a copy of what `server` listens on, and outlives it."""

    sock: socket.socket
    server: asyncio.Server
    make: Callable[[], asyncio.Protocol]
    tls: ssl.SSLContext | None


class Listeners:
    """Gives each connection that is accepted to a protocol that `make` makes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listeners: list[_Listener] = []

    async def listen(
        self, sock: socket.socket, make: Callable[[], asyncio.Protocol], tls: ssl.SSLContext | None = None
    ) -> None:
        """Accept connections on `sock`, which is bound already. `tls`: the loop speaks it for the protocol."""
        if sock.family == socket.AF_UNIX:
            keep = _keep_file(self._loop)
            server = await self._loop.create_unix_server(make, sock=sock, backlog=BACKLOG, ssl=tls, **keep)
        else:
            server = await self._loop.create_server(make, sock=sock, backlog=BACKLOG, ssl=tls)
        self._listeners.append(_Listener(sock.dup(), server, make, tls))

    async def close(self) -> None:
        """Take what waits in the queues, then close: a socket that nobody listens on any more would reset what is in them."""
        for listener in self._listeners:
            listener.server.close()
            with listener.sock:
                await self._empty_queue(listener)
        self._listeners.clear()
        await asyncio.sleep(0)  # who was accepted in this very turn is made known in the next one

    async def _empty_queue(self, listener: _Listener) -> None:
        listener.sock.setblocking(False)
        while True:
            try:
                accepted, _ = listener.sock.accept()
            except OSError:  # BlockingIOError: the queue is empty; anything else: nobody can be accepted
                return
            accepted.setblocking(False)
            try:
                await self._loop.connect_accepted_socket(listener.make, accepted, ssl=listener.tls)
            except OSError:  # the client left
                continue


def _keep_file(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """The file of a Unix socket is the supervisor's: the next generation may listen on it. From Python 3.13 on, a server that
    closes would take it along. (uvloop has the option with every Python; its type stubs do not know it.)"""
    knows = isinstance(loop, uvloop.Loop) or sys.version_info >= (3, 13)
    return {"cleanup_socket": False} if knows else {}
