"""Datagrams by the batch: those that wait at a door are received in one system call, recvmmsg(2), and answered in one,
sendmmsg(2), which only Linux has; elsewhere each takes two of its own.

A short datagram costs little but system calls, and the address that Python makes for each and takes apart for its answer. In a
batch, addresses stay as the kernel has written them, where the answers' headers point; who wants to read one asks for it.
"""

from __future__ import annotations

import mmap
import socket
import struct
import sys
from collections.abc import Sequence
from ctypes import CDLL, Structure, addressof, byref, c_char, c_int, c_size_t, c_uint, c_void_p, sizeof
from typing import Any, Protocol

from enfilade.models.conversation import Conversation
from enfilade.models.server import READ, WRITE_FAILED, Server

BATCH = 64
"""Datagrams that are received at once at most, before others have their turn."""
HOLD = 0.005
"""Seconds for which answers wait for those to others at most: a handler that takes its time holds back none that is ready."""


class Batches(Protocol):
    """The datagrams of a non-blocking socket, batch by batch."""

    def receive(self) -> list[bytes]:
        """The next batch, whose datagrams are numbered from 0; empty: none waits, or word has come of one that was sent and
        did not arrive."""

    def address(self, number: int) -> Any:
        """Who sent that one of the batch, as recvfrom(2) has it."""

    def send(self, answers: Sequence[bytes | None], first: int = 0) -> int:
        """Answer the batch, number by number from `first` on; None: not that one. Returns how many could not be sent."""


def batches_of(sock: socket.socket) -> Batches:
    """In the best way that the system has."""
    return Together(sock) if sys.platform == "linux" else OneByOne(sock)


def answer_batch(server: Server, batches: Batches, conversation: Conversation) -> None:
    """Answer the next batch at once: as nobody else is there meanwhile, one `conversation` serves for all."""
    answers: list[bytes | None] = []
    first, send_at, failed = 0, server.clock() + HOLD, 0
    for number, datagram in enumerate(batches.receive()):
        admitted = server.doorkeeper is None or server.admits(batches.address(number))
        answers.append(server.answer(conversation, datagram) if admitted else None)
        if (now := server.clock()) >= send_at:
            failed += batches.send(answers, first)
            answers.clear()
            first, send_at = number + 1, now + HOLD
    failed += batches.send(answers, first)
    server.count(conversation)
    for _ in range(failed):
        server.refuse(WRITE_FAILED)


class OneByOne:
    """See `Batches`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._addresses: list[Any] = []

    def receive(self) -> list[bytes]:
        """See `Batches.receive`."""
        self._addresses.clear()
        datagrams = []
        try:
            for _ in range(BATCH):
                datagram, address = self._sock.recvfrom(READ)
                datagrams.append(datagram)
                self._addresses.append(address)
        except OSError:
            pass
        return datagrams

    def address(self, number: int) -> Any:
        """See `Batches.address`."""
        return self._addresses[number]

    def send(self, answers: Sequence[bytes | None], first: int = 0) -> int:
        """See `Batches.send`."""
        failed = 0
        for answer, address in zip(answers, self._addresses[first:], strict=False):
            try:
                if answer is not None:
                    self._sock.sendto(answer, address)
            except OSError:
                failed += 1
        return failed


class _Part(Structure):
    """struct iovec, readv(2)."""

    _fields_ = (("start", c_void_p), ("length", c_size_t))


class _Header(Structure):
    """struct msghdr, recvmsg(2)."""

    _fields_ = (
        ("address", c_void_p),
        ("address_length", c_uint),
        ("parts", c_void_p),
        ("parts_length", c_size_t),
        ("control", c_void_p),
        ("control_length", c_size_t),
        ("flags", c_int),
    )


class _Message(Structure):
    """struct mmsghdr, recvmmsg(2)."""

    _fields_ = (("header", _Header), ("length", c_uint))


class _Messages:
    """A batch of them, in `room` and with `addresses`. `pointers`: to each, for the system, which writes to `received` how long
    those are that it has received; `lengths` are those of their room."""

    def __init__(self, room: mmap.mmap, addresses: bytearray) -> None:
        start, address = addressof(c_char.from_buffer(room)), addressof(c_char.from_buffer(addresses))
        address_length = len(addresses) // BATCH
        parts = (_Part * BATCH)(*(_Part(start + number * READ, READ) for number in range(BATCH)))
        messages = (_Message * BATCH)()
        for number, message in enumerate(messages):
            part = addressof(parts) + number * sizeof(_Part)
            message.header = _Header(address + number * address_length, address_length, part, 1)
        self.pointers = [byref(messages, number * sizeof(_Message)) for number in range(BATCH)]
        self.lengths = _column(memoryview(parts).cast("B").cast("L"), sizeof(_Part), _Part.length.offset)
        self.received = _column(memoryview(messages).cast("B").cast("I"), sizeof(_Message), _Message.length.offset)


def _column(numbers: memoryview, row: int, offset: int) -> memoryview:
    """One number of each row; in bytes, how long a row is, and where in it that number stands."""
    return numbers[offset // numbers.itemsize :: row // numbers.itemsize]


_ADDRESS_LENGTH = {socket.AF_INET: 16, socket.AF_INET6: 28}
_V4, _V6, _V6_SCOPE = struct.Struct("!2xH4s8x"), struct.Struct("!2xHI16s4x"), struct.Struct("=24xI")


def read_address(family: int, address: bytes) -> Any:
    """What a sockaddr_in, ip(7), or sockaddr_in6, ipv6(7), says, as `socket` has it."""
    if family == socket.AF_INET:
        port, host = _V4.unpack(address)
        return socket.inet_ntop(family, host), port
    port, flow, host = _V6.unpack(address)
    return socket.inet_ntop(family, host), port, flow, *_V6_SCOPE.unpack(address)


class Together:
    """See `Batches`. Room is made once, for the longest datagrams that there can be, so that none is ever cut: 4 MB, of which the
    system gives only what is written to, a page for each short one. Answers are written over what they answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._fd, self._family = sock.fileno(), sock.family
        self._room = mmap.mmap(-1, BATCH * READ, flags=mmap.MAP_PRIVATE)
        self._address_length = _ADDRESS_LENGTH[sock.family]
        self._addresses = bytearray(BATCH * self._address_length)
        self._asked = _Messages(self._room, self._addresses)
        self._answers = _Messages(self._room, self._addresses)
        # Their arguments are not declared: numbers become `int`, which is right, and to look at what was declared would take
        # longer than the rest of a call.
        library = CDLL(None)
        self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg

    def receive(self) -> list[bytes]:
        """See `Batches.receive`."""
        room, lengths = self._room, self._asked.received
        count = self._recvmmsg(self._fd, self._asked.pointers[0], BATCH, 0, None)
        return [room[number * READ : number * READ + lengths[number]] for number in range(count)]

    def address(self, number: int) -> Any:
        """See `Batches.address`."""
        at = number * self._address_length
        return read_address(self._family, bytes(self._addresses[at : at + self._address_length]))

    def send(self, answers: Sequence[bytes | None], first: int = 0) -> int:
        """See `Batches.send`."""
        room, lengths = self._room, self._answers.lengths
        failed, end = 0, first + len(answers)
        for number, answer in enumerate(answers, first):
            if answer is not None and len(answer) <= READ:
                at, length = number * READ, len(answer)
                room[at : at + length] = answer
                lengths[number] = length
            else:
                failed += self._send(first, number) + (answer is not None)
                first = number + 1
        return failed + self._send(first, end)

    def _send(self, first: int, end: int) -> int:
        """Those from `first` up to `end`. Only if the very first fails it is an error; otherwise they are fewer."""
        failed = 0
        while first < end:
            sent = self._sendmmsg(self._fd, self._answers.pointers[first], end - first, 0)
            failed += sent < 1
            first += max(sent, 1)
        return failed
