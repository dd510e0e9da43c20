"""The ASGI specification over WebSocket; the client's side of the tunnel is the library's own engine.

Everything holds for an application in the edge worker itself, and for one in a process of its own, with a bridge at the edge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.handlers.app.support import answer, from_callback, make, run
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side

from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Handler
from enfilade.exchange.response import Response, Tunnel
from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.handlers.app.bridge import WebSocketBridge
from enfilade.handlers.app.websocket import WebSockets
from enfilade.http.reasons import reason
from enfilade.wire.websocket.frames import MAX_SIZE
from enfilade.wire.websocket.handshake import Negotiator
from enfilade.wire.websocket.plain import PlainFrames, PlainNegotiator

GONE = reason("client_gone")
FIELDS = [(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"sec-websocket-version", b"13")]
ACCEPT = {"type": "websocket.accept"}


def upgrade(*fields: tuple[bytes, bytes], **options: Any) -> Any:
    return make(fields=[*FIELDS, *fields], protocol="websocket", **options)


Make = Callable[..., Handler]


def inline(app: Any, state: Any = None, **limits: Any) -> Handler:
    return AsgiHandler(app, state, WebSockets(Negotiator(**limits)))


def bridged(app: Any, state: Any = None, **limits: Any) -> Handler:
    """As in two processes: the tunnel between them, the link's business, is a pair of Streams."""
    there = AsgiHandler(app, state, WebSockets(PlainNegotiator(MAX_SIZE), 0))
    return WebSocketBridge(there, Negotiator(**limits), lambda: PlainFrames(MAX_SIZE))


@pytest.fixture(params=[inline, bridged])
def handler(request: pytest.FixtureRequest) -> Make:
    make: Make = request.param
    return make


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


class Client:
    """The client at the other end of a Tunnel."""

    def __init__(self, response: Response) -> None:
        assert isinstance(response.body, Tunnel)
        self.protocol = Protocol(Side.CLIENT)
        self.inbound, self.outbound = Stream(), Stream()
        self.pipe = response.body.pipe
        self.pipe.opened(self.inbound, self.outbound)

    def send(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.protocol.send_text(data.encode())
        else:
            self.protocol.send_binary(data)
        self.flush()

    def flush(self) -> Any:
        return self.inbound.write(b"".join(self.protocol.data_to_send()))

    def frames(self) -> list[Frame]:
        while self.outbound.size:
            data = self.outbound.take()
            assert data
            self.protocol.receive_data(data)
        return [f for f in self.protocol.events_received() if isinstance(f, Frame)]

    def texts(self) -> list[bytes]:
        return [bytes(f.data) for f in self.frames() if f.opcode is Opcode.TEXT]

    def closed(self) -> Close:
        [close] = [f for f in self.frames() if f.opcode is Opcode.CLOSE]
        return Close.parse(close.data)


async def connect(app: Any, handler: Make, **limits: Any) -> Client:
    return Client(await answer(handler(app, **limits), upgrade()))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


# -- the handshake


def test_scope(handler: Make) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    x = upgrade(
        (b"sec-websocket-protocol", b"a, b"), path="/ws/x", query=b"q=1", mount="/ws", scheme="https", version="2"
    )
    response = run(answer(handler(app, {"n": 1}), x))
    assert response.status == 200
    [scope] = seen
    assert scope.pop("headers") == list(x.request.fields.pairs)
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "scheme": "wss",
        "path": "/ws/x",
        "raw_path": b"/ws/x",
        "query_string": b"q=1",
        "root_path": "/ws",
        "client": ("198.51.100.7", 4711),
        "server": ("192.0.2.1", 80),
        "subprotocols": ["a", "b"],
        "extensions": {"websocket.http.response": {}},
        "state": {"n": 1},
    }


def test_accept_is_101_with_the_key_and_comes_at_once(handler: Make) -> None:
    async def main() -> None:
        [response] = await from_callback(lambda: [handler(echo)(upgrade())])
        assert isinstance(response, Response) and response.status == 101 and isinstance(response.body, Tunnel)
        assert response.fields.pairs == ((b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),)

    run(main())


def test_accept_with_subprotocol_and_headers(handler: Make) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"X-A", b"1"), (b"sec-websocket-accept", b"forged"), (b"connection", b"close")]
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": headers})
        await receive()
        await receive()

    response = run(answer(handler(app), upgrade((b"sec-websocket-protocol", b"a, b"))))
    assert response.status == 101 and response.fields.get(b"x-a") == b"1"
    assert response.fields.get(b"sec-websocket-protocol") == b"b"
    assert response.fields.all(b"sec-websocket-accept") == [b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]


@pytest.mark.parametrize(
    "change", [{"subprotocol": "c"}, {"subprotocol": "a\r\nx: y"}, {"headers": [(b"a", b"b\r\nc: d")]}]
)
def test_bad_bytes_of_the_application_harm_nobody_f15(
    handler: Make, change: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**ACCEPT, **change})

    response = run(answer(handler(app), upgrade((b"sec-websocket-protocol", b"a, b"))))
    assert response.status == 500 and response.reason is reason("application_protocol")
    assert len(caplog.records) == 1


def test_a_bad_handshake_never_reaches_the_application(handler: Make) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    x = make(fields=[(b"sec-websocket-version", b"8")], protocol="websocket")
    response = run(answer(handler(app), x))
    assert response.status == 426 and response.fields.get(b"sec-websocket-version") == b"13"


def test_close_before_accept_is_403(handler: Make) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000})

    response = run(answer(handler(app), upgrade()))
    assert response.status == 403 and response.reason is reason("websocket_refused")


def test_denial_response(handler: Make) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "websocket.http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Basic")]}
        )
        await send({"type": "websocket.http.response.body", "body": b"who are you?"})

    response = run(answer(handler(app), upgrade()))
    assert (response.status, response.body) == (401, b"who are you?")
    assert response.fields.get(b"www-authenticate") == b"Basic"


@pytest.mark.parametrize("raises", [True, False])
def test_ending_before_accept_is_500_f21(handler: Make, raises: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if raises:
            raise ZeroDivisionError

    response = run(answer(handler(app), upgrade()))
    assert response.reason is reason("application_raised" if raises else "application_silent")
    assert len(caplog.records) == 1


# -- messages


def test_echo(handler: Make) -> None:
    async def main() -> None:
        client = await connect(echo, handler)
        client.send("hällo")
        client.send(b"\x00\xff")
        await settle()
        assert [(f.opcode, bytes(f.data)) for f in client.frames()] == [
            (Opcode.TEXT, "hällo".encode()),
            (Opcode.BINARY, b"\x00\xff"),
        ]

    run(main())


def test_what_comes_and_goes_before_the_tunnel_is_open(handler: Make) -> None:
    async def main() -> None:
        sent: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            for i in range(2):
                await send({"type": "websocket.send", "text": str(i)})
                sent.append(i)
            await receive()
            await receive()

        response = await answer(handler(app), upgrade())
        await settle()
        assert sent == []
        client = Client(response)
        await settle()
        assert client.texts() == [b"0", b"1"] and sent == [0, 1]

    run(main())


def test_pings_are_answered_while_the_application_is_busy(handler: Make) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            await asyncio.sleep(3600)

        client = await connect(app, handler)
        client.protocol.send_ping(b"hello")
        client.flush()
        assert [(f.opcode, bytes(f.data)) for f in client.frames()] == [(Opcode.PONG, b"hello")]
        client.inbound.fail(GONE)

    run(main())


def test_an_application_that_does_not_receive_holds_the_client_back(handler: Make) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await go.wait()
            for _ in range(1000):
                await send({"type": "websocket.send", "text": (await receive())["text"]})

        client = await connect(app, handler)
        waits = 0
        for i in range(1000):
            client.protocol.send_text(str(i).encode() * 100)
            waits += client.flush() is not None
        assert waits
        go.set()
        got: list[bytes] = []
        while len(got) < 1000:
            await asyncio.sleep(0)
            got += client.texts()
        assert got == [str(i).encode() * 100 for i in range(1000)]

    run(main())


def test_a_client_that_does_not_read_holds_the_application_back(handler: Make) -> None:
    async def main() -> None:
        sent: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            for i in range(100):
                await send({"type": "websocket.send", "bytes": bytes(40_000)})
                sent.append(i)

        client = await connect(app, handler)
        await settle()
        assert len(sent) < 12
        while len(sent) < 100:
            client.frames()
            await asyncio.sleep(0)

    run(main())


# -- the end


def listening(got: list[Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        while not got or got[-1]["type"] != "websocket.disconnect":
            got.append(await receive())

    return app


def test_the_client_closes(handler: Make) -> None:
    async def main() -> None:
        got: list[Any] = []
        client = await connect(listening(got), handler)
        client.protocol.send_close(1001, "bye")
        client.flush()
        await settle()
        assert got == [{"type": "websocket.disconnect", "code": 1001, "reason": "bye"}]
        assert client.closed().code == 1001 and client.outbound.ended

    run(main())


def test_messages_before_the_close_are_still_received(handler: Make) -> None:
    async def main() -> None:
        got: list[Any] = []
        client = await connect(listening(got), handler)
        client.protocol.send_text(b"last")
        client.protocol.send_close(1000)
        client.flush()
        await settle()
        assert [m["type"] for m in got] == ["websocket.receive", "websocket.disconnect"]

    run(main())


def test_the_connection_is_lost_f24(handler: Make) -> None:
    async def main() -> None:
        got: list[Any] = []
        client = await connect(listening(got), handler)
        client.inbound.end()
        await settle()
        assert got == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


def test_who_does_not_listen_is_cancelled_f24(handler: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.handlers.app.websocket.DISCONNECT_GRACE", 0.001)

    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        client = await connect(app, handler)
        client.inbound.fail(GONE)
        await ended.wait()

    run(main())


def test_send_after_the_end_raises_oserror(handler: Make, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        raised: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await receive()
            try:
                await send({"type": "websocket.send", "text": "x"})
            except OSError as error:
                raised.append(error)
                raise

        client = await connect(app, handler)
        client.inbound.end()
        await settle()
        assert raised

    run(main())
    assert caplog.records == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "websocket.close", "code": 4000, "reason": "enough"}, 4000),
        ({"type": "websocket.close"}, 1000),
        (None, 1000),
    ],
)
def test_the_application_closes(handler: Make, message: Any, code: int) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await receive()
            if message is not None:
                await send(message)
                assert (await receive())["type"] == "websocket.disconnect"

        client = await connect(app, handler)
        client.send("go")
        await settle()
        assert client.closed().code == code and not client.outbound.ended
        client.flush()  # the client's engine answers the close by itself
        await settle()
        assert client.outbound.ended

    run(main())


def test_a_client_that_does_not_answer_our_close(handler: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.handlers.app.message_pipe.CLOSE_TIMEOUT", 0.001)

    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)

        client = await connect(app, handler)
        await client.outbound.read_all()  # until it ends

    run(main())


def test_a_tunnel_that_opens_after_our_close_was_given_up(handler: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.handlers.app.message_pipe.CLOSE_TIMEOUT", 0)

    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)

        response = await answer(handler(app), upgrade())
        await settle()
        client = Client(response)
        assert client.closed().code == 1000
        await settle()
        assert client.outbound.ended and client.inbound.failure is not None

    run(main())


def test_raising_closes_with_1011_f21(handler: Make, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await receive()
            raise ZeroDivisionError

        client = await connect(app, handler)
        client.send("go")
        await settle()
        assert client.closed().code == 1011

    run(main())
    assert len(caplog.records) == 1 and caplog.records[0].exc_info


@pytest.mark.parametrize(
    "message",
    [
        ACCEPT,
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": b"x"},
        {"type": "websocket.close", "code": 1006},
        {"type": "websocket.close", "reason": "x" * 200},
        {"type": "http.response.start", "status": 200},
    ],
)
def test_nonsense_closes_with_1011_f21(handler: Make, message: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await receive()
            await send(message)

        client = await connect(app, handler)
        client.send("go")
        await settle()
        assert client.closed().code == 1011

    run(main())
    assert len(caplog.records) == 1


def test_a_bad_frame_closes_that_socket_only_f15(handler: Make) -> None:
    async def main() -> None:
        got: list[Any] = []
        bad, good = await connect(listening(got), handler), await connect(echo, handler)
        bad.inbound.write(b"\x83\x80\0\0\0\0")
        good.send("still here")
        await settle()
        assert bad.closed().code == 1002 and bad.outbound.ended
        assert got[-1]["code"] == 1006 and good.texts() == [b"still here"]

    run(main())


def test_too_large_a_message_closes_with_1009_f15(handler: Make) -> None:
    async def main() -> None:
        client = await connect(echo, handler, max_size=10)
        client.send("x" * 11)
        await settle()
        assert client.closed().code == 1009

    run(main())


def test_a_silent_peer_is_pinged_and_then_given_up(handler: Make) -> None:
    async def main() -> None:
        got: list[Any] = []
        client = await connect(listening(got), handler)
        pipe: Any = getattr(client.pipe, "_client", client.pipe)
        pipe._beat()
        assert [f.opcode for f in client.frames()] == [Opcode.PING]
        client.flush()  # the pong
        pipe._beat()
        assert [f.opcode for f in client.frames()] == [Opcode.PING]
        pipe._beat()
        await settle()
        assert client.closed().code == 1011 and client.outbound.ended and got[-1]["code"] == 1006

    run(main())
