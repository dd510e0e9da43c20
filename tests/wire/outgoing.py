"""What a client's engine gets, and what it tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.request import Request
from enfilade.wire.events import DataReceived, Event, MessageEnded, RequestReceived, ResponseReceived


def outgoing(
    method: str, scheme: str, authority: str, target: bytes, fields: Fields = NO_FIELDS, protocol: str | None = None
) -> Request:
    path, _, query = target.partition(b"?")
    return Request(method, scheme, authority, "", "", path, query, fields, "", protocol)


def unjoined(events: Iterable[Event], *, empty: bool = False) -> Iterator[Event]:
    """`events` with the body of a whole message by itself again; `empty`: also where an answer has none."""
    for event in events:
        if isinstance(event, ResponseReceived) and event.ended and (event.body or event.trailers.pairs or empty):
            yield ResponseReceived(event.stream, event.status, event.fields, False)
            if event.body:
                yield DataReceived(event.stream, event.body)
            yield MessageEnded(event.stream, event.trailers)
        elif isinstance(event, RequestReceived) and (event.body or event.trailers.pairs):
            yield RequestReceived(event.stream, event.request, False)
            yield DataReceived(event.stream, event.body)
            yield MessageEnded(event.stream, event.trailers)
        else:
            yield event
