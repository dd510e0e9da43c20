"""The application's end of a link."""

from __future__ import annotations

from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import reason
from enfilade.wire.codec import LocalError, ServerCodec
from enfilade.wire.events import Event, RequestReceived
from enfilade.wire.link.connection import Connection, Fault, Stream
from enfilade.wire.link.frames import (
    DATA_SIZE,
    HEAD_SIZE,
    HEADER_SIZE,
    MOST_STREAMS,
    SIZE_MASK,
    frame,
    pack_header,
    unpack_header,
    word,
)
from enfilade.wire.link.heads import (
    Blocks,
    EncodedFields,
    declared_length,
    decode_request,
    encode_response,
    encoded_response,
    has_no_body,
)
from enfilade.wire.link.states import Half, Kind, Way

KNOWN_BYTES = 512 * 1024
"""Bytes of heads whose requests are remembered: some hundred clients with a page's worth of paths each."""
_ENDS_BYTES = 64 * 1024
_FIELDS_BYTES = 128 * 1024
"""The same of their parts: clients ask for other paths on the same connection, with the same fields."""
_REQUEST = int(Kind.REQUEST)


class LinkServer(Connection):
    """The codec of the application's end. Requests are `LinkedRequest`s; nothing is ever Rejected: the edge has judged them."""

    inbound = Way.UP
    outbound = Way.DOWN
    fault = reason("protocol_error")
    gone = reason("client_gone")
    reset_by_peer = reason("reset_by_peer")
    behind = False

    def __init__(self) -> None:
        super().__init__()
        self._known: Blocks[Stream] = Blocks(KNOWN_BYTES)
        self._ends: Blocks[Ends] = Blocks(_ENDS_BYTES)
        self._fields: Blocks[Fields] = Blocks(_FIELDS_BYTES)
        self._draining = False
        self._begun = 0  # the newest stream of which the edge knows that it was begun

    def forget(self) -> None:
        """See `ServerCodec.forget`."""
        self._known.forget()
        self._ends.forget()
        self._fields.forget()

    def resume(self, now: float) -> list[Event]:
        """See `ServerCodec.resume`: streams do not wait for each other."""
        return []

    # -- bytes in

    def _read(self, data: bytes, events: list[Event]) -> bytes:
        """The hot loop: a request without a body whose head is known needs no more than this."""
        offset = 0
        size = len(data)
        known = self._known
        streams = self._streams
        while size - offset >= HEADER_SIZE:
            stream, second, number = unpack_header(data, offset)
            start = offset + HEADER_SIZE
            end = start + (second & SIZE_MASK)
            if end > size:
                break
            offset = end
            kind = second >> 24
            if kind == _REQUEST and stream > self._last and not self._final:
                payload = data[start:end]
                s = known.get(payload) or self._learn(payload)
                self._last = stream
                streams[stream] = s
                events.append(RequestReceived(stream, s.request, True))
                if len(streams) > MOST_STREAMS:
                    raise Fault
            elif kind == Kind.OPEN:
                self._open(stream, data[start:end], events)
            elif kind == Kind.DRAIN and not stream and start == end:
                self._final = True
                self._settle()
                if self.closing:
                    return b""
            else:
                self._frame(stream, kind, number, data[start:end], events)
        return self._incomplete(data, offset)

    def _learn(self, block: bytes) -> Stream:
        """The stream of a request without a body, remembered if others can have the same."""
        s = self._stream(block)
        if s.expected > 0:
            raise Fault
        s.reads = Half.ENDED
        if s.request.method != "HEAD":
            s.fresh = True
            self._known.keep(block, s)
        return s

    def _open(self, stream: int, block: bytes, events: list[Event]) -> None:
        if stream <= self._last or self._final or len(self._streams) >= MOST_STREAMS:
            raise Fault
        s = self._stream(block)
        s.reads = Half.BODY
        s.tunnel = s.request.protocol is not None
        s.expects = b"expect" in s.request.fields
        self._last = stream
        self._streams[stream] = s
        events.append(RequestReceived(stream, s.request, False))

    def _stream(self, block: bytes) -> Stream:
        if len(block) > HEAD_SIZE:
            raise Fault
        s = Stream(decode_request(block, self._ends, self._fields))
        length = declared_length(s.request.fields)
        if length is not None and s.request.protocol is None:
            s.expected = length
        return s

    def _input_ended(self, stream: int, s: Stream) -> None:
        if s.writes is Half.ENDED:
            self._forget(stream)

    # -- answers

    def pending(self) -> list[bytes]:
        """See `Codec.pending`. Requests that were read are begun by now: their answers say so, or this does."""
        last = self._last
        if last > self._begun:
            self._begun = last
            if last in self._streams:
                self._out.append(frame(Kind.BEGUN, last))
        return super().pending()

    def respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        """See `ServerCodec.respond`. Date is left to the edge."""
        s = self._streams.get(stream)
        known: EncodedFields | None = fields.encoded_link  # type: ignore[assignment]  # nobody else writes it
        if s is not None and s.fresh and known is not None and known.status == status and known.size == len(body):
            self._out += (pack_header(stream, known.word, len(known.head)), known.head, body)
            del self._streams[stream]
            if self._final:
                self._settle()
            return
        self._respond(stream, status, fields, body)

    def _respond(self, stream: int, status: int, fields: Fields, body: bytes) -> None:
        s = self._sendable(stream)
        if s is None:
            return
        known = encoded_response(fields)
        bodiless = has_no_body(s.request, status)
        size = len(body)
        if known.length >= 0 and known.length != size and not bodiless:
            raise LocalError(f"a body of {size} bytes with Content-Length {known.length} on stream {stream}")
        head = _head(status, known)
        if known.length < 0 and status != 204 and status != 304 and (size or not bodiless):
            head += (b"\0" if known.block else b"") + b"content-length\0%d" % size
        if bodiless:
            body, size = b"", 0
        if size > DATA_SIZE:
            self._say(s, Kind.START)
            self._out.append(frame(Kind.START, stream, head))
            s.tunnel = False
            s.rest = memoryview(body)
            self._send_rest(stream, s)
            return
        self._say(s, Kind.ANSWER)
        second = word(Kind.ANSWER, len(head) + size)
        self._out += (pack_header(stream, second, len(head)), head, body)
        if not bodiless:
            known.status, known.size, known.head, known.word = status, size, head, second
        self._forget(stream)

    def start(self, stream: int, status: int, fields: Fields) -> None:
        """See `ServerCodec.start`."""
        s = self._sendable(stream)
        if s is None:
            return
        known = encoded_response(fields)
        head = _head(status, known)
        self._say(s, Kind.START)
        s.bodiless, s.tunnel = has_no_body(s.request, status), False
        s.promised = -1 if s.bodiless else known.length
        self._out.append(frame(Kind.START, stream, head))

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """See `ServerCodec.inform`."""
        s = self._sendable(stream)
        if s is None:
            return
        if not 100 <= status <= 199 or status == 101:
            raise LocalError(f"{status} is no interim response")
        block = encoded_response(fields).block
        self._say(s, Kind.INFORM)
        self._out.append(frame(Kind.INFORM, stream, encode_response(status, block)))

    def accept(self, stream: int, fields: Fields) -> None:
        """See `ServerCodec.accept`."""
        s = self._sendable(stream)
        if s is None:
            return
        if s.request.protocol is None:
            raise LocalError(f"stream {stream} asked for no tunnel")
        block = encoded_response(fields).block
        self._say(s, Kind.ACCEPT)
        if not s.tunnel:
            s.tunnel, s.reads = True, Half.BODY
        self._out.append(frame(Kind.ACCEPT, stream, encode_response(101, block)))

    def consumed(self, stream: int, size: int) -> None:
        """See `Codec.consumed`."""
        s = self._streams.get(stream)
        if s is not None and s.expects:
            s.expects = False
            if not s.held and s.writes is Half.HEAD:
                self.inform(stream, 100, NO_FIELDS)
        super().consumed(stream, size)

    def drain(self) -> None:
        """Tell the edge to make no new requests; those that it has made meanwhile are answered."""
        if not (self._draining or self.closing):
            self._draining = True
            self._out.append(frame(Kind.DRAIN, 0))

    def _output_ended(self, stream: int, s: Stream) -> None:
        """What is missing of a request that was answered is not wanted."""
        if s.reads is Half.ENDED or not s.tunnel:
            self._forget(stream)


def _head(status: int, known: EncodedFields) -> bytes:
    """Raises LocalError where no final response has such a status."""
    if not 200 <= status <= 999:
        raise LocalError(f"no response has the status {status}")
    return encode_response(status, known.block)


_contract: type[ServerCodec] = LinkServer
