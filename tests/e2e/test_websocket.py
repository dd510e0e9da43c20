"""WebSockets by real clients: the `websockets` package over HTTP/1.1, our own HTTP/2 engine with its frames over HTTP/2."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e import http2
from tests.e2e.conftest import Server, Start
from tests.e2e.test_streaming import GROWTH, Growth, settle
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.sync.client import ClientConnection, connect

from enfilade.http.fields import Fields, Pair

APPS = Path(__file__).parent / "apps"
CONFIG = f"""
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "unix:admin.sock"
workers = 1
drain_timeout = 10
[sites."*"]
tls = "internal"
"/*" = {{ app = "sockets" }}
"/mounted/*" = {{ app = "sockets" }}
[apps.sockets]
target = "sockets:app"
path = "{APPS}"
websocket_message_limit = "2MB"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    return start_once(CONFIG)


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def opened(server: Server, path: str, scheme: str = "http", **options: Any) -> ClientConnection:
    options = {"compression": None, "max_size": None, **options}
    if scheme == "https":
        options["ssl"] = unverified()
    return connect(server.url(scheme).replace("http", "ws", 1) + path, **options)


# -- over HTTP/1.1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_come_back_as_they_were(server: Server, scheme: str, compression: str | None) -> None:
    messages = ["", "grün", b"", b"\0\xff", "x" * 125, "y" * 126, os.urandom(65535), "z" * 65536, os.urandom(1 << 20)]
    with opened(server, "/echo", scheme, compression=compression) as socket:
        assert bool(socket.protocol.extensions) == bool(compression)
        for message in messages:
            socket.send(message)
            assert socket.recv(10) == message
        for message in messages[:6]:  # several in one packet
            socket.send(message)
        assert [socket.recv(10) for _ in messages[:6]] == messages[:6]


def test_fragments_and_pings(server: Server) -> None:
    with opened(server, "/echo") as socket:
        socket.send(["one ", "message ", "in pieces"])
        assert socket.ping().wait(5)
        assert socket.recv(5) == "one message in pieces"


def test_subprotocol_fields_and_scope(server: Server) -> None:
    with opened(server, "/mounted/protocols?a=1", "https", subprotocols=["chat", "news"]) as socket:
        assert socket.subprotocol == "news"
        assert socket.response is not None and socket.response.headers["x-from"] == "app"
        assert socket.recv(5) == "wss 1.1 /mounted/protocols /mounted a=1"


def test_the_client_closes(server: Server) -> None:
    with opened(server, "/echo") as socket:
        socket.close(4321, "enough")
        assert socket.protocol.close_rcvd == Close(4321, "enough")
    server.wait_for("echo ended with 4321 enough")


def test_the_client_vanishes(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(HANDSHAKE % b"/echo")
        assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    server.wait_for("echo ended with 1006")


@pytest.mark.parametrize(
    ("page", "code", "why"), [("closes", 4001, "as was said"), ("returns", 1000, ""), ("raises", 1011, "")]
)
def test_the_application_closes(server: Server, page: str, code: int, why: str) -> None:
    with opened(server, f"/{page}") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv(5)
        assert socket.protocol.close_rcvd == Close(code, why)
    if page == "raises":
        server.wait_for("ZeroDivisionError: in the WebSocket")


@pytest.mark.parametrize(
    ("page", "status", "body"), [("refuses", 403, None), ("denies", 402, b"pay first"), ("raises_first", 500, None)]
)
def test_a_refusal_is_an_http_answer(server: Server, page: str, status: int, body: bytes | None) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(server, f"/{page}"):
        pass
    response = refused.value.response
    assert response.status_code == status and (body is None or response.body == body)


def test_a_message_too_large_closes_with_1009_f15(server: Server) -> None:
    """The limit counts after inflating."""
    with opened(server, "/echo") as bystander:
        for compression in (None, "deflate"):
            with opened(server, "/echo", compression=compression) as socket:
                with suppress(ConnectionClosed):  # it may hear of it while it still sends
                    socket.send("a" * (2 << 20) + "b")
                with pytest.raises(ConnectionClosed):
                    socket.recv(5)
                assert socket.protocol.close_rcvd is not None and socket.protocol.close_rcvd.code == 1009
        bystander.send("still here")
        assert bystander.recv(5) == "still here"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x01a", 1002),  # not masked (RFC 6455 section 5.1)
        (b"\xc1\x81\0\0\0\0a", 1002),  # a reserved bit
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode that is not there
        (b"\x80\x81\0\0\0\0a", 1002),  # nothing to continue
        (b"\x89\xfe\x01\x00" + bytes(4 + 256), 1002),  # a ping of 256 bytes
        (b"\x81\x81\0\0\0\0\xff", 1007),  # not UTF-8
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),  # 1005 is never sent
    ],
)
def test_bad_frames_close_that_socket_only_f15(server: Server, frame: bytes, code: int) -> None:
    with opened(server, "/echo") as bystander, opened(server, "/echo") as socket:
        socket.socket.sendall(frame)
        with pytest.raises(ConnectionClosed):
            socket.recv(5)
        assert socket.protocol.close_rcvd is not None and socket.protocol.close_rcvd.code == code
        bystander.send("still here")
        assert bystander.recv(5) == "still here"


def test_a_hundred_at_once(server: Server) -> None:
    url = server.url().replace("http", "ws") + "/echo"

    async def talk(number: int) -> list[str | bytes]:
        async with connect_async(url, compression=None) as socket:
            answers = []
            for i in range(10):
                await socket.send(f"{number} {i}")
                answers.append(await socket.recv())
            return answers

    async def main() -> list[list[str | bytes]]:
        return await asyncio.gather(*(talk(number) for number in range(100)))

    assert asyncio.run(main()) == [[f"{number} {i}" for i in range(10)] for number in range(100)]


def test_a_client_that_does_not_read_costs_little(server: Server) -> None:
    with opened(server, "/echo", max_queue=1) as probe, server.connect() as sock:
        probe.send("ready")
        probe.recv(5)
        growth = Growth(server)
        sock.sendall(HANDSHAKE % b"/floods")
        assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
        settle(server)
        assert growth() < GROWTH
    server.wait_for("flood ended by (ClientDisconnected|CancelledError)")


HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_frames_sent_ahead_of_the_acceptance_are_not_lost(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(HANDSHAKE % b"/echo" + b"\x81\x81\0\0\0\0a")
        answer = b""
        while not answer.endswith(b"\x81\x01a"):
            piece = sock.recv(1000)
            assert piece
            answer += piece


def test_only_version_13_is_spoken(server: Server) -> None:
    answer = server.raw(
        HANDSHAKE.replace(b"13", b"12") % b"/echo" + b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 426 ") and b"sec-websocket-version: 13\r\n" in answer


# -- over HTTP/2 (RFC 8441)


class Tunnel:
    """A WebSocket in a stream of an HTTP/2 connection."""

    def __init__(self, connection: http2.Connection, path: str, *fields: Pair, deflate: bool = False) -> None:
        self.connection = connection
        self.protocol = Protocol(Side.CLIENT, max_size=None)
        factory = ClientPerMessageDeflateFactory()
        offered: list[Pair] = (
            [(b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits")] if deflate else []
        )
        ours = Fields([(b"sec-websocket-version", b"13"), *offered, *fields])
        self.stream = connection.request(path, ours, tunnel="websocket")
        connection.wait(lambda: self.stream in connection.status)
        self.status = connection.status[self.stream]
        self.fields = connection.fields[self.stream]
        if deflate:
            agreed = self.fields.get(b"sec-websocket-extensions")
            assert agreed is not None
            parameters = [parameter.split(b"=") for parameter in agreed.replace(b" ", b"").split(b";")[1:]]
            pairs = [(p[0].decode(), p[1].decode() if len(p) > 1 else None) for p in parameters]
            self.protocol.extensions = [factory.process_response_params(pairs, [])]

    def send(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self.protocol.send_text(data.encode())
        else:
            self.protocol.send_binary(data)
        self.flush()

    def flush(self) -> None:
        out = b"".join(self.protocol.data_to_send())
        while out:
            self.connection.wait(lambda: self.connection.engine.window(self.stream) > 0)
            room = self.connection.engine.window(self.stream)
            self.connection.send(self.stream, out[:room])
            out = out[room:]

    def receive(self) -> bytes:
        """The next message, or the code of the close."""
        message = b""
        while True:
            for frame in self.protocol.events_received():
                assert isinstance(frame, Frame)
                if frame.opcode is Opcode.CLOSE:
                    self.flush()
                    return str(Close.parse(bytes(frame.data)).code).encode()
                message += frame.data
                if frame.fin:
                    return message
            self.connection.wait(lambda: bool(self.connection.data.get(self.stream)))
            self.protocol.receive_data(self.connection.data.pop(self.stream))


@pytest.fixture
def connection(server: Server) -> Iterator[http2.Connection]:
    with http2.connect(server) as connection:
        yield connection


@pytest.mark.parametrize("deflate", [False, True])
def test_many_sockets_in_one_http2_connection(connection: http2.Connection, deflate: bool) -> None:
    tunnels = [Tunnel(connection, "/echo", deflate=deflate) for _ in range(5)]
    big = os.urandom(1 << 20)
    for tunnel in tunnels:
        assert tunnel.status == 200
        tunnel.send(f"from {tunnel.stream}")
    for tunnel in reversed(tunnels):
        assert tunnel.receive() == b"from %d" % tunnel.stream
    tunnels[2].send(big)
    assert tunnels[2].receive() == big
    assert connection.status == dict.fromkeys(connection.status, 200)


def test_scope_and_subprotocol_over_http2(connection: http2.Connection) -> None:
    tunnel = Tunnel(connection, "/mounted/protocols?b=2", (b"sec-websocket-protocol", b"chat, news"))
    assert tunnel.fields.get(b"sec-websocket-protocol") == b"news"
    assert tunnel.receive() == b"wss 2 /mounted/protocols /mounted b=2"


def test_closes_over_http2(connection: http2.Connection, server: Server) -> None:
    tunnel = Tunnel(connection, "/closes")
    assert tunnel.receive() == b"4001"
    other = Tunnel(connection, "/echo")
    other.protocol.send_close(4322, "over HTTP/2")
    other.flush()
    assert other.receive() == b"4322"
    server.wait_for("echo ended with 4322 over HTTP/2")
    connection.wait(lambda: {tunnel.stream, other.stream} <= connection.ended)


@pytest.mark.parametrize(("page", "status"), [("refuses", 403), ("denies", 402), ("raises_first", 500)])
def test_refusals_over_http2(connection: http2.Connection, page: str, status: int) -> None:
    assert Tunnel(connection, f"/{page}").status == status
    assert Tunnel(connection, "/echo").status == 200


def test_a_reset_stream_is_a_lost_socket(connection: http2.Connection, server: Server) -> None:
    tunnel, other = Tunnel(connection, "/deaf"), Tunnel(connection, "/echo")
    connection.reset(tunnel.stream)
    server.wait_for("the deaf one was cancelled")
    other.send("still here")
    assert other.receive() == b"still here"


def test_bad_frames_close_that_stream_only_f15(connection: http2.Connection) -> None:
    tunnel, other = Tunnel(connection, "/echo"), Tunnel(connection, "/echo")
    connection.send(tunnel.stream, b"\x81\x01a")
    assert tunnel.receive() == b"1002"
    other.send("still here")
    assert other.receive() == b"still here"


# -- what the server says about them, and how it leaves


def open_sockets(directory: Path) -> tuple[int, int]:
    """How many were opened, and are open now, as the metrics have it."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(directory / "admin.sock"))) as client:
        text = client.get("http://localhost/metrics").text
    found = re.findall(r'^enfilade_connections_(?:opened_total|open)\{protocol="websocket"\} (\d+)', text, re.MULTILINE)
    return int(found[0]), int(found[1])


def test_metrics_count_them(start: Start, tmp_path: Path) -> None:
    server = start(CONFIG)
    assert open_sockets(tmp_path) == (0, 0)
    with opened(server, "/echo"), http2.connect(server) as connection:
        tunnel = Tunnel(connection, "/echo")
        Tunnel(connection, "/refuses")
        assert open_sockets(tmp_path) == (2, 2)
        connection.reset(tunnel.stream)
        server.wait_for("echo ended with 1006")
        assert open_sockets(tmp_path) == (2, 1)
    server.wait_for("echo ended with 100[01]")
    assert open_sockets(tmp_path) == (2, 0)


def test_a_stop_says_goodbye_at_once(start: Start) -> None:
    server = start(CONFIG)
    began = time.monotonic()
    with opened(server, "/echo") as socket, opened(server, "/deaf") as deaf, http2.connect(server) as connection:
        tunnel = Tunnel(connection, "/echo")
        server.signal(signal.SIGTERM)
        assert tunnel.receive() == b"1012"
        for one in (socket, deaf):
            with pytest.raises(ConnectionClosed):
                one.recv(5)
            assert one.protocol.close_rcvd is not None and one.protocol.close_rcvd.code == 1012
        assert server.stop() == 0
    assert time.monotonic() - began < 9
    assert any(line.endswith("echo ended with 1012") for line in server.lines)
    assert any(line.endswith("sockets have shut down") for line in server.lines)


def test_a_reload_keeps_them_until_the_drain_time_is_over(start: Start) -> None:
    server = start(CONFIG.replace("drain_timeout = 10", "drain_timeout = 1"))
    with opened(server, "/echo") as socket:
        server.signal(signal.SIGHUP)
        server.wait_for("reload")
        socket.send("after the reload")
        assert socket.recv(5) == "after the reload"
        with pytest.raises(ConnectionClosed):
            socket.recv(8)
        assert socket.protocol.close_rcvd is not None and socket.protocol.close_rcvd.code == 1012
    server.wait_for("echo ended with 1012")
