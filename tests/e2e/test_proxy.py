"""The proxy in front of real servers: nginx, uvicorn, Gunicorn, gRPC, and ourselves."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tests.assemble.kit import write_pem
from tests.e2e import http2
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually
from tests.e2e.peers import Nginx, Process, gunicorn, uvicorn
from tests.e2e.test_websocket import Tunnel, opened
from websockets.exceptions import ConnectionClosed, InvalidStatus

BIG = bytes(range(256)) * 4096
PIECES = [os.urandom(64 * 1024) for _ in range(16)]

BEHIND = f"""
[server]
http = "127.0.0.1:0"
h2c = true
workers = 1
[sites."*"]
"/*" = {{ app = "sockets" }}
[apps.sockets]
target = "sockets:app"
workers = 1
path = "{Path(__file__).parent / "apps"}"
"""

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
h2c = true
workers = 1
drain_timeout = 5
[server.limits]
body = "100MB"

[sites."*"]
tls = {{ certificate = "{folder}/edge.pem", key = "{folder}/edge.key" }}
http = "serve"
"/nginx/*" = {{ proxy = {{ to = "http://127.0.0.1:{nginx}", strip = true }} }}
"/unix/*" = {{ proxy = {{ to = "unix:{folder}/nginx.sock", strip = true }} }}
"/asgi/*" = {{ proxy = {{ to = "http://127.0.0.1:{asgi}", strip = true }} }}
"/wsgi/*" = {{ proxy = {{ to = "http://127.0.0.1:{wsgi}", strip = true }} }}
"/h2c/*" = {{ proxy = {{ to = "h2c://{behind}", strip = true }} }}
"/tls/*" = {{ proxy = {{ to = "tls", strip = true }} }}
"/wrong-name/*" = {{ proxy = {{ to = "wrong-name", strip = true }} }}
"/unknown/*" = {{ proxy = {{ to = "https://localhost:{tls}", strip = true }} }}
"/unverified/*" = {{ proxy = {{ to = "unverified", strip = true }} }}
"/mutual/*" = {{ proxy = {{ to = "mutual", strip = true }} }}
"/anonymous/*" = {{ proxy = {{ to = "anonymous", strip = true }} }}
"/mortal/*" = {{ proxy = {{ to = "mortal", strip = true }} }}
"/test.Echo/*" = {{ proxy = "h2c://127.0.0.1:{grpc}" }}

[upstreams.tls]
peers = ["https://localhost:{tls}"]
tls = {{ authority = "{folder}/localhost.pem" }}
[upstreams.wrong-name]
peers = ["https://localhost:{tls}"]
tls = {{ authority = "{folder}/localhost.pem", name = "other.example" }}
[upstreams.unverified]
peers = ["https://localhost:{tls}"]
tls = {{ verify = false }}
[upstreams.mutual]
peers = ["https://localhost:{mutual}"]
tls = {{ authority = "{folder}/localhost.pem", certificate = "{folder}/ours.pem", key = "{folder}/ours.key" }}
[upstreams.anonymous]
peers = ["https://localhost:{mutual}"]
tls = {{ authority = "{folder}/localhost.pem" }}
[upstreams.mortal]
peers = ["http://127.0.0.1:{mortal}"]
eject = false
"""


# -- who stands behind


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(scope="module")
def nginx(folder: Path) -> Iterator[Nginx]:
    started = Nginx(folder)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def asgi(folder: Path) -> Iterator[Process]:
    started = uvicorn(folder)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def wsgi(folder: Path) -> Iterator[Process]:
    started = gunicorn(folder)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def mortal(folder: Path) -> Iterator[Process]:
    started = uvicorn(folder)
    yield started
    started.kill()


class Echo(grpc.GenericRpcHandler):
    """Services of bytes."""

    def service(self, call: Any) -> Any:
        return {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Echo/Down": grpc.unary_stream_rpc_method_handler(self.down),
            "/test.Echo/Up": grpc.stream_unary_rpc_method_handler(self.up),
            "/test.Echo/Both": grpc.stream_stream_rpc_method_handler(self.both),
            "/test.Echo/Fails": grpc.unary_unary_rpc_method_handler(self.fails),
            "/test.Echo/Sleeps": grpc.unary_unary_rpc_method_handler(self.sleeps),
        }.get(call.method)

    cancelled = threading.Event()

    def unary(self, request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("x-length", str(len(request))),))
        return request

    def down(self, request: bytes, context: Any) -> Iterator[bytes]:
        for i in range(int(request)):
            yield b"%d" % i

    def up(self, requests: Iterator[bytes], context: Any) -> bytes:
        return hashlib.sha256(b"".join(requests)).digest()

    def both(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests

    def fails(self, request: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: ö")
        raise AssertionError

    def sleeps(self, request: bytes, context: Any) -> bytes:
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(20)
        return b"late"


@pytest.fixture(scope="module")
def grpc_port() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(1).wait()


@pytest.fixture(scope="module")
def server(
    start_once: Start, folder: Path, nginx: Nginx, asgi: Process, wsgi: Process, mortal: Process, grpc_port: int
) -> Server:
    write_pem(folder, "edge", "localhost")
    behind = start_once("", "up", "-c", "behind.toml", files={"behind.toml": BEHIND})
    address = behind.url().removeprefix("http://")
    config = CONFIG.format(
        folder=folder, nginx=nginx.port, tls=nginx.tls, mutual=nginx.mutual, asgi=asgi.port, wsgi=wsgi.port,
        mortal=mortal.port, behind=address, grpc=grpc_port,
    )  # fmt: skip
    return start_once(config)


@pytest.fixture(params=["http1", "http2"])
def any_client(server: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    two = request.param == "http2"
    with httpx.Client(base_url=server.url("https" if two else "http"), http2=two, verify=False, timeout=20) as made:
        yield made


# -- nginx


def test_one_connection_serves_one_after_the_other(any_client: httpx.Client) -> None:
    said = {any_client.get("/nginx/connection").text for _ in range(20)}
    assert len(said) == 1 and said.pop().endswith("HTTP/1.1")


@pytest.mark.parametrize("way", ["nginx", "unix", "tls"])
def test_large_answers(any_client: httpx.Client, way: str) -> None:
    for _ in range(3):
        response = any_client.get(f"/{way}/big")
        assert response.status_code == 200 and response.content == BIG
    assert any_client.head(f"/{way}/big").headers["content-length"] == str(len(BIG))
    part = any_client.get(f"/{way}/big", headers={"range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == BIG[10:20]
    same = any_client.get(f"/{way}/big", headers={"if-none-match": response.headers["etag"]})
    assert same.status_code == 304 and any_client.get(f"/{way}/connection").status_code == 200


def test_chunked_answers(any_client: httpx.Client) -> None:
    response = any_client.get("/nginx/packed/big", headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip" and response.content == BIG


@pytest.mark.parametrize("way", ["nginx", "unix", "tls"])
@pytest.mark.parametrize("size", [1, 64 * 1024, 10 * 1024 * 1024])
def test_posts(any_client: httpx.Client, way: str, size: int) -> None:
    for _ in range(2):
        assert any_client.post(f"/{way}/read", content=b"x" * size).text == str(size)


def test_an_answer_that_does_not_wait_for_the_body_f4(any_client: httpx.Client) -> None:
    for _ in range(5):
        assert any_client.post("/nginx/length", content=b"x" * 1_000_000).text == "1000000"


def test_a_body_that_the_peer_refuses(any_client: httpx.Client) -> None:
    """It says so before it has read it, and closes."""
    assert any_client.post("/nginx/limited", content=b"x" * 100_000).status_code == 413
    assert any_client.get("/nginx/connection").status_code == 200


# -- TLS to peers


def test_tls_is_verified_and_http2_is_agreed_on(any_client: httpx.Client) -> None:
    assert any_client.get("/tls/connection").text.endswith("HTTP/2.0")
    assert any_client.get("/unverified/connection").status_code == 200


@pytest.mark.parametrize("way", ["wrong-name", "unknown"])
def test_whoever_cannot_prove_who_it_is_gets_nothing(server: Server, any_client: httpx.Client, way: str) -> None:
    response = any_client.get(f"/{way}/connection")
    assert response.status_code == 502 and "TLS" in response.text
    server.wait_for("(upstream_tls)")


def test_our_own_certificate(any_client: httpx.Client) -> None:
    assert any_client.get("/mutual/").text == "CN=us.example"
    assert "No required SSL certificate" in any_client.get("/anonymous/").text


# -- uvicorn


def test_what_an_application_sees(server: Server) -> None:
    response = httpx.get(
        server.url() + "/asgi/fields", headers={"x-forwarded-for": "10.0.0.1", "host": "shop.example"}, timeout=PATIENCE
    )
    fields = dict(line.split(": ", 1) for line in response.text.splitlines())
    assert fields["host"] == fields["x-forwarded-host"] == "shop.example" and fields["via"] == "1.1 enfilade"
    assert fields["x-forwarded-for"] == "127.0.0.1" and fields["x-forwarded-proto"] == "http"


def test_bodies_stream_both_ways_at_once(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"POST /asgi/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        for text in (b"one", b"two", b"three"):
            sock.sendall(b"%x\r\n%s\r\n" % (len(text), text))
            while (line := file.readline().strip()) != text:
                assert line or text == b"one"
        sock.sendall(b"0\r\n\r\n")
        assert file.readline() == b"0\r\n"


def test_large_bodies_both_ways(any_client: httpx.Client) -> None:
    """One after the other: this client reads nothing before it has written all."""
    response = any_client.post("/asgi/collects", content=iter(PIECES * 10))
    assert response.content == b"".join(PIECES * 10)


def test_events_come_as_they_are_sent_f24(any_client: httpx.Client) -> None:
    with any_client.stream("GET", "/asgi/events") as response:
        lines = response.iter_lines()
        assert next(lines) == "data: 1"
        any_client.get("/asgi/release")  # only now it goes on
        assert [line for line in lines if line] == ["data: 2"]


def test_a_client_that_goes_cancels_the_request(server: Server) -> None:
    def running() -> int:
        return int(httpx.get(server.url() + "/asgi/endless/count", timeout=PATIENCE).text)

    with ExitStack() as stack:
        for _ in range(5):
            sock = stack.enter_context(server.connect())
            sock.sendall(b"GET /asgi/endless HTTP/1.1\r\nhost: a\r\n\r\n")
            assert sock.recv(10)
        assert running() == 5
    eventually(lambda: running() == 0, "the application has heard that they are gone")


@pytest.mark.parametrize("way", ["asgi", "h2c"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_websockets(server: Server, way: str, scheme: str) -> None:
    with opened(server, f"/{way}/echo", scheme, compression="deflate") as socket:
        for message in ("", "grün", b"\0\xff", os.urandom(1 << 20)):
            socket.send(message)
            assert socket.recv(10) == message
        socket.close(4321, "enough")


@pytest.mark.parametrize("way", ["asgi", "h2c"])
def test_websockets_over_http2(server: Server, way: str) -> None:
    with http2.connect(server) as connection:
        tunnels = [Tunnel(connection, f"/{way}/echo") for _ in range(3)]
        big = os.urandom(1 << 20)
        for tunnel in tunnels:
            assert tunnel.status == 200
            tunnel.send(f"from {tunnel.stream}")
        for tunnel in reversed(tunnels):
            assert tunnel.receive() == b"from %d" % tunnel.stream
        tunnels[1].send(big)
        assert tunnels[1].receive() == big


def test_websockets_that_the_application_ends_or_refuses(server: Server) -> None:
    with opened(server, "/asgi/chat", subprotocols=["a", "b"]) as socket:
        assert socket.subprotocol == "a"
        socket.send("close")
        with pytest.raises(ConnectionClosed):
            socket.recv(5)
        assert socket.protocol.close_rcvd is not None and socket.protocol.close_rcvd.code == 4001
    with pytest.raises(InvalidStatus) as refused, opened(server, "/asgi/refuses"):
        pass
    assert refused.value.response.status_code == 403
    with http2.connect(server) as connection:
        assert Tunnel(connection, "/asgi/refuses").status == 403


# -- Gunicorn


def test_gunicorn_closes_after_each_answer(any_client: httpx.Client) -> None:
    for _ in range(5):
        response = any_client.put("/wsgi/x", content=PIECES[0])
        assert response.status_code == 201 and response.content == PIECES[0] and response.headers["x-method"] == "PUT"
        assert any_client.get("/wsgi/pieces").text == "one two three"


# -- gRPC


@pytest.fixture(params=["h2c", "tls"])
def channel(server: Server, folder: Path, request: pytest.FixtureRequest) -> Iterator[grpc.Channel]:
    if request.param == "h2c":
        made = grpc.insecure_channel(server.url().removeprefix("http://"))
    else:
        credentials = grpc.ssl_channel_credentials((folder / "edge.pem").read_bytes())
        options = [("grpc.ssl_target_name_override", "localhost")]
        made = grpc.secure_channel(server.url("https").removeprefix("https://"), credentials, options)
    with made:
        yield made


def test_grpc_unary(channel: grpc.Channel) -> None:
    method = channel.unary_unary("/test.Echo/Unary")
    for size in (0, 10, 1_000_000):
        answer, call = method.with_call(b"x" * size, timeout=10)
        assert answer == b"x" * size and ("x-length", str(size)) in [(k, v) for k, v in call.trailing_metadata()]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: method(b"%d" % i, timeout=10), range(200))) == [b"%d" % i for i in range(200)]


def test_grpc_streams(channel: grpc.Channel) -> None:
    assert list(channel.unary_stream("/test.Echo/Down")(b"1000", timeout=10)) == [b"%d" % i for i in range(1000)]
    digest = channel.stream_unary("/test.Echo/Up")(iter(PIECES), timeout=10)
    assert digest == hashlib.sha256(b"".join(PIECES)).digest()
    said: list[bytes] = []

    def ask() -> Iterator[bytes]:
        """The next one only when the last one was answered."""
        for i in range(20):
            yield b"%d" % i
            eventually(lambda i=i: len(said) > i)

    for answer in channel.stream_stream("/test.Echo/Both")(ask(), timeout=20):
        said += [answer]
    assert said == [b"%d" % i for i in range(20)]


def test_grpc_statuses_and_deadlines(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/Fails")(b"", timeout=10)
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION and failed.value.details() == "not today: ö"
    with pytest.raises(grpc.RpcError) as missing:
        channel.unary_unary("/test.Echo/Nothing")(b"", timeout=10)
    assert missing.value.code() is grpc.StatusCode.UNIMPLEMENTED
    Echo.cancelled.clear()
    with pytest.raises(grpc.RpcError) as late:
        channel.unary_unary("/test.Echo/Sleeps")(b"", timeout=0.3)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert Echo.cancelled.wait(10), "the server has heard of it"
    assert channel.unary_unary("/test.Echo/Unary")(b"still", timeout=10) == b"still"


# -- peers that die


def test_a_peer_that_is_killed(server: Server, folder: Path, mortal: Process) -> None:
    """Its answers are cut, further requests get 502, and nothing else is harmed; when it is back, so is all."""
    with ExitStack() as stack:
        socks = [stack.enter_context(server.connect()) for _ in range(4)]
        for sock in socks:
            sock.sendall(b"GET /mortal/endless HTTP/1.1\r\nhost: a\r\n\r\n")
            assert sock.recv(10).startswith(b"HTTP/1.1 2")
        mortal.kill()
        for sock in socks:
            answer = b""
            while piece := _read(sock):
                answer += piece
            assert not answer.endswith(b"0\r\n\r\n"), "the client can tell that it was cut"
    assert httpx.get(server.url() + "/mortal/pid", timeout=PATIENCE).status_code == 502
    assert httpx.get(server.url() + "/nginx/connection", timeout=PATIENCE).status_code == 200
    again = uvicorn(folder, mortal.port)
    try:
        assert httpx.get(server.url() + "/mortal/pid", timeout=PATIENCE).text == str(again.process.pid)
    finally:
        again.stop()


def _read(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except ConnectionResetError:
        return b""


def test_a_stop_waits_for_no_idle_connection(start: Start, nginx: Nginx) -> None:
    """Connections to peers that are kept for later do not hold a worker up."""
    server = start(
        f'[server]\nhttp = "127.0.0.1:0"\nworkers = 1\n[sites."*"]\n"/*" = {{ proxy = "http://127.0.0.1:{nginx.port}" }}\n'
    )
    assert httpx.get(server.url() + "/connection", timeout=PATIENCE).status_code == 200
    assert server.stop() == 0
    assert "Traceback" not in server.output
