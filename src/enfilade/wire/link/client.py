"""The edge's end of a link."""

from __future__ import annotations

from typing import ClassVar, cast

from enfilade.http.linked import LinkedRequest
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.wire.codec import ClientCodec, LocalError
from enfilade.wire.events import Drained, Event, ResponseReceived
from enfilade.wire.link.connection import NO_REQUEST, Connection, Fault, Stream, Take
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
    Answer,
    Blocks,
    decode_response,
    encode_request,
    encoded,
    has_no_body,
)
from enfilade.wire.link.states import MOVES, Half, Kind, Way

KNOWN_BYTES = 256 * 1024
"""Bytes of heads whose meaning is remembered."""
_ANSWER = int(Kind.ANSWER)
_REQUEST_WORD = Kind.REQUEST << 24

_ASKED = Stream(NO_REQUEST)
"""Stands for every stream whose request is out, had no body, and asked for nothing special."""
_ASKED.fresh = True
_ASKED.writes = Half.ENDED


class LinkClient(Connection):
    """The codec of the edge's end. At most `limit` streams are open at once.

    When a response has ended, its stream is over, also if the request has not: the rest of that is not wanted.
    """

    inbound = Way.DOWN
    outbound = Way.UP
    fault = reason("bad_response")
    gone = reason("application_gone")
    reset_by_peer = reason("upstream_reset")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = min(limit, MOST_STREAMS)
        self._known: Blocks[Answer] = Blocks(KNOWN_BYTES)
        self._begun = 0

    @property
    def sent(self) -> int:
        """The newest stream, which is how many requests there were."""
        return self._last

    @property
    def begun(self) -> int:
        """The newest stream whose request the application has taken up, which it does in their order."""
        return self._begun

    @property
    def available(self) -> int:
        """How many more requests may be made now."""
        return max(0, self._limit - len(self._streams))

    def forget(self) -> None:
        """Give back what is remembered to be fast."""
        self._known.forget()

    # -- what may be sent

    def request(self, request: Request, *, end: bool) -> int:
        """See `ClientCodec.request`; it takes a LinkedRequest, all of which is told."""
        streams = self._streams
        if len(streams) >= self._limit:
            raise LocalError("no more streams can be opened")
        block = cast("bytes | None", request.encoded)
        stream = self._last + 1
        if end and block is not None:
            streams[stream] = _ASKED
            self._out += (pack_header(stream, _REQUEST_WORD + len(block), 0), block)
        else:
            self._request(stream, cast(LinkedRequest, request), end)
        self._last = stream
        return stream

    def _request(self, stream: int, request: LinkedRequest, end: bool) -> None:
        """One that is not known, or has something special."""
        block = encode_request(request)
        kind = Kind.REQUEST if end else Kind.OPEN
        s = Stream(request)
        s.writes = MOVES[Way.UP][Half.HEAD][kind]
        length = encoded(request.fields).length
        if end and length > 0:
            raise LocalError("a body was promised")
        if request.protocol is None:
            s.promised = length
        else:
            s.tunnel = not end
        if end and request.protocol is None and request.method != "HEAD":
            request.encoded = block
        self._streams[stream] = s
        self._out += (pack_header(stream, word(kind, len(block)), 0), block)

    def drain(self) -> None:
        """Make no new requests; `closing` when those that are open are done."""
        if not (self._final or self.closing):
            self._final = True
            self._limit = 0
            self._out.append(frame(Kind.DRAIN, 0))
            self._settle()

    # -- bytes in

    def _read(self, data: bytes, events: list[Event]) -> bytes:
        """The hot loop: a whole answer whose head is known, to a request that is nothing special, needs no more than this."""
        offset = 0
        size = len(data)
        known = self._known
        streams = self._streams
        begun = self._begun
        while size - offset >= HEADER_SIZE:
            stream, second, number = unpack_header(data, offset)
            start = offset + HEADER_SIZE
            end = start + (second & SIZE_MASK)
            if end > size:
                break
            offset = end
            if stream > begun:
                begun = stream
            kind = second >> 24
            if kind == _ANSWER and streams.get(stream) is _ASKED:
                body_at = start + number
                answer = known.get(data[start:body_at])
                if answer is not None and answer.length == end - body_at:
                    del streams[stream]
                    events.append(ResponseReceived(stream, answer.status, answer.fields, True, data[body_at:end]))
                    continue
            if kind == Kind.DRAIN and not stream and start == end:
                events.append(Drained(self._last))
                self.drain()
                if self.closing:
                    return b""
            elif kind != Kind.BEGUN or not 0 < stream <= self._last or start != end:
                self._frame(stream, kind, number, data[start:end], events)
        self._begun = begun
        if self._final:
            self._settle()
        return self._incomplete(data, offset)

    def _head(self, block: bytes) -> Answer:
        """What the head of a response means."""
        answer = self._known.get(block)
        if answer is None:
            if len(block) > HEAD_SIZE:
                raise Fault
            answer = decode_response(block)
            self._known.keep(block, answer)
        return answer

    def _take_answer(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        if not number <= len(payload) <= number + DATA_SIZE:
            raise Fault
        answer = self._head(payload[:number])
        body = payload[number:]
        if has_no_body(s.request, answer.status):
            unfit = len(body) > 0
        else:
            unfit = answer.length is not None and answer.length != len(body)
        if unfit or answer.status < 200:
            raise Fault
        events.append(ResponseReceived(stream, answer.status, answer.fields, True, body))
        self._forget(stream)

    def _take_start(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        answer = self._head(payload)
        if answer.status < 200:
            raise Fault
        s.tunnel = False
        if has_no_body(s.request, answer.status):
            s.expected = 0
        elif answer.length is not None:
            s.expected = answer.length
        events.append(ResponseReceived(stream, answer.status, answer.fields, False))

    def _take_interim(
        self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]
    ) -> None:
        answer = self._head(payload)
        if answer.status >= 200 or answer.status == 101:
            raise Fault
        events.append(ResponseReceived(stream, answer.status, answer.fields, False))

    def _take_accept(self, stream: int, s: Stream, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        answer = self._head(payload)
        if answer.status != 101 or s.request.protocol is None:
            raise Fault
        if not s.tunnel:
            s.tunnel, s.writes = True, Half.BODY
        events.append(ResponseReceived(stream, 101, answer.fields, False))

    _TAKE: ClassVar[dict[int, Take]] = {
        **Connection._TAKE,
        Kind.ANSWER: _take_answer,
        Kind.START: _take_start,
        Kind.INFORM: _take_interim,
        Kind.ACCEPT: _take_accept,
    }

    def _input_ended(self, stream: int, s: Stream) -> None:
        """What is missing of a request that was answered is not wanted."""
        if s.writes is Half.ENDED or not s.tunnel:
            self._forget(stream)

    def _output_ended(self, stream: int, s: Stream) -> None:
        if s.reads is Half.ENDED:
            self._forget(stream)

    def _close(self) -> None:
        super()._close()
        self._limit = 0


_contract: type[ClientCodec] = LinkClient
