"""The real program in a child process, the supervisor's end of its channel, and the edge's end of its links."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.process.channel import Channel
from enfilade.process.shared import Shared
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Drained,
    Event,
    MessageEnded,
    ResponseReceived,
    StreamClosed,
)
from enfilade.wire.link import LinkClient, LinkedRequest

PATIENCE = 20.0
BOOT = Path(__file__).parent.parent.parent / "src" / "enfilade" / "appworker" / "boot.py"
ENDS = Ends(("198.51.100.7", 4711), ("192.0.2.1", 443), "https", "a.example", "h2", "TLSv1.3")
SPEC: dict[str, Any] = {
    "name": "shop",
    "factory": False,
    "interface": "auto",
    "lifespan": "auto",
    "threads": 2,
    "concurrency": None,
    "start_timeout": PATIENCE,
    "drain_timeout": PATIENCE,
    "websocket_message_limit": 1 << 20,
    "warm_up": None,
    "log_level": "info",
}


class Program:
    """`source` becomes the module `main` in `folder`, and is run by `python`; `purges`: memory of cache/purges.py."""

    def __init__(
        self, folder: Path, source: str, *, target: str = "main", python: str = sys.executable,
        purges: Shared | None = None, **spec: Any,
    ) -> None:  # fmt: skip
        (folder / "main.py").write_text(source)
        self.log = folder / "stderr"
        ours, theirs = socket.socketpair()
        with theirs, self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [python, str(BOOT), str(theirs.fileno())], pass_fds=[theirs.fileno()], stdout=stderr, stderr=stderr, cwd=folder
            )  # fmt: skip
        self.channel = Channel(ours)
        self.links: list[Link] = []
        if purges is not None:
            self.channel.send({"purges": True}, purges.fd)
        self.channel.send({"start": SPEC | {"target": target, "path": str(folder)} | spec})

    def hear(self) -> dict[str, Any]:
        """What it says next; {} where it says nothing any more."""
        while True:
            assert select.select([self.channel], [], [], PATIENCE)[0], self.log.read_text()
            try:
                for message, _ in self.channel.receive():
                    return message
            except EOFError:
                return {}

    def ready(self) -> dict[str, Any]:
        message = self.hear()
        assert "ready" in message, (message, self.log.read_text())
        ready: dict[str, Any] = message["ready"]
        return ready

    def link(self) -> Link:
        ours, theirs = socket.socketpair()
        self.channel.send({"link": len(self.links)}, theirs.fileno())
        theirs.close()
        link = Link(ours)
        self.links.append(link)
        return link

    def ends(self) -> int:
        """Its exit code."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        for link in self.links:
            link.sock.close()
        self.channel.close()
        self.process.kill()
        self.process.wait()


class Link:
    """An edge worker. `events`: what was heard and not looked at; `takes`: whether it takes the bodies that come."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.codec = LinkClient(1000)
        self.events: list[Event] = []
        self.takes = True

    def ask(
        self, path: str = "/", *, method: str = "GET", fields: tuple[Pair, ...] = (), body: bytes | None = None,
        mount: str = "", protocol: str | None = None, end: bool = True,
    ) -> int:  # fmt: skip
        """Send a request; its body where there is one, and its end unless there is `protocol`."""
        target, _, query = path.partition("?")
        request = LinkedRequest(method, "https", "a.example", "a.example", target, target.encode(), query.encode(),
                                Fields([(b"host", b"a.example"), *fields]), "1.1", protocol, ENDS, mount)  # fmt: skip
        stream = self.codec.request(request, end=body is None and protocol is None and end)
        if body is not None:
            self.codec.data(stream, body, end=end)
        self.flush()
        return stream

    def flush(self) -> None:
        if out := b"".join(self.codec.pending()):
            self.sock.sendall(out)

    def next(self, wanted: Callable[[Event], bool]) -> Event:
        """The next event that is `wanted`; others stay."""
        while True:
            for i, event in enumerate(self.events):
                if wanted(event):
                    return self.events.pop(i)
            data = self.sock.recv(65536)
            events = self.codec.feed(data, 0.0)
            self.events += events
            if self.takes:
                self.take(events)
            assert data or events, "the link has ended"

    def take(self, events: list[Event] | None = None) -> None:
        """Make room for what comes behind `events`, or behind all that were not looked at."""
        for event in self.events if events is None else events:
            if isinstance(event, DataReceived):
                self.codec.consumed(event.stream, event.cost)
        self.flush()

    def head(self, stream: int) -> ResponseReceived:
        event = self.next(lambda e: isinstance(e, ResponseReceived) and e.stream == stream)
        assert isinstance(event, ResponseReceived)
        return event

    def piece(self, stream: int) -> bytes:
        """The next piece of the body; b"" at its end."""
        event = self.next(lambda e: isinstance(e, (DataReceived, MessageEnded)) and e.stream == stream)
        return event.data if isinstance(event, DataReceived) else b""

    def rest(self, stream: int) -> bytes:
        pieces = []
        while piece := self.piece(stream):
            pieces.append(piece)
        return b"".join(pieces)

    def answer(self, stream: int) -> tuple[int, bytes]:
        head = self.head(stream)
        return head.status, head.body if head.ended else self.rest(stream)

    def get(self, path: str = "/", **options: Any) -> tuple[int, bytes]:
        return self.answer(self.ask(path, **options))

    def cut(self, stream: int) -> StreamClosed:
        event = self.next(lambda e: isinstance(e, StreamClosed) and e.stream == stream)
        assert isinstance(event, StreamClosed)
        return event

    def drained(self) -> None:
        self.next(lambda e: isinstance(e, Drained))

    def closed(self) -> None:
        self.next(lambda e: isinstance(e, ConnectionClosed))


__all__ = ["ENDS", "NO_FIELDS", "Link", "Program"]
