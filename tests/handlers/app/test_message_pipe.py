"""A WebSocket as whole messages; the engine is the plain one, whose bytes are easily made."""

from __future__ import annotations

import asyncio

from tests.handlers.app.support import run
from websockets.protocol import Protocol, Side

from enfilade.exchange.bodies import HIGH_WATER, Stream
from enfilade.handlers.app.message_pipe import CLOSED, OPEN, QUEUE, MessagePipe
from enfilade.http.reasons import reason
from enfilade.wire.websocket.frames import Frames
from enfilade.wire.websocket.plain import PIECE, PlainFrames

LIMIT = 1 << 20


class Ends:
    """A pipe, opened, and the other end of its tunnel."""

    def __init__(self) -> None:
        self.changes = 0
        self.pipe = MessagePipe(PlainFrames(LIMIT), 0)
        self.pipe.on_change = self._changed
        self.inbound, self.outbound = Stream(), Stream()
        self.pipe.opened(self.inbound, self.outbound)
        self.there = PlainFrames(LIMIT)

    def say(self, message: bytes) -> None:
        self.there.binary(message)
        self.inbound.write(self.there.pending())

    def _changed(self) -> None:
        self.changes += 1


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def test_what_nobody_takes_is_bounded_in_number() -> None:
    async def main() -> None:
        ends = Ends()
        for i in range(2 * QUEUE):
            ends.say(b"%d" % i)
        assert len(ends.pipe._inbox) == QUEUE and ends.inbound.size
        assert [ends.pipe.take() for _ in range(2 * QUEUE)] == [b"%d" % i for i in range(2 * QUEUE)]
        assert ends.pipe.take() is None and ends.pipe._size == 0

    run(main())


def test_what_nobody_takes_is_bounded_in_size() -> None:
    async def main() -> None:
        ends = Ends()
        for _ in range(QUEUE):
            ends.say(bytes(PIECE))
        assert ends.pipe._size == HIGH_WATER and ends.inbound.size > HIGH_WATER

    run(main())


def test_a_peer_that_does_not_read_is_heard_all_the_same() -> None:
    async def main() -> None:
        ends = Ends()
        assert ends.pipe.send(bytes(HIGH_WATER)) is not None
        ends.say(b"hello")
        assert ends.changes == 1 and ends.pipe.take() == b"hello"

    run(main())


def test_a_peer_that_does_not_read_our_answers_is_not_heard_until_it_does() -> None:
    async def main() -> None:
        inbound, outbound = Stream(), Stream()
        pipe = MessagePipe(Frames(), 0)
        pipe.opened(inbound, outbound)
        client = Protocol(Side.CLIENT)
        for _ in range(2000):
            client.send_ping(bytes(100))
            inbound.write(b"".join(client.data_to_send()))
        client.send_binary(b"hello")
        inbound.write(b"".join(client.data_to_send()))
        assert pipe.take() is None and outbound.size < HIGH_WATER + 200
        while pipe.take() != b"hello":
            assert outbound.size
            while outbound.size:
                outbound.take()
            await settle()

    run(main())


def test_a_long_message_is_handed_over_in_pieces_that_fit() -> None:
    async def main() -> None:
        ends = Ends()
        ends.pipe.send(bytes(5 * HIGH_WATER))
        got = []
        while ends.outbound.size:
            chunk = ends.outbound.take()
            assert chunk and len(chunk) <= HIGH_WATER
            got += ends.there.feed(chunk)
        assert got == [bytes(5 * HIGH_WATER)]

    run(main())


def test_each_end_of_the_state_is_told_once() -> None:
    async def main() -> None:
        ends = Ends()
        assert ends.pipe.state == OPEN
        ends.inbound.fail(reason("client_gone"))
        ends.pipe.lost()
        ends.pipe.leave()
        assert (ends.changes, ends.pipe.state, ends.pipe.code) == (1, CLOSED, 1006)
        assert ends.outbound.ended

    run(main())


def test_leaving_tells_the_peer_to_come_again() -> None:
    async def main() -> None:
        ends = Ends()
        ends.pipe.leave()
        ends.there.feed(ends.outbound.take() or b"")
        assert ends.there.code == 1012 and ends.outbound.ended and ends.pipe.state == CLOSED

    run(main())
