"""HTTP/2 on a real socket: what ends a stream or the connection, with which code and reason, and that the rest lives on."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest
from tests.e2e import http2_frames as kit
from tests.e2e.conftest import Server, Start
from tests.e2e.http2_frames import END_HEADERS, END_STREAM, Client, Lines, frame, head, headers, reset, settings
from tests.e2e.kit import APP, admin_address, eventually, rejects, seen, unharmed_by_it

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
h2c = true
workers = 1
limits = { body = 100000, fields = 20, head = 8192, request_line = 1024, streams = 50 }
[sites."localhost"]
log = false
"/app/*" = { app = "probe", mount = false }
"/files/*" = { files = "www" }
"/hi" = { respond = "hi" }
[apps.probe]
target = "probe:app"
inline = true
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    started = start_once(CONFIG, files={"probe.py": APP, "www/big.bin": "x" * 3_000_000})
    admin_address(started)
    return started


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    with unharmed_by_it(server):
        yield


def with_line(name: str | bytes, value: str | bytes) -> Lines:
    return [*head("/app/x"), (name, value)]


MALFORMED: dict[str, tuple[Lines, str]] = {
    # What HTTP/1 behind it could read in another way (RFC 9113 sections 8.2 and 8.3) ends the stream.
    "CR in a value": (with_line("a", b"b\rc"), "bad_field"),
    "LF in a value": (with_line("a", b"b\nc: d"), "bad_field"),
    "NUL in a value": (with_line("a", b"b\0c"), "bad_field"),
    "LF in a name": (with_line(b"a\nb", "c"), "bad_field"),
    "colon in a name": (with_line("a:b", "c"), "bad_field"),
    "space in a name": (with_line("a b", "c"), "bad_field"),
    "uppercase name": (with_line("Abc", "d"), "bad_field"),
    "blank around a value": (with_line("a", " b"), "bad_field"),
    "connection": (with_line("connection", "close"), "bad_field"),
    "transfer-encoding": (with_line("transfer-encoding", "chunked"), "bad_field"),
    "upgrade": (with_line("upgrade", "websocket"), "bad_field"),
    "te": (with_line("te", "gzip"), "bad_field"),
    "pseudo-field twice": ([*head("/app/x"), (":path", "/app/y")], "bad_field"),
    "pseudo-field late": ([*head("/app/x")[:3], ("a", "b"), (":path", "/app/x")], "bad_field"),
    "pseudo-field unknown": (with_line(":fragment", "x"), "bad_field"),
    "pseudo-field of a response": (with_line(":status", "200"), "bad_field"),
    "no method": (head("/app/x")[1:], "bad_request_line"),
    "no path": (head("/app/x")[:3], "bad_request_line"),
    "bad method": (head("/app/x", method="G(T"), "bad_request_line"),
    "method with a line": (head("/app/x", method="GET / HTTP/1.1\r\nx:"), "bad_request_line"),
    "bad scheme": ([(":method", "GET"), (":scheme", "h\n"), (":authority", "localhost"), (":path", "/app/x")],
                   "bad_request_line"),
    "host is not :authority": (with_line("host", "elsewhere"), "bad_host"),
    "two lengths": ([*with_line("content-length", "1"), ("content-length", "2")], "bad_content_length"),
    "length without a body": (with_line("content-length", "5"), "length_mismatch"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "why"), MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_requests_end_their_stream_and_reach_nobody(server: Server, lines: Lines, why: str) -> None:
    counted, told = rejects(server).get(why, 0), seen(server)
    with Client.of(server) as client:
        client.send(headers(1, lines))
        assert client.until(kit.RST_STREAM, 1).error == kit.PROTOCOL_ERROR
        assert client.get(3) == (200, b"hi"), "the connection lives on"
    assert rejects(server)[why] == counted + 1
    assert seen(server) == told


REFUSED: dict[str, tuple[Lines, int, str]] = {
    "long target": (head("/app/" + "x" * 2000), 414, "uri_too_long"),
    "control byte in the target": (head("/app/\x01"), 400, "bad_target"),
    "space in the target": (head("/app/a b"), 400, "bad_target"),
    "non-ASCII target": (head("/app/é".encode()), 400, "bad_target"),
    "* for GET": (head("*"), 400, "bad_target"),
    "empty path": (head(""), 400, "bad_target"),
    "host with a path": (head("/app/x", host="a/b?x"), 400, "bad_host"),
    "host with a user": (head("/app/x", host="u@localhost"), 400, "bad_host"),
    "no host": ([line for line in head("/app/x") if line[0] != ":authority"], 400, "bad_host"),
    "unknown host": (head("/app/x", host="elsewhere"), 421, "no_site"),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "localhost:80")], 405, "connect_refused"),
    "long head": (with_line("a", "x" * 9000), 431, "head_too_large"),
    "many fields": ([*head("/app/x"), *[("a", "b")] * 30], 431, "too_many_fields"),
    "cookie crumbs": ([*head("/app/x"), *[("cookie", "a=b")] * 100], 431, "too_many_fields"),
    "expectation": (with_line("expect", "200-ok"), 417, "expectation_failed"),
}


@pytest.mark.parametrize(("lines", "status", "why"), REFUSED.values(), ids=list(REFUSED))
def test_refused_requests_are_answered_and_reach_nobody(server: Server, lines: Lines, status: int, why: str) -> None:
    counted, told = rejects(server).get(why, 0), seen(server)
    with Client.of(server) as client:
        client.send(headers(1, lines))
        assert client.status(1) == status
        assert client.get(3) == (200, b"hi"), "the connection lives on"
    assert rejects(server)[why] == counted + 1
    assert seen(server) == told


def post(stream: int, *lines: tuple[str, str]) -> bytes:
    return headers(stream, [*head("/app/x", method="POST"), *lines], END_HEADERS)


@pytest.mark.parametrize("data", [b"12345678", b"1234"], ids=["longer", "shorter"])
def test_a_body_that_is_not_as_long_as_it_said_ends_its_stream(server: Server, data: bytes) -> None:
    with Client.of(server) as client:
        client.send(post(1, ("content-length", "5")), frame(kit.DATA, END_STREAM, 1, data))
        assert client.until(kit.RST_STREAM, 1).error == kit.PROTOCOL_ERROR
        assert client.get(3) == (200, b"hi")
    assert not [line for line in seen(server)[-2:] if line.startswith(("BODY /x 8", "BODY /x 4"))]


@pytest.mark.parametrize("lines", [(("content-length", "100001"),), ()], ids=["declared", "counted on the wire"])
def test_a_body_too_long_is_answered_with_413(server: Server, lines: tuple[tuple[str, str], ...]) -> None:
    with Client.of(server) as client:
        client.send(post(1, *lines), *[frame(kit.DATA, 0, 1, b"x" * 16000)] * (0 if lines else 7))
        assert client.status(1) == 413
        assert client.get(3) == (200, b"hi")


def test_trailers_that_frame_or_route_end_their_stream(server: Server) -> None:
    with Client.of(server) as client:
        client.send(post(1), frame(kit.DATA, 0, 1, b"x"), headers(1, [("content-length", "1")]))
        assert client.until(kit.RST_STREAM, 1).error == kit.PROTOCOL_ERROR
        assert client.get(3) == (200, b"hi")


def opened(count: int, path: str = "/app/slow") -> bytes:
    return b"".join(headers(stream, head(path, method="POST"), END_HEADERS) for stream in range(1, 2 * count, 2))


BOMB = kit.block(*head()) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 100
WINDOW_1 = struct.pack(">L", 1)
FATAL: dict[str, tuple[bytes, int, str]] = {
    # Floods: budgets of a connection.
    "resets": (b"".join(headers(i, head("/app/slow")) + reset(i) for i in range(1, 4001, 2)), kit.CALM, "flood"),
    "resets that we send": (
        b"".join(headers(i, head("/app/slow", method="POST"), END_HEADERS) + frame(kit.WINDOW_UPDATE, 0, i, bytes(4))
                 for i in range(1, 4001, 2)), kit.CALM, "flood"),
    "malformed requests": (b"".join(headers(i, with_line("A", "b")) for i in range(1, 4001, 2)), kit.CALM, "flood"),
    "continuations": (frame(kit.HEADERS, 0, 1) + frame(kit.CONTINUATION, 0, 1) * 1000, kit.CALM, "flood"),
    "long continuations": (frame(kit.HEADERS, 0, 1) + frame(kit.CONTINUATION, 0, 1, b"x" * 16000) * 10, kit.CALM, "flood"),
    "settings": (settings((4, 65535)) * 3000, kit.CALM, "flood"),
    "pings": (frame(kit.PING, 0, 0, bytes(8)) * 4000, kit.CALM, "flood"),
    "priorities": (frame(kit.PRIORITY, 0, 1, bytes(5)) * 10000, kit.CALM, "flood"),
    "empty DATA": (opened(1) + frame(kit.DATA, 0, 1) * 4000, kit.CALM, "flood"),
    "small windows": (opened(1) + frame(kit.WINDOW_UPDATE, 0, 1, WINDOW_1) * 12000, kit.CALM, "flood"),
    "unknown frames": (frame(0x77, 0, 0) * 10000, kit.CALM, "flood"),
    # Rules of the connection.
    "block that is no HPACK": (frame(kit.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff"), kit.COMPRESSION, "compression_error"),
    "DATA on an idle stream": (frame(kit.DATA, 0, 1, b"x"), kit.PROTOCOL_ERROR, "protocol_error"),
    "even stream": (headers(2, head()), kit.PROTOCOL_ERROR, "protocol_error"),
    "stream that goes back": (headers(5, head()) + headers(3, head()), kit.STREAM_CLOSED, "stream_closed"),
    "long frame": (frame(kit.DATA, 0, 1, b"x" * 20000), kit.FRAME_SIZE, "frame_size"),
    "ping of 7 bytes": (frame(kit.PING, 0, 0, bytes(7)), kit.FRAME_SIZE, "frame_size"),
    "settings of 5 bytes": (frame(kit.SETTINGS, 0, 0, bytes(5)), kit.FRAME_SIZE, "frame_size"),
    "push by a client": (frame(kit.PUSH_PROMISE, 4, 1, bytes(4)), kit.PROTOCOL_ERROR, "protocol_error"),
    "frame within a block": (frame(kit.HEADERS, 0, 1) + frame(kit.PING, 0, 0, bytes(8)), kit.PROTOCOL_ERROR, "protocol_error"),
    "window beyond 2^31": (frame(kit.WINDOW_UPDATE, 0, 0, struct.pack(">L", 2**31 - 1)) * 2, kit.FLOW_CONTROL, "flow_control"),
    "initial window beyond 2^31": (settings((4, 2**31)), kit.FLOW_CONTROL, "flow_control"),
    "body beyond the window": (
        opened(20) + b"".join(frame(kit.DATA, 0, i, b"x" * 16384) * 5 for i in range(1, 40, 2)),
        kit.FLOW_CONTROL, "flow_control"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "code", "why"), FATAL.values(), ids=list(FATAL))
def test_what_ends_the_connection(server: Server, data: bytes, code: int, why: str) -> None:
    counted = rejects(server).get(why, 0)
    with Client.of(server) as client:
        # GOAWAY must be read whole though much has been sent behind what caused it (RFC 9113 section 5.4.1).
        try:
            client.send(data, b"\0" * 500_000)
        except OSError as e:
            pytest.fail(f"the server reset the connection: {e}")
        assert client.until(kit.GOAWAY).error == code
        assert client.is_closed()
    assert rejects(server)[why] >= counted + 1


def test_a_preface_that_is_none(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + b"x" * 100)
        assert b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" in sock.recv(1000)


def test_an_hpack_bomb_is_counted_as_it_grows(server: Server) -> None:
    with Client.of(server) as client:
        client.send(frame(kit.HEADERS, 5, 1, BOMB))
        assert client.status(1) == 431
        assert client.get(3) == (200, b"hi"), "the tables stayed the same"


def test_streams_beyond_the_limit_are_refused_and_may_come_again(server: Server) -> None:
    with Client.of(server) as client:
        client.send(opened(51))
        assert client.until(kit.RST_STREAM, 101).error == kit.REFUSED_STREAM
        client.send(reset(1))
        assert client.get(103) == (200, b"hi")


def test_a_reset_cancels_the_application(server: Server) -> None:
    with Client.of(server) as client:
        client.send(headers(1, head("/app/cancelled", method="POST"), END_HEADERS))
        eventually(lambda: seen(server)[-1] == "POST /cancelled")
        client.send(reset(1))
        eventually(lambda: seen(server)[-1] == "DISCONNECT /cancelled")
        assert client.get(3) == (200, b"hi")


def test_a_connection_that_ends_cancels_all_its_streams(server: Server) -> None:
    with Client.of(server) as client:
        client.send(opened(10, "/app/gone"))
        eventually(lambda: seen(server).count("POST /gone") == 10)
    eventually(lambda: seen(server).count("DISCONNECT /gone") == 10)


def test_an_early_answer_ends_the_request_without_an_error(server: Server) -> None:
    with Client.of(server) as client:
        client.send(headers(1, head("/app/deaf", method="POST"), END_HEADERS), frame(kit.DATA, 0, 1, b"x" * 100))
        assert client.status(1) == 200
        client.send(frame(kit.DATA, END_STREAM, 1, b"the rest, which nobody wants"))
        assert client.get(3) == (200, b"hi")


def test_bytes_one_by_one_and_padding_are_requests_too(server: Server) -> None:
    padded = frame(kit.DATA, END_STREAM | 8, 1, b"\x03abc\0\0\0")
    with Client.of(server) as client:
        for byte in headers(1, head("/app/echo", method="POST"), END_HEADERS) + padded:
            client.send(bytes((byte,)))
        assert (client.status(1), client.body(1)) == (200, b"echo:abc")


def test_a_whole_client_downloads_with_flow_control_and_uploads(server: Server) -> None:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    client.initiate_connection()
    bodies: dict[int, int] = {1: 0, 3: 0, 5: 0}
    ended: set[int] = set()
    with server.connect() as sock:
        client.send_headers(1, [*head("/files/big.bin")], end_stream=True)
        client.send_headers(3, [*head("/files/big.bin")], end_stream=True)
        client.send_headers(5, [*head("/app/echo", method="POST")])
        client.send_data(5, b"x" * 16000, end_stream=True)
        sock.sendall(client.data_to_send())
        while len(ended) < 3:
            for event in client.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += len(event.data)
                    client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            sock.sendall(client.data_to_send())
    assert bodies == {1: 3_000_000, 3: 3_000_000, 5: 16005}
