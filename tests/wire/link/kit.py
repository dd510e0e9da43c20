"""What the tests of the link share: both ends on one wire, and frames by hand."""

from __future__ import annotations

from struct import pack, unpack

from tests.wire.outgoing import unjoined

from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.request import Request
from enfilade.wire.events import DataReceived, Event, ResponseReceived
from enfilade.wire.link import LinkClient, LinkedRequest, LinkServer

ENDS = Ends(("192.0.2.7", 4711), ("192.0.2.1", 443), "https", "a.example", "h2", "TLSv1.3")
REQUEST, OPEN, ANSWER, START, INFORM, ACCEPT, DATA, LAST, TRAILERS, RESET, CREDIT, DRAIN, BEGUN = range(1, 14)


def asking(
    method: str = "GET",
    path: str = "/",
    fields: Fields = NO_FIELDS,
    protocol: str | None = None,
    ends: Ends = ENDS,
    mount: str = "",
    query: bytes = b"",
) -> LinkedRequest:
    raw = path.encode()
    request = Request(method, "https", "a.example:8443", "a.example", path, raw, query, fields, "1.1", protocol)
    return LinkedRequest.of(request, ends, mount)


class Both:
    """An edge's end and an application's on one wire, whose bytes come in pieces of `step` (0: as they are written); bodies are
    taken as they come if `take`."""

    def __init__(self, limit: int = 100, step: int = 0, take: bool = True) -> None:
        self.client = LinkClient(limit)
        self.server = LinkServer()
        self.step = step
        self.take = take
        self.at_client: list[Event] = []
        self.at_server: list[Event] = []

    def run(self) -> None:
        """Until nobody has anything to say."""
        while (up := b"".join(self.client.pending())) or (down := b"".join(self.server.pending())):
            if up:
                self._carry(up, self.server, self.at_server)
            else:
                self._carry(down, self.client, self.at_client)

    def _carry(self, data: bytes, to: LinkClient | LinkServer, seen: list[Event]) -> None:
        step = self.step or len(data)
        for at in range(0, len(data), step):
            for event in unjoined(to.feed(data[at : at + step], 0.0)):
                seen.append(event)
                if self.take and isinstance(event, DataReceived):
                    to.consumed(event.stream, event.cost)

    def asked(self, request: LinkedRequest, end: bool = True) -> int:
        """Its stream, when the request has arrived."""
        stream = self.client.request(request, end=end)
        self.run()
        return stream

    def idle(self) -> bool:
        """Nothing is left of any exchange."""
        return not (self.client._streams or self.server._streams)


def told(events: list[Event]) -> list[str]:
    """The events, taken out of their list; neighbouring pieces of a body as one."""
    out: list[str] = []
    body: DataReceived | None = None
    for event in events:
        if isinstance(event, DataReceived):
            joined = event.data if body is None or body.stream != event.stream else body.data + event.data
            if joined is not event.data:
                out.pop()
            body = DataReceived(event.stream, joined)
            out.append(repr(body))
        else:
            body = None
            out.append(repr(event))
    events.clear()
    return out


def body_of(events: list[Event], stream: int) -> bytes:
    """All of a body that has come, with the head or behind it."""
    pieces = [e.data for e in events if isinstance(e, DataReceived) and e.stream == stream]
    whole = [e.body for e in events if isinstance(e, ResponseReceived) and e.stream == stream]
    return b"".join(whole + pieces)


def frame(kind: int, stream: int, payload: bytes = b"", number: int = 0) -> bytes:
    return pack(">QII", stream, kind << 24 | len(payload), number) + payload


def credit(stream: int, size: int) -> bytes:
    return frame(CREDIT, stream, b"", size)


def parse(data: bytes) -> list[tuple[int, int, bytes]]:
    """(kind, stream, payload) of each frame."""
    found = []
    while data:
        stream, word, _ = unpack(">QII", data[:16])
        size = word & 0xFFFFFF
        assert len(data) >= 16 + size
        found.append((word >> 24, stream, data[16 : 16 + size]))
        data = data[16 + size :]
    return found


def answer(stream: int, status: int = 200, fields: bytes = b"", body: bytes = b"") -> bytes:
    return frame(ANSWER, stream, pack(">H", status) + fields + body, 2 + len(fields))


def started(stream: int, status: int = 200, fields: bytes = b"", kind: int = START) -> bytes:
    return frame(kind, stream, pack(">H", status) + fields)
