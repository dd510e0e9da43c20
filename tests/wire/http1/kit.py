"""Feeding an engine whole, byte by byte, and with more behind: whatever the cut, it must tell the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.wire.outgoing import unjoined

from enfilade.http.fields import Fields
from enfilade.wire.codec import DateStamp
from enfilade.wire.events import (
    ConnectionClosed,
    DataReceived,
    Event,
    MessageEnded,
    Rejected,
    RequestReceived,
    ResponseReceived,
)
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server

DATE = DateStamp(b"Fri, 01 Jan 2027 00:00:00 GMT")
OK = Fields([(b"server", b"test")])
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Told = tuple[object, ...]


def server(limits: Http1Limits | None = None, now: float | None = None) -> Http1Server:
    return Http1Server("http", limits or Http1Limits(), DATE, now)


def client() -> Http1Client:
    return Http1Client(Http1Limits())


def told(event: Event) -> Told:
    """An event as a value that can be compared."""
    match event:
        case RequestReceived(request=r, ended=ended):
            return "request", r.method, r.target, r.path, r.authority, r.version, r.protocol, r.fields.pairs, ended
        case ResponseReceived(status=status, fields=fields, ended=ended):
            return "response", status, fields.pairs, ended
        case DataReceived(data=data):
            return "data", data
        case MessageEnded(trailers=trailers):
            return "end", trailers.pairs
        case Rejected(reason=reason, request=request):
            return "rejected", reason.name, request.target if request else None
        case ConnectionClosed(reason=reason):
            return "closed", reason.name if reason else None
    return (repr(event),)


def merged(events: Iterable[Event]) -> list[Told]:
    """Events as values, neighbouring pieces of body joined: how they were cut does not count."""
    out: list[Told] = []
    for event in unjoined(events):
        value = told(event)
        if value[0] == "data" and out and out[-1][0] == "data":
            value = ("data", out.pop()[1] + value[1])  # type: ignore[operator]
        out.append(value)
    return out


def answering(engine: Http1Server, pieces: Iterable[bytes], answer: bool = True) -> list[Event]:
    """Feed `pieces` to a server that answers every complete or refused request at once."""
    events: list[Event] = []
    for piece in pieces:
        fresh = engine.feed(piece, 0.0)
        while fresh:
            events += fresh
            last = fresh[-1]
            fresh = []
            over = isinstance(last, MessageEnded | Rejected) or (isinstance(last, RequestReceived) and last.ended)
            if over and answer:
                engine.respond(1, last.reason.status if isinstance(last, Rejected) else 200, OK, b"ok")
                fresh = list(engine.resume(0.0))
    return events


def bytes_of(data: bytes) -> Iterator[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def all_ways(data: bytes, limits: Http1Limits | None = None) -> list[Told]:
    """What a server tells of `data`: whole, byte by byte, and with a request behind, where the beginning must be the same."""
    whole = merged(answering(server(limits), [data]))
    assert merged(answering(server(limits), bytes_of(data))) == whole, "byte by byte"
    more = merged(answering(server(limits), [data + GET]))
    assert more[: len(whole)] == whole, "with trailing bytes"
    return whole


def refusal(data: bytes, limits: Http1Limits | None = None) -> str:
    """The reason why a server refuses `data`; the connection must be closing behind the answer."""
    events = all_ways(data, limits)
    assert events and events[-1][0] == "rejected", events
    engine = server(limits)
    answering(engine, [data])
    assert b"connection: close\r\n" in b"".join(engine.pending())
    assert not engine.feed(GET, 0.0), "nothing is served behind a refusal"
    return str(events[-1][1])
