"""What is the bridge's own; that sessions are the same with it as without, is in test_websocket.py."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from tests.handlers.app.support import answer, make, run
from tests.handlers.app.test_websocket import Client, bridged, echo, listening, settle, upgrade
from websockets.frames import Frame

from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response, Tunnel
from enfilade.handlers.app.bridge import WebSocketBridge
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.wire.websocket.handshake import Negotiator
from enfilade.wire.websocket.plain import PIECE, PlainFrames


class Process:
    """A process that says what it likes, at the other end of a link: the link's Pipe, and the handler that has it answer."""

    def __init__(self, status: int = 101, fields: Any = ()) -> None:
        self.response = Response(status, Fields(fields), Tunnel(self))
        self.frames = PlainFrames(PIECE)
        self.asked = 0

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        self.asked += 1
        return self.response

    def opened(self, inbound: Stream, outbound: Stream) -> None:
        self.inbound, self.outbound = inbound, outbound

    def leave(self) -> None:
        raise AssertionError

    def say(self, data: bytes) -> None:
        self.outbound.write(data)

    def hears(self) -> list[str | bytes]:
        """What came meanwhile."""
        heard: list[str | bytes] = []
        while (data := self.inbound.take()) is not None:
            heard += self.frames.feed(data)
            if not data:
                break
        return heard


async def connect(process: Process) -> Client:
    return Client(await answer(WebSocketBridge(process, Negotiator(), lambda: PlainFrames(PIECE)), upgrade()))


def test_what_is_no_websocket_is_handed_on_as_it_is() -> None:
    process = Process(200)
    bridge = WebSocketBridge(process, Negotiator(), lambda: PlainFrames(PIECE))
    assert bridge(make()) is process.response


def test_a_bad_handshake_is_not_handed_on() -> None:
    process = Process()
    bridge = WebSocketBridge(process, Negotiator(), lambda: PlainFrames(PIECE))
    response = bridge(make(fields=[(b"sec-websocket-version", b"8")], protocol="websocket"))
    assert isinstance(response, Response) and response.status == 426 and process.asked == 0


def test_an_answer_that_comes_later() -> None:
    async def main() -> None:
        pending, process = Pending(), Process()
        bridge = WebSocketBridge(lambda x: pending, Negotiator(), lambda: PlainFrames(PIECE))
        waiting = bridge(upgrade())
        assert not isinstance(waiting, Response)
        pending.resolve(process.response)
        assert (await waiting).status == 101

    run(main())


def test_the_process_has_no_say_in_the_handshake() -> None:
    async def main() -> None:
        said = [(b"sec-websocket-accept", b"forged"), (b"sec-websocket-extensions", b"permessage-deflate"), (b"x-a", b"1"),
                (b"sec-websocket-protocol", b"never-offered")]  # fmt: skip
        bridge = WebSocketBridge(Process(101, said), Negotiator(), lambda: PlainFrames(PIECE))
        response = await answer(bridge, upgrade())
        assert response.fields.pairs == ((b"x-a", b"1"), (b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))

    run(main())


def test_a_client_that_is_lost_is_lost_to_the_application() -> None:
    async def main() -> None:
        got: list[Any] = []
        client = Client(await answer(bridged(listening(got)), upgrade()))
        client.inbound.fail(reason("client_gone"))
        await settle()
        assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


def test_a_process_that_is_lost_closes_with_1011_f22() -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        process.outbound.fail(reason("upstream_gone"))
        assert client.closed().code == 1011

    run(main())


@pytest.mark.parametrize(
    "said", [b"\xff" * 10, b"\x82\0\0\0\1x" * 3 + b"\x83\0\0\0\0", b"\x88\0\0\0\2\0\0", b"\x88\0\0\0\2\x03\xee"]
)
def test_nonsense_of_a_process_closes_with_1011(said: bytes) -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        process.say(said)
        await settle()
        assert client.closed().code == 1011

    run(main())


def test_a_message_longer_than_the_process_takes_closes_with_1011() -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        client.send(bytes(PIECE + 1))
        assert process.hears() == [] and process.frames.code == 1011
        assert client.closed().code == 1011

    run(main())


def test_when_the_edge_leaves_both_ends_are_told() -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        client.pipe.leave()
        assert client.closed().code == 1012
        assert process.hears() == [] and process.frames.code == 1012 and process.inbound.ended

    run(main())


def test_what_was_said_before_a_close_arrives() -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        client.protocol.send_text(b"one")
        client.protocol.send_text(b"two")
        client.protocol.send_close(1001, "bye")
        client.flush()
        assert process.hears() == ["one", "two"]
        assert (process.frames.code, process.frames.reason) == (1001, "bye")
        said = PlainFrames(PIECE)
        said.text("late")  # the client has closed: nobody is there to hear it
        with pytest.raises(Exception, match="client"):
            process.say(said.pending())

    run(main())


def test_what_the_client_does_not_take_is_bounded() -> None:
    async def main() -> None:
        process = Process()
        client = await connect(process)
        said = PlainFrames(PIECE)
        for _ in range(100):
            said.binary(bytes(PIECE))
        process.say(said.pending())
        assert client.outbound.size < 3 * PIECE
        got = 0
        while got < 100:
            frames: list[Frame] = client.frames()
            got += len(frames)
            await settle()

    run(main())


def test_echo_of_many_both_ways_at_once() -> None:
    async def main() -> None:
        client = Client(await answer(bridged(echo), upgrade()))
        texts = [str(i) * 3000 for i in range(100)]
        got: list[bytes] = []
        for text in texts:
            client.send(text)
        while len(got) < len(texts):
            await settle()
            got += client.texts()
        assert got == [text.encode() for text in texts]

    run(main())
