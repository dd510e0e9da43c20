"""A client that speaks HTTP/2 frame by frame, for what real clients do not let one do: our own engine on a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.e2e.conftest import Server
from tests.wire.outgoing import outgoing

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.events import DataReceived, Event, MessageEnded, ResponseReceived, StreamClosed
from enfilade.wire.http2 import Http2Client, Http2Limits

GONE = reason("client_gone")


class Connection:
    """One connection. What came for a stream is in `status`, `fields`, `data` and `ended`, once `wait` has read it."""

    def __init__(self, sock: socket.socket, authority: str, limits: Http2Limits) -> None:
        self.engine = Http2Client(limits)
        self._sock = sock
        self._authority = authority
        self.status: dict[int, int] = {}
        self.fields: dict[int, Fields] = {}
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.wait(lambda: self.engine.tunnels)

    def request(self, path: str, fields: Fields = NO_FIELDS, *, tunnel: str | None = None) -> int:
        method, target = "CONNECT" if tunnel else "GET", path.encode()
        request = outgoing(method, "https", self._authority, target, fields, tunnel)
        stream = self.engine.request(request, end=not tunnel)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes) -> None:
        self.engine.data(stream, data)
        self.flush()

    def end(self, stream: int) -> None:
        self.engine.end(stream)
        self.flush()

    def reset(self, stream: int) -> None:
        self.engine.reset(stream, GONE)
        self.flush()

    def flush(self) -> None:
        self._sock.sendall(b"".join(self.engine.pending()))

    def wait(self, condition: Callable[[], bool]) -> None:
        """Read until `condition`."""
        self.flush()
        while not condition():
            data = self._sock.recv(65536)
            assert data, "the server closed the connection"
            for event in self.engine.feed(data, 0.0):
                self._take(event)
            self.flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            self.status[event.stream], self.fields[event.stream] = event.status, event.fields
            if event.ended:
                self.data[event.stream] = event.body
                self.ended.add(event.stream)
        elif isinstance(event, DataReceived):
            self.data[event.stream] = self.data.get(event.stream, b"") + event.data
            self.engine.consumed(event.stream, event.cost)
        elif isinstance(event, (MessageEnded, StreamClosed)):
            self.ended.add(event.stream)


@contextmanager
def connect(server: Server, limits: Http2Limits | None = None) -> Iterator[Connection]:
    host, port = server.address("https")
    with server.connect("https", alpn=["h2"]) as sock:
        yield Connection(sock, f"{host}:{port}", limits or Http2Limits())
