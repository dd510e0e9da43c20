"""A line between two processes of ours: messages in JSON over a Unix stream socket pair, each with one descriptor at most.

A frame is four bytes of length, big-endian, and the message. The length's highest bit says that a descriptor comes with it:
descriptors arrive in order, and none later than the first byte that it was sent with.

Both ends may run different versions of Python (3.9 is the oldest).
"""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections import deque
from typing import Any

MAX_MESSAGE = 64 * 1024
"""Bytes of a message at most."""

_WITH_DESCRIPTOR = 1 << 31
_HEAD = 4
_ONE_DESCRIPTOR = socket.CMSG_SPACE(array("i").itemsize)
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # Linux and the BSDs


class Channel:
    """Owns `sock`, one end of a connected pair of Unix stream sockets, and never blocks on it."""

    __slots__ = ("_buffer", "_descriptors", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def fileno(self) -> int:
        """For whoever waits until there is something to receive."""
        return self._sock.fileno()

    def send(self, message: dict[str, Any], fd: int | None = None) -> None:
        """Send `message`, and a copy of the descriptor `fd`, which stays the caller's.

        Raises OSError where the other end is gone, or has not read for so long that there is no room (BlockingIOError): the
        channel is of no use any more then. Raises ValueError for a message of more than MAX_MESSAGE bytes.
        """
        data = json.dumps(message).encode()
        if len(data) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(data)} bytes is too long")
        frame = (len(data) | (_WITH_DESCRIPTOR if fd is not None else 0)).to_bytes(_HEAD, "big") + data
        with_it = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [fd]))]
        if self._sock.sendmsg([frame], with_it) < len(frame):
            raise BlockingIOError("the other end does not read")

    def receive(self) -> list[tuple[dict[str, Any], int | None]]:
        """What has come, each message with its descriptor, which is the caller's from here on; [] if nothing has. There may be
        more where the socket stays readable.

        Raises EOFError where the other end is gone, or sends what are no messages.
        """
        try:
            data, ancillary, _, _ = self._sock.recvmsg(MAX_MESSAGE, _ONE_DESCRIPTOR, _CLOSE_ON_EXEC)
        except BlockingIOError:
            return []
        except ConnectionError:
            data, ancillary = b"", []
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received = array("i")
                received.frombytes(content[: len(content) - len(content) % received.itemsize])
                for fd in received:
                    os.set_inheritable(fd, False)
                    self._descriptors.append(fd)
        if not data:
            raise EOFError("the other end is gone")
        self._buffer += data
        return self._messages()

    def close(self) -> None:
        """Also descriptors that no message was received for."""
        self._sock.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _messages(self) -> list[tuple[dict[str, Any], int | None]]:
        messages: list[tuple[dict[str, Any], int | None]] = []
        buffer = self._buffer
        while len(buffer) >= _HEAD:
            head = int.from_bytes(buffer[:_HEAD], "big")
            end = _HEAD + (head & ~_WITH_DESCRIPTOR)
            if end > _HEAD + MAX_MESSAGE:
                raise EOFError("a message is too long")
            if len(buffer) < end:
                break
            message = _parse(bytes(buffer[_HEAD:end]))
            del buffer[:end]
            if head & _WITH_DESCRIPTOR and not self._descriptors:
                raise EOFError("a message came without its descriptor")
            messages.append((message, self._descriptors.popleft() if head & _WITH_DESCRIPTOR else None))
        if self._descriptors and not buffer:
            raise EOFError("a descriptor came without its message")
        return messages


def _parse(data: bytes) -> dict[str, Any]:
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise EOFError("a message is no JSON object")
    return message
