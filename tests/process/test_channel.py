"""Messages and descriptors between processes of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from enfilade.process.channel import MAX_MESSAGE, Channel

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = map(Channel, socket.socketpair())
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def raw() -> Iterator[tuple[socket.socket, Channel]]:
    """A peer that may send anything, and the channel that it sends it to."""
    here, there = socket.socketpair()
    channel = Channel(there)
    yield here, channel
    here.close()
    channel.close()


def received(channel: Channel) -> list[tuple[dict[str, Any], int | None]]:
    """All that is there."""
    found = []
    while some := channel.receive():
        found += some
    return found


def frame(data: bytes, flag: int = 0) -> bytes:
    return (len(data) | flag).to_bytes(4, "big") + data


def test_messages_keep_their_order_and_go_both_ways(pair: Pair) -> None:
    here, there = pair
    assert there.receive() == []
    here.send({"start": {"name": "ä"}})
    here.send({"drain": 1.5})
    assert received(there) == [({"start": {"name": "ä"}}, None), ({"drain": 1.5}, None)]
    there.send({"ready": {}})
    assert received(here) == [({"ready": {}}, None)]


def test_a_descriptor_comes_with_its_own_message(pair: Pair) -> None:
    here, there = pair
    ends = [os.pipe() for _ in range(3)]
    here.send({"plain": 0})
    for i, (_, writer) in enumerate(ends):
        here.send({"link": i}, writer)
        os.close(writer)
        here.send({"plain": i})
    copies = {message["link"]: fd for message, fd in received(there) if "link" in message}
    for i, (reader, _) in enumerate(ends):
        fd = copies[i]
        assert fd is not None and not os.get_inheritable(fd)
        os.write(fd, b"%d" % i)
        os.close(fd)
        assert os.read(reader, 10) == b"%d" % i
        os.close(reader)


def test_a_message_in_pieces_is_whole_with_the_last(raw: tuple[socket.socket, Channel]) -> None:
    peer, channel = raw
    for byte in frame(b'{"a":1}')[:-1]:
        peer.send(bytes([byte]))
        assert channel.receive() == []
    peer.send(b"}" + frame(b"{}"))
    assert received(channel) == [({"a": 1}, None), ({}, None)]


def test_what_was_said_before_the_end_is_heard(pair: Pair) -> None:
    here, there = pair
    here.send({"failed": "why"})
    here.close()
    assert there.receive() == [({"failed": "why"}, None)]
    with pytest.raises(EOFError):
        there.receive()
    with pytest.raises(OSError):
        there.send({})


@pytest.mark.parametrize(
    "data",
    [
        frame(b"x" * (MAX_MESSAGE + 1))[:4],
        frame(b"[]"),
        frame(b"{"),
        frame(b"\xff"),
        frame(b"[" * 10_000),
        frame(b"{}", 1 << 31),  # it says that a descriptor comes with it
    ],
)
def test_nonsense_is_the_end(raw: tuple[socket.socket, Channel], data: bytes) -> None:
    peer, channel = raw
    peer.sendall(data)
    with pytest.raises(EOFError):
        channel.receive()


def test_a_descriptor_that_nobody_announced_is_the_end_and_is_closed(raw: tuple[socket.socket, Channel]) -> None:
    peer, channel = raw
    reader, writer = os.pipe()
    socket.send_fds(peer, [frame(b"{}")], [writer])
    os.close(writer)
    with pytest.raises(EOFError):
        channel.receive()
    channel.close()
    assert os.read(reader, 1) == b""  # nobody holds the other end
    os.close(reader)


def test_a_message_that_is_too_long_is_not_sent(pair: Pair) -> None:
    here, there = pair
    with pytest.raises(ValueError, match="too long"):
        here.send({"a": "x" * MAX_MESSAGE})
    assert there.receive() == []


def test_whoever_does_not_read_blocks_nobody(pair: Pair) -> None:
    here, _ = pair
    with pytest.raises(BlockingIOError):
        fill(here)


def fill(channel: Channel) -> None:
    for _ in range(10_000):
        channel.send({"a": "x" * 1000})
