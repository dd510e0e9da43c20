"""The edge worker's line to its supervisor about applications in processes of their own (process/apps.py is the other end).

To the edge: {"worker": {"app", "id", "slot", "concurrency"}} with a descriptor: a socket that is connected with this worker;
{"leaving": ID}: it shall get nothing more; {"failed": {"app", "why"}}: a worker of it could not be started.
From the edge: {"wake": APP}.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from enfilade.process.channel import Channel

OnWorker = Callable[[str, int, int, int, socket.socket], None]
OnLeaving = Callable[[int], None]
OnFailed = Callable[[str, str], None]


class Links:
    """`Control.links`. Register what is to be called, then `attach`: nothing that was said before is lost."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._heard: dict[str, Callable[[Any, int | None], None]] = {}

    def on_worker(self, callback: OnWorker) -> None:
        """`(app, id, slot, concurrency, sock)`: a worker of `app` serves: at the other end of `sock`, a connected Unix stream
        socket. `id` is its own for good, `slot` its place among the rows of the application (process/app_rows.py) while it
        lives. `concurrency`: requests that it can serve at once, over all edges; 0: any number. Its end is the end of `sock`."""

        def worker(said: Any, fd: int | None) -> None:
            callback(said["app"], said["id"], said["slot"], said["concurrency"], socket.socket(fileno=fd))

        self._heard["worker"] = worker

    def on_leaving(self, callback: OnLeaving) -> None:
        """`(id)`: send this worker nothing more; close its socket when what it has is answered. It goes then."""
        self._heard["leaving"] = lambda said, fd: callback(said)

    def on_failed(self, callback: OnFailed) -> None:
        """`(app, why)`: a worker of `app` could not be started; it will be tried again."""
        self._heard["failed"] = lambda said, fd: callback(said["app"], said["why"])

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear what was said so far, at once, and listen on `loop`."""
        loop.add_reader(self._channel.fileno(), self._receive, loop)
        while self._receive(loop):
            pass

    def wake(self, app: str) -> None:
        """A request waits for `app`, which has no worker."""
        try:
            self._channel.send({"wake": app})
        except OSError:  # the supervisor is gone: `Control` hears of it
            pass

    def close(self) -> None:
        """Nobody listens any more."""
        self._channel.close()

    def _receive(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether there was something."""
        try:
            messages = self._channel.receive()
        except EOFError:
            loop.remove_reader(self._channel.fileno())
            return False
        for message, fd in messages:
            for word, said in message.items():
                self._heard[word](said, fd)
        return bool(messages)
