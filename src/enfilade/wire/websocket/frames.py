"""What flows through an open WebSocket (RFC 6455 section 5): bytes in and whole messages out, and the other way round.

The `websockets` package's sans-IO engine does it. Small whole frames without extension, which chats and games consist of, are
read and written here: that takes a third of the time (2.4 us for an echo, measured, and 7.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from enfilade.http.reasons import Reason, reason

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiler was there when it was installed
    from websockets.utils import apply_mask

MAX_SIZE = 16 * 1024 * 1024
"""Bytes of a message, after inflating (uvicorn: the same)."""
MAX_FRAGMENTS = 128 * 1024
"""Frames of one message. They are joined as they come, so this limits work, not memory: some clients send pieces of 64 bytes."""

Message = str | bytes

_BAD_FRAME = reason("bad_frame")
_TEXT, _BINARY = 0x81, 0x82  # first byte of a whole frame: FIN and the opcode (section 5.2)
_MASKED = 0x80
_SHORT = 125
_LENGTH_16 = Struct("!BBH").pack
_LENGTH_64 = Struct("!BBQ").pack


class _Protocol(Protocol):
    """The library fails where a close comes between the frames of a message; it may (section 5.4), and is answered as any."""

    def fail(self, code: int, reason: str = "") -> None:
        if self.close_rcvd is not None:
            code, reason = self.close_rcvd.code, self.close_rcvd.reason
            if code == CloseCode.NO_STATUS_RCVD:
                code = CloseCode.NORMAL_CLOSURE
        super().fail(code, reason)


class Frames:
    """The server's end of an open WebSocket. `over`: nothing more will come, `code` and `reason` say how the peer closed
    (1005: without a code, 1006: not at all); `ended`: we have nothing more to say, either: end the tunnel when `pending` was
    written; `failure`: why we closed it, where that was the peer's fault."""

    __slots__ = ("_count", "_is_text", "_max_fragments", "_partial", "_plain", "_protocol", "_size", "code", "failure",
                 "over", "reason")  # fmt: skip

    def __init__(
        self, extensions: Sequence[Extension] = (), max_size: int = MAX_SIZE, max_fragments: int = MAX_FRAGMENTS
    ) -> None:
        self._protocol = _Protocol(Side.SERVER, state=OPEN, max_size=max_size)
        self._protocol.extensions = list(extensions)
        self._plain = not extensions
        self._max_fragments = max_fragments
        self._size = min(_SHORT, max_size)
        self._is_text = False
        self._partial: bytearray | None = None  # a message whose last fragment has not come
        self._count = 0
        self.over = False
        self.code = 1006
        self.reason = ""
        self.failure: Reason | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes of the tunnel (`b""`: its end); the messages that are complete now. Pings are answered by `pending`."""
        messages: list[Message] = []
        protocol = self._protocol
        if self.over:
            return messages
        if not data:
            self.fail(CloseCode.ABNORMAL_CLOSURE, "")
            return messages
        if self._partial is None and not protocol.reader.buffer and protocol.state is OPEN:
            data = self._read_whole(data, messages)
            if not data:
                return messages
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if self.over:
                break
            assert isinstance(frame, Frame)
            self._take_frame(frame, messages)
        if protocol.parser_exc is not None and not self.over:
            if protocol.close_rcvd is not None:
                self._closed()
                return messages
            too_big = isinstance(protocol.parser_exc, PayloadTooBig)
            self._failed(CloseCode.MESSAGE_TOO_BIG if too_big else CloseCode.PROTOCOL_ERROR)
        return messages

    def text(self, text: str) -> None:
        """Send a text message."""
        self._send(_TEXT, text.encode())

    def binary(self, data: bytes) -> None:
        """Send a binary message."""
        self._send(_BINARY, data)

    def ping(self) -> None:
        """Send a ping."""
        if self._protocol.state is OPEN:
            self._protocol.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake. Raises ValueError if `code` or `reason` cannot be sent (section 7.4)."""
        if self._protocol.state is not OPEN:
            return
        try:
            self._protocol.send_close(code, reason)
        except (ProtocolError, UnicodeEncodeError) as error:
            raise ValueError(str(error)) from None

    def fail(self, code: int, reason: str) -> None:
        """Close without waiting for the peer (section 7.1.7)."""
        self._protocol.fail(code, reason)
        self.over = True

    def pending(self) -> bytes:
        """What is to be written now."""
        return b"".join(self._protocol.data_to_send())

    @property
    def ended(self) -> bool:
        return self._protocol.eof_sent

    def _read_whole(self, data: bytes, messages: list[Message]) -> bytes:
        """Read the small, whole, masked frames that `data` begins with, and return the rest."""
        at, end = 0, len(data)
        while end - at >= 6:
            first = data[at]
            payload = at + 6
            size = data[at + 1] - _MASKED
            if (first != _TEXT and first != _BINARY) or not 0 <= size <= self._size or payload + size > end:
                break
            content = apply_mask(data[payload : payload + size], data[at + 2 : payload])
            at = payload + size
            if first == _BINARY:
                messages.append(content)
            elif not self._take_text(content, messages):
                return b""
        return data[at:] if at else data

    def _take_frame(self, frame: Frame, messages: list[Message]) -> None:
        if frame.opcode is Opcode.CLOSE:
            self._closed()
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                self._take_message(bytes(frame.data), messages)
            else:
                self._partial, self._count = bytearray(frame.data), 1
        elif frame.opcode is Opcode.CONT:
            assert self._partial is not None
            self._partial += frame.data
            self._count += 1
            if frame.fin:
                content, self._partial = bytes(self._partial), None
                self._take_message(content, messages)
            elif self._count >= self._max_fragments:
                self._failed(CloseCode.MESSAGE_TOO_BIG, "too many fragments")

    def _closed(self) -> None:
        close = self._protocol.close_rcvd
        assert close is not None
        self.code, self.reason, self.over = close.code, close.reason, True

    def _take_message(self, content: bytes, messages: list[Message]) -> None:
        if self._is_text:
            self._take_text(content, messages)
        else:
            messages.append(content)

    def _take_text(self, content: bytes, messages: list[Message]) -> bool:
        try:
            messages.append(content.decode())
        except UnicodeDecodeError:  # section 8.1
            self._failed(CloseCode.INVALID_DATA, "not UTF-8")
            return False
        return True

    def _failed(self, code: CloseCode, why: str = "") -> None:
        self._protocol.fail(code, why)
        self._partial = None
        self.failure = _BAD_FRAME
        self.over = True

    def _send(self, first: int, payload: bytes) -> None:
        protocol = self._protocol
        if protocol.state is not OPEN:
            return
        if not self._plain:
            (protocol.send_text if first == _TEXT else protocol.send_binary)(payload)
            return
        size = len(payload)
        if size <= _SHORT:
            protocol.writes.append(bytes((first, size)) + payload)
        elif size < 65536:
            protocol.writes.append(_LENGTH_16(first, 126, size) + payload)
        else:
            protocol.writes.append(_LENGTH_64(first, 127, size) + payload)
