"""HTTP/1 in the server role.

What the caller should know beyond `ServerCodec`:

- Pipelined bytes are held back until the response is complete, those that the peer sent ahead of a tunnel until `accept`.
- `100 (Continue)` goes out by itself when the body's reader first calls `consumed`, be it with size 0, if the client waits
  for it and no final response has begun.
- The peer's end of stream before its response has begun cancels the exchange (ConnectionClosed with `client_gone`), as
  nobody can tell a client that has left from one that only stopped sending. A response that has begun may go on.
- A response that ends before its request does is followed by dropping the rest of the request, up to DRAIN bytes, to use
  the connection again. Where that is not possible `closing` comes with `linger`.
"""

from __future__ import annotations

from collections.abc import Callable

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.framing import CHUNKED, UNTIL_CLOSE, Framing
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.wire.codec import DateStamp, LocalError, ServerCodec
from enfilade.wire.events import DataReceived, Event, MessageEnded, Rejected, RequestReceived
from enfilade.wire.http1.connection import NO_EVENTS, SILENT, Connection, tables
from enfilade.wire.http1.head import Block, Control, RequestLine, judge_partial, parse_request_line, read_block
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.reader import LengthReader, body_reader
from enfilade.wire.http1.states import Heard, Reading, Role, Said, Writing
from enfilade.wire.http1.writer import FieldLines, field_lines, status_line

DRAIN = 64 * 1024
"""Bytes of an unwanted body that are read and dropped (hyper and Go drain 256 KiB, Node nothing)."""
REMEMBERED_HEAD = 4096
"""The longest head that is remembered on its connection."""

_PAUSED = float("-inf")
"""When the body's rate was last measured from, if it was us who kept the client waiting since."""

_BAD_UPGRADE = reason("bad_upgrade")
_TOO_LARGE = reason("body_too_large")
_BODY_CUT = reason("body_cut")
_CLIENT_GONE = reason("client_gone")
_HEAD_TIMEOUT = reason("head_timeout")
_BODY_TIMEOUT = reason("body_timeout")
_IDLE_TIMEOUT = reason("idle_timeout")

_SINCE_NOW = float("-inf")
"""When an idle connection's time ends that has been idle since just now: `tick` will know when that was."""

# Looked at for every request: a global costs less than an attribute of a class.
_HEAD, _DONE, _IDLE, _READY, _ANSWERED = Reading.HEAD, Reading.DONE, Writing.IDLE, Writing.READY, Writing.DONE


class Http1Server(Connection):
    """One connection of a server. `scheme` as the listener has it; `now`: when it was accepted, None leaves a silent
    connection without a deadline until its first byte."""

    __slots__ = (
        "_again", "_blank", "_block", "_date", "_drain", "_draining", "_expects", "_http10", "_keep_alive", "_last_head",
        "_last_lines", "_last_request", "_plain", "_rate_bytes", "_rate_from", "_request", "_scheme", "_silent", "behind",
    )  # fmt: skip
    _reads, _writes = tables(Role.SERVER)

    def __init__(self, scheme: str, limits: Http1Limits, date: DateStamp, now: float | None = None) -> None:
        super().__init__(limits, Reading.HEAD, Writing.IDLE)
        self.behind = False
        self._scheme = scheme
        self._date = date
        self._draining = False
        self._due = None if now is None else now + limits.head_timeout
        # Of the request in hand:
        self._request: Request | None = None
        self._keep_alive = True
        self._http10 = False
        self._silent = False  # its response has no body (HEAD)
        self._plain = False  # it persists, is HTTP/1.1 and not HEAD: its response can be the same as the last one's
        self._expects = False  # it waits for 100 (Continue)
        self._drain = DRAIN  # what may still be dropped of its body
        self._rate_from = 0.0
        self._rate_bytes = 0
        # Of the requests before:
        self._blank = 0
        self._last_head = b""
        self._last_request: Request | None = None  # what that means, if it may be told again
        self._last_lines = b""  # its field lines
        self._block: Block | None = None  # what they mean
        self._again: Event | None = None  # what to tell if the very same bytes come again

    # -- bytes in

    def feed(self, data: bytes, now: float) -> list[Event]:
        """See `Codec.feed`."""
        again = self._again
        if again is not None and self._reading is _HEAD and data == self._last_head and not self._buffer:
            self._reading = _DONE
            self._writing = _READY
            self._due = None
            return [again]
        if not data:
            return self._end_of_stream()
        return _FEED[self._reading](self, data, now)

    def resume(self, now: float) -> list[Event]:
        """See `ServerCodec.resume`."""
        if not self.behind:
            return NO_EVENTS
        self.behind = False
        held, self._buffer = self._buffer, b""
        if self._reading is _HEAD:
            return self._feed_head(held, now)
        self._took(len(held))
        return [DataReceived(1, held)]

    def _next(self) -> None:
        """Request and response are complete: another request may come."""
        self._reading = _HEAD
        self._writing = _IDLE
        self._due = _SINCE_NOW
        self.wants_read = True
        if self._buffer:
            self.behind = True

    def _feed_head(self, data: bytes, now: float) -> list[Event]:
        buffer = self._buffer + data if self._buffer else data
        seen = max(0, len(self._buffer) - 3)
        while buffer[:2] == b"\r\n" and self._blank < 2:
            # Clients of old end a POST with a CRLF too many (section 2.2).
            buffer, seen = buffer[2:], 0
            self._blank += 1
        end = buffer.find(b"\r\n\r\n", seen)
        if end < 0 or end + 4 > self._limits.head:
            return self._wait_for_head(buffer, seen, now)
        self._buffer = b""
        self._blank = 0
        return self._take_head(buffer, end, now)

    def _wait_for_head(self, buffer: bytes, seen: int, now: float) -> list[Event]:
        why = judge_partial(buffer, self._scheme, self._limits, seen)
        if why is not None:
            return self._refuse(why, self._known_of(buffer))
        if buffer and not self._buffer:
            self._due = now + self._limits.head_timeout
        self._buffer = buffer
        return NO_EVENTS

    def _known_of(self, buffer: bytes) -> Request | None:
        line_end = buffer.find(b"\r\n")
        if not 0 <= line_end <= self._limits.request_line:
            return None
        line = parse_request_line(buffer[:line_end], self._scheme)
        return None if isinstance(line, Reason) else self._make_request(line, None)

    def _take_head(self, buffer: bytes, end: int, now: float) -> list[Event]:
        request, block = self._last_request, self._block
        rest = buffer[end + 4 :]
        head = buffer[: end + 4] if rest else buffer
        if request is not None and block is not None and head == self._last_head:
            self._note(request, block.control)
            return self._open(request, block.control.framing, rest, now)
        line_end = buffer.find(b"\r\n")
        if line_end > self._limits.request_line:
            return self._refuse(judge_partial(buffer, self._scheme, self._limits), None)
        line = parse_request_line(buffer[:line_end], self._scheme)
        if isinstance(line, Reason):
            return self._refuse(line, None)
        version = line[1]
        lines = buffer[line_end + 2 : end + 2]
        if block is None or lines != self._last_lines or block.control.version != version:
            made = read_block(lines, version, self._limits.fields)
            if isinstance(made, Reason):
                return self._refuse(made, self._make_request(line, None))
            block = made
        request = self._make_request(line, block)
        control = block.control
        if control.upgrade == "websocket" and control.framing and request.method == "GET":
            return self._refuse(_BAD_UPGRADE, request)
        self._note(request, control)
        if end < REMEMBERED_HEAD:
            self._last_head, self._last_lines, self._block = head, lines, block
            self._last_request = request if request.protocol is None else None
        else:
            self._last_head, self._last_lines, self._block, self._last_request = b"", b"", None, None
        return self._open(request, control.framing, rest, now)

    def _make_request(self, line: RequestLine, block: Block | None) -> Request:
        method, version, path, raw_path, query, authority, host = line
        if block is None:
            return Request(method, self._scheme, authority, host, path, raw_path, query, NO_FIELDS, version)
        fields, control = block
        if authority:
            # The target decides (section 3.2.2); whoever reads Host must see the same.
            fields = fields.setting((b"host", authority.encode("ascii")))
        else:
            authority, host = control.authority, control.host
        protocol = control.upgrade
        if protocol is not None and (control.framing or (protocol == "websocket" and method != "GET")):
            protocol = None
        return Request(method, self._scheme, authority, host, path, raw_path, query, fields, version, protocol)

    def _open(self, request: Request, framing: Framing, rest: bytes, now: float) -> list[Event]:
        """The head is good: hand it out, with what came behind it."""
        if framing > self._limits.body > 0:
            return self._refuse(_TOO_LARGE, request)
        self._writing = _READY
        if 0 <= framing <= len(rest):
            body, behind = (rest, b"") if framing == len(rest) else (rest[:framing], rest[framing:])
            event = RequestReceived(1, request, True, body)
            self._hear(Heard.WHOLE)
            self._expects = False  # it did not wait
            self._due = None
            if behind:
                self._hold(behind, now)
            elif not framing and self._keep_alive and self._last_request is not None:
                self._again = event
            return [event]
        event = RequestReceived(1, request, False)
        self._hear(Heard.HEAD)
        self._reader = body_reader(framing, self._limits, self._limits.body)
        self._unread = 0
        self._due = now + self._limits.body_timeout
        self._rate_from, self._rate_bytes = now, 0
        return [event, *self._feed_body(rest, now)] if rest else [event]

    def _note(self, request: Request, control: Control) -> None:
        self._request = request
        self._http10 = request.version == "1.0"
        self._silent = request.method == "HEAD"
        self._keep_alive = control.keep_alive and not self._draining
        self._plain = self._keep_alive and not self._http10 and not self._silent
        self._expects = control.expects
        self._drain = DRAIN
        self._again = None

    def _feed_body(self, data: bytes, now: float) -> list[Event]:
        self._expects = False  # it did not wait
        dropping = self._writing is _ANSWERED
        if self._too_slow(len(data), now):
            return self._fail(_BODY_TIMEOUT)
        self._due = now + self._limits.body_timeout
        events, failure = self._read_body(data, wanted=not dropping)
        if failure is not None:
            return events + self._fail(failure)
        if self._reading is _DONE:
            self._due = None
        if not dropping:
            return events
        self._drain -= len(data) - len(self._buffer)
        if self._drain < 0:
            return self._closed(None, linger=True)
        if self._reading is _DONE:
            self._next()
        return self.resume(now)

    def _too_slow(self, size: int, now: float) -> bool:
        """Whether the body comes with less than the minimum rate, over each stretch of at least `body_timeout`."""
        self._rate_bytes += size
        elapsed = now - self._rate_from
        if elapsed <= self._limits.body_timeout and self._rate_from is not _PAUSED:
            return False
        slow = self._rate_from is not _PAUSED and self._rate_bytes < self._limits.min_rate * elapsed
        self._rate_from, self._rate_bytes = now, 0
        return slow

    def consumed(self, stream: int, size: int) -> None:
        """See `Codec.consumed`. The first call lets a client that waits for 100 (Continue) go on."""
        if self._expects:
            self._expects = False
            self._rate_from = _PAUSED
            if self._writing is _READY:
                self._out.append(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.wants_read:
            self._rate_from = _PAUSED
        super().consumed(stream, size)

    def _end_of_stream(self) -> list[Event]:
        if self._reading is Reading.TUNNEL:
            self._hear(Heard.END)
            return [MessageEnded(1)]
        if self._reading is _HEAD:
            return self._closed(_CLIENT_GONE if self._buffer else None)
        if self._writing is _ANSWERED:
            return self._closed(None)
        if self._reading is Reading.BODY:
            return self._closed(_BODY_CUT)
        if self._reading is _DONE and self._writing is not Writing.BODY:
            return self._closed(_CLIENT_GONE)
        self._keep_alive = False
        self._hear(Heard.CLOSE)  # what we owe, the answer to a refusal or our half of the tunnel, still goes out
        return NO_EVENTS

    # -- refusals

    def _refuse(self, why: Reason | None, request: Request | None) -> list[Event]:
        """The head is refused: one answer, then the end."""
        assert why is not None
        self._say(Said.OPEN)
        self._again = None
        self._request = request
        self._http10 = request is not None and request.version == "1.0"
        self._silent = request is not None and request.method == "HEAD"
        self._keep_alive = self._plain = False
        return self._listen_no_more(why)

    def _fail(self, why: Reason) -> list[Event]:
        """The body is refused; its head was handed out."""
        self._keep_alive = self._plain = False
        if self._writing is _ANSWERED:
            return self._closed(why, linger=True)
        return self._listen_no_more(why)

    def _listen_no_more(self, why: Reason) -> list[Event]:
        self._hear(Heard.CLOSE)
        self._reader = None
        self._buffer = b""
        self._expects = False
        self._due = None
        self.wants_read = True
        return [Rejected(1, why, self._request)]

    # -- what may be sent

    def respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        """See `ServerCodec.respond`."""
        if self._writing is not _READY:
            self._say(Said.WHOLE)
        lines = fields.encoded_http1
        if not isinstance(lines, FieldLines):
            lines = field_lines(fields)
        if self._plain and self._reading is _DONE:
            same = lines.base or lines
            if same.status == status and same.size == len(body) and same.stamp is self._date.http1:
                self._out += (lines.head, body) if same is lines else (same.head[:-2], lines.tail, body)
                self._next()
                return
        self._respond(status, lines, body)

    def _respond(self, status: int, lines: FieldLines, body: bytes) -> None:
        bodyless = _has_no_body(status)
        length = lines.length
        if not bodyless:
            if length is None:
                length = len(body)
            elif length != len(body) and not (self._silent and not body):
                raise LocalError(f"the body has {len(body)} bytes, its Content-Length says {length}")
        elif status == 204:
            length = None
        self._announce_close()
        head = self._head(status, lines, length, chunked=False)
        self._say(Said.WHOLE)
        self._out.append(head)
        if bodyless:
            body = b""
        if not self._silent:
            self._out.append(body)
            if self._plain and self._reading is _DONE:
                self._remember(status, lines, length, len(body), head)
        self._sent()

    def _remember(self, status: int, lines: FieldLines, length: int | None, size: int, head: bytes) -> None:
        same = lines.base or lines
        if same is not lines:
            if not same.again:
                same.again = True
                return
            head = self._head(status, same, length, chunked=False)
        same.status, same.size, same.stamp, same.head = status, size, self._date.http1, head

    def start(self, stream: int, status: int, fields: Fields) -> None:
        """See `ServerCodec.start`."""
        lines = field_lines(fields)
        length = lines.length
        if self._writing is not _READY:
            self._say(Said.HEAD)
        chunked = False
        if _has_no_body(status):
            left = SILENT
            length = None if status == 204 else length
        else:
            chunked = length is None and not self._http10
            left = CHUNKED if chunked else UNTIL_CLOSE if length is None else length
            if left == UNTIL_CLOSE and not self._silent:
                self._keep_alive = False
        head = self._head(status, lines, length, chunked)
        self._say(Said.HEAD)
        self._out.append(head)
        self._left = SILENT if self._silent else left

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """See `ServerCodec.inform`; a client that speaks HTTP/1.0 gets nothing (RFC 9110 section 15.2)."""
        if not 100 <= status < 200 or status == 101:
            raise LocalError(f"{status} is not an interim status")
        lines = field_lines(fields)
        self._say(Said.INFORM)
        if status == 100:
            self._expects = False
        if not self._http10:
            self._out.append(status_line(status) + lines.lines + b"\r\n")

    def accept(self, stream: int, fields: Fields) -> None:
        """See `ServerCodec.accept`."""
        request = self._request
        if request is None or request.protocol is None:
            raise LocalError("no upgrade was asked for")
        lines = field_lines(fields)
        self._switched()
        self.wants_read = True
        self.behind = bool(self._buffer)
        protocol = request.protocol.encode("latin-1")
        upgrade = b"upgrade: " + protocol + b"\r\nconnection: upgrade\r\n"
        self._out.append(status_line(101) + upgrade + lines.lines + b"\r\n")

    def _head(self, status: int, lines: FieldLines, length: int | None, chunked: bool) -> bytes:
        if status < 200:
            raise LocalError(f"{status} is not a final status")
        parts = [status_line(status), lines.lines]
        if length is not None:
            parts.append(b"content-length: %d\r\n" % length)
        elif chunked:
            parts.append(b"transfer-encoding: chunked\r\n")
        if not self._keep_alive:
            parts.append(b"connection: close\r\n")
        elif self._http10:
            parts.append(b"connection: keep-alive\r\n")
        if not lines.has_date:
            parts.append(self._date.http1)
        parts.append(b"\r\n")
        return b"".join(parts)

    def _announce_close(self) -> None:
        """A whole response before the end of its request: say so if the rest will not be waited for."""
        reader = self._reader
        if reader is not None and (self._expects or not isinstance(reader, LengthReader) or reader.left > self._drain):
            self._keep_alive = False

    def _sent(self) -> None:
        """The response is complete: what becomes of the connection?"""
        if self._reading is Reading.BODY:
            self._unread = 0
            self.wants_read = True
            # A client that still waits for 100 (Continue) may or may not send its body: nobody could tell what comes next.
            if self._expects or not self._keep_alive:
                self._hear(Heard.CLOSE)
                self._reader = self._due = None
        if self._reading is Reading.CLOSED or (self._reading is _DONE and not self._keep_alive):
            self.closing = self.wants_read = True
            self.linger = self._reading is Reading.CLOSED or bool(self._buffer)
        elif self._reading is _DONE:
            self._next()

    # -- time

    def tick(self, now: float) -> list[Event]:
        """See `Codec.tick`."""
        if self._due is None or now < self._due:
            return NO_EVENTS
        if self._due is _SINCE_NOW:
            self._due = now + self._limits.idle_timeout
            return NO_EVENTS
        self._due = None
        if self._reading is _HEAD:
            return self._refuse(_HEAD_TIMEOUT, None) if self._buffer else self._closed(_IDLE_TIMEOUT)
        if self._reading is Reading.BODY:
            if not self.wants_read or self._expects or self._rate_from is _PAUSED:
                self._rate_from, self._rate_bytes = now, 0
                self._due = now + self._limits.body_timeout
                return NO_EVENTS
            return self._fail(_BODY_TIMEOUT)
        return self._closed(None)

    def drain(self) -> None:
        """See `Codec.drain`. An idle connection stays: its client may be sending just now."""
        self._draining = True
        self._keep_alive = self._plain = False
        self._again = None

    def forget(self) -> None:
        """See `ServerCodec.forget`: the last head."""
        if self._reading is _HEAD:
            self._last_head = self._last_lines = b""
            self._again = self._block = self._request = self._last_request = None


def _has_no_body(status: int) -> bool:
    return status in (204, 304)


# By the reading half's state; in the server role IDLE is never entered.
_FEED: tuple[Callable[[Http1Server, bytes, float], list[Event]], ...] = (
    Http1Server._ignore,
    Http1Server._feed_head,
    Http1Server._feed_body,
    Http1Server._hold,
    Http1Server._feed_tunnel,
    Http1Server._ignore,
)

# mypy holds the engine to the contract here.
_contract: type[ServerCodec] = Http1Server
