"""HTTP/1 in the client role, as strict with what an upstream answers as the server is with what a client asks.

A response that breaks a rule, comes unasked, or has something behind it ends the connection: ConnectionClosed with the
reason (its row's `status` is what a server would have answered; for a proxy every one of them is a 502). Time-outs of an
upstream belong to whoever waits for it, and so does the size of its bodies: this role has neither deadline nor body limit.
"""

from __future__ import annotations

from collections.abc import Callable

from enfilade.http.fields import Fields
from enfilade.http.framing import CHUNKED, Framing, response_framing
from enfilade.http.grammar import is_token
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.http.uri import UriError, parse_authority
from enfilade.wire.codec import ClientCodec, LocalError
from enfilade.wire.events import Event, MessageEnded, ResponseReceived, join_whole
from enfilade.wire.http1.connection import NO_EVENTS, Connection, tables
from enfilade.wire.http1.grammar import match_target, search_bare_lf
from enfilade.wire.http1.head import ResponseHead, connection_options, read_response_head, upgrade_asked
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.reader import body_reader
from enfilade.wire.http1.states import Heard, Reading, Role, Said, Writing
from enfilade.wire.http1.writer import field_lines

INTERIMS = 32
"""Interim responses before a final one (Go: as many as fit into 1 MiB; curl has no limit)."""

_BAD_RESPONSE = reason("bad_response")
_HEAD_TOO_LARGE = reason("head_too_large")
_UNASKED = reason("unasked_response")
_UPSTREAM_GONE = reason("upstream_gone")
_BODY_CUT = reason("body_cut")

# Looked at for every request: a global costs less than an attribute of a class.
_IDLE, _HEAD, _READY, _BODY, _SENT = Reading.IDLE, Reading.HEAD, Writing.READY, Writing.BODY, Writing.DONE

# RFC 9110 section 8.6: these say Content-Length: 0 where they have no content.
_WITH_CONTENT = frozenset(("POST", "PUT", "PATCH"))


class Http1Client(Connection):
    """One connection to an upstream: `idle` again as soon as a response is complete, or `closing`."""

    __slots__ = ("_interims", "_keep_alive", "_method", "_protocol")
    _reads, _writes = tables(Role.CLIENT)

    def __init__(self, limits: Http1Limits) -> None:
        super().__init__(limits, Reading.IDLE, Writing.READY)
        self._method = ""
        self._protocol: str | None = None
        self._keep_alive = True
        self._interims = 0

    @property
    def idle(self) -> bool:
        """Whether a request can be sent."""
        return self._writing is Writing.READY and not self.closing

    @property
    def available(self) -> int:
        """See `ClientCodec.available`."""
        return int(self.idle)

    # -- what may be sent

    def request(self, request: Request, *, end: bool) -> int:
        """See `ClientCodec.request`. The Host field is `authority`, whatever the fields say."""
        head = request.encoded
        if type(head) is not _Head or head.end is not end:
            head = request.encoded = _encode(request, end)
        if self._writing is not _READY:
            self._say(Said.HEAD)
        self._writing = _SENT if end else _BODY
        self._reading = _HEAD
        self._out.append(head.data)
        self._left = head.framing
        self._method, self._protocol = request.method, request.protocol
        self._interims = 0
        return 1

    def _sent(self) -> None:
        pass  # the response decides what becomes of the connection

    # -- bytes in

    def feed(self, data: bytes, now: float) -> list[Event]:
        """See `Codec.feed`."""
        return _FEED[self._reading](self, data, now) if data else self._end_of_stream()

    def _feed_head(self, data: bytes, now: float) -> list[Event]:
        buffer = self._buffer + data if self._buffer else data
        events: list[Event] = []
        while self._reading is _HEAD and buffer:
            end = buffer.find(b"\r\n\r\n", 0, self._limits.head)
            if end < 0:
                if search_bare_lf(buffer, 0, self._limits.head) is not None:
                    return events + self._closed(_BAD_RESPONSE)
                if len(buffer) >= self._limits.head:
                    return events + self._closed(_HEAD_TOO_LARGE)
                break
            head = read_response_head(buffer[: end + 2], self._limits.fields)
            if isinstance(head, Reason):
                return events + self._closed(_BAD_RESPONSE)
            buffer = buffer[end + 4 :]
            if buffer and head.framing == len(buffer) and self._method != "HEAD":  # all of it is here, as nearly always
                self._complete(head.keep_alive)
                return [*events, ResponseReceived(1, head.status, head.fields, True, buffer)]
            events += self._take_head(head)
        if self._reading is _HEAD:
            self._buffer = buffer
            return events
        self._buffer = b""
        return join_whole(events + _FEED[self._reading](self, buffer, now), self.consumed) if buffer else events

    def _take_head(self, head: ResponseHead) -> list[Event]:
        status, fields = head.status, head.fields
        if status == 101:
            return self._switch(head.version, fields)
        framing = head.framing
        if self._method == "HEAD":
            framing = response_framing("HEAD", status, head.version, fields)
        if isinstance(framing, Reason):
            return self._closed(framing)
        if status < 200:
            self._interims += 1
            if self._interims > INTERIMS:
                return self._closed(_BAD_RESPONSE)
            self._hear(Heard.INTERIM)
            return [ResponseReceived(1, status, fields, False)]
        if framing == 0:
            self._complete(head.keep_alive)
        else:
            self._keep_alive = self._keep_alive and head.keep_alive
            self._hear(Heard.HEAD)
            self._reader = body_reader(framing, self._limits, 0)
        return [ResponseReceived(1, status, fields, framing == 0)]

    def _complete(self, keep_alive: bool) -> None:
        """The response is complete: another request may be made, unless this one is still being sent, or the peer will not."""
        if keep_alive and self._keep_alive and self._writing is _SENT:
            self._reading = _IDLE
            self._writing = _READY
            self._unread = 0
        else:
            self._reading = Reading.DONE
            self._say(Said.CLOSE)
            self.closing = True
        self.wants_read = True

    def _switch(self, version: str, fields: Fields) -> list[Event]:
        """A tunnel only for the protocol that was asked for (FAILURES: upgrade smuggling)."""
        agreed = (
            version == "1.1" and b"upgrade" in connection_options(fields) and upgrade_asked(fields) == self._protocol
        )
        if self._protocol is None or not agreed:
            return self._closed(_UNASKED)
        self._switched()
        return [ResponseReceived(1, 101, fields, False)]

    def _feed_body(self, data: bytes, now: float) -> list[Event]:
        events, failure = self._read_body(data, wanted=True)
        if failure is not None:
            return events + self._closed(failure)
        if self._buffer:
            return events + self._closed(_UNASKED)
        if self._reading is Reading.DONE:
            self._complete(keep_alive=True)
        return events

    def _feed_unasked(self, data: bytes, now: float) -> list[Event]:
        return self._closed(_UNASKED)

    def _end_of_stream(self) -> list[Event]:
        reading = self._reading
        if reading is Reading.TUNNEL:
            self._hear(Heard.END)
            return [MessageEnded(1)]
        if reading is Reading.BODY and self._reader is not None and self._reader.until_close:
            return [MessageEnded(1), *self._closed(None)]
        if self._writing is Writing.TUNNEL:
            return NO_EVENTS
        reasons = {Reading.HEAD: _UPSTREAM_GONE, Reading.BODY: _BODY_CUT}
        return self._closed(reasons.get(reading))

    # -- time

    def tick(self, now: float) -> list[Event]:
        """Nothing is ever due."""
        return NO_EVENTS

    def drain(self) -> None:
        """No request after the one that is out."""
        self._keep_alive = False
        if self._reading is Reading.IDLE:
            self._shut()


class _Head:
    """The head of a request as it goes out; `framing` is how its body does, `end` whether it has none."""

    __slots__ = ("data", "end", "framing")

    def __init__(self, data: bytes, end: bool, framing: Framing) -> None:
        self.data = data
        self.end = end
        self.framing = framing


def _encode(request: Request, end: bool) -> _Head:
    """Raises LocalError where it cannot be sent."""
    method, protocol, fields = request.method, request.protocol, request.fields
    target = request.raw_path + b"?" + request.query if request.query else request.raw_path
    _check_request(method, request.authority, target)
    if protocol is not None and not (end and is_token(protocol.encode("latin-1", "replace"))):
        raise LocalError("an upgrade has a protocol's name and no body")
    lines = field_lines(fields.without(b"host") if b"host" in fields else fields)
    if end and lines.length:
        raise LocalError(f"a body of {lines.length} bytes is declared, but none follows")
    host = request.authority.encode("ascii")
    parts = [method.encode("ascii"), b" ", target, b" HTTP/1.1\r\nhost: ", host, b"\r\n", lines.lines]
    framing: Framing = 0
    if not end:
        framing = CHUNKED if lines.length is None else lines.length
        parts.append(b"transfer-encoding: chunked\r\n" if framing == CHUNKED else b"content-length: %d\r\n" % framing)
    elif method in _WITH_CONTENT or lines.length is not None:
        parts.append(b"content-length: 0\r\n")
    if protocol is not None:
        parts.append(b"upgrade: " + protocol.encode("ascii") + b"\r\nconnection: upgrade\r\n")
    elif b"te" in fields:  # RFC 9110 section 10.1.4
        parts.append(b"connection: te\r\n")
    parts.append(b"\r\n")
    return _Head(b"".join(parts), end, framing)


def _check_request(method: str, authority: str, target: bytes) -> None:
    if not is_token(method.encode("latin-1", "replace")) or method == "CONNECT":
        raise LocalError(f"not a method that can be sent: {method!r}")
    if match_target(target) is None:
        raise LocalError(f"not a request target: {target!r}")
    try:
        parse_authority(authority.encode("latin-1", "replace"))
    except UriError as error:
        raise LocalError(f"not an authority: {authority!r}") from error


# By the reading half's state; in the client role LINGER is never entered.
_FEED: tuple[Callable[[Http1Client, bytes, float], list[Event]], ...] = (
    Http1Client._feed_unasked,
    Http1Client._feed_head,
    Http1Client._feed_body,
    Http1Client._feed_unasked,
    Http1Client._feed_tunnel,
    Http1Client._ignore,
    Http1Client._ignore,
)

# mypy holds the engine to the contract here.
_contract: type[ClientCodec] = Http1Client
