"""HTTP/1 on a real socket: what is refused, with which answer and reason, and that it reaches no application and harms nobody."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import (
    APP,
    admin_address,
    eventually,
    last_words,
    parse,
    rejects,
    seen,
    unharmed_by_it,
)

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 1
limits = { body = 100000, fields = 20, head = 8192, request_line = 1024, head_timeout = "1s", body_timeout = "1s" }
[sites."localhost"]
log = false
"/app/*" = { app = "probe", mount = false }
"/files/*" = { files = "www" }
"/hi" = { respond = "hi" }
[apps.probe]
target = "probe:app"
inline = true
"""
HEAD = b"POST /app/x HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /hi HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(start_once: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    started = start_once(CONFIG, files={"probe.py": APP, "www/big.bin": "x" * 3_000_000, "www/small.txt": "small"})
    admin_address(started)
    return started


@pytest.fixture(autouse=True)
def unharmed(server: Server) -> Iterator[None]:
    with unharmed_by_it(server):
        yield


def request(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: localhost", *fields]) + b"\r\n\r\n"


def post(*fields: bytes) -> bytes:
    return request(b"POST /app/x HTTP/1.1", *fields)


REFUSED = [
    # Framing: exactly one of Content-Length and `chunked` (RFC 9112 section 6.3).
    ("length and coding", post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400, "two_framings"),
    ("coding twice", post(b"Transfer-Encoding: chunked, chunked"), 400, "bad_transfer_encoding"),
    ("coding not final", post(b"Transfer-Encoding: chunked, gzip"), 400, "bad_transfer_encoding"),
    ("coding unknown", post(b"Transfer-Encoding: xchunked"), 400, "bad_transfer_encoding"),
    ("coding in 1.0", post(b"Transfer-Encoding: chunked").replace(b"/1.1", b"/1.0"), 400, "bad_transfer_encoding"),
    ("length repeated", post(b"Content-Length: 5", b"Content-Length: 5"), 400, "bad_content_length"),
    ("length list", post(b"Content-Length: 5, 5"), 400, "bad_content_length"),
    ("length signed", post(b"Content-Length: +5"), 400, "bad_content_length"),
    ("length hexadecimal", post(b"Content-Length: 0x5"), 400, "bad_content_length"),
    ("expectation", post(b"Expect: 200-ok", b"Content-Length: 1"), 417, "expectation_failed"),
    # The target and the host (RFC 9112 section 3.2).
    ("no host", b"GET /app/x HTTP/1.1\r\n\r\n", 400, "bad_host"),
    ("host twice", request(b"GET /app/x HTTP/1.1", b"Host: localhost"), 400, "bad_host"),
    ("host with path", b"GET /app/x HTTP/1.1\r\nHost: a/b?x\r\n\r\n", 400, "bad_host"),
    ("host with user", b"GET /app/x HTTP/1.1\r\nHost: u@localhost\r\n\r\n", 400, "bad_host"),
    ("unknown host", b"GET /app/x HTTP/1.1\r\nHost: elsewhere\r\n\r\n", 421, "no_site"),
    ("absolute-form decides", request(b"GET http://elsewhere/app/x HTTP/1.1"), 421, "no_site"),
    ("CONNECT", request(b"CONNECT localhost:80 HTTP/1.1"), 405, "connect_refused"),
    ("* for GET", request(b"GET * HTTP/1.1"), 400, "bad_target"),
    ("authority for GET", request(b"GET localhost:80 HTTP/1.1"), 400, "bad_target"),
    ("control byte in target", request(b"GET /app/\x01 HTTP/1.1"), 400, "bad_request_line"),
    ("space in target", request(b"GET /app/a b HTTP/1.1"), 400, "bad_request_line"),
    ("non-ASCII target", request("GET /app/é HTTP/1.1".encode()), 400, "bad_target"),
    ("encoded NUL", request(b"GET /app/%00 HTTP/1.1"), 400, "bad_target"),
    ("version 2.0", request(b"GET /app/x HTTP/2.0"), 505, "bad_version"),
    # Fields (RFC 9112 section 5).
    ("folded field", request(b"GET /app/x HTTP/1.1", b"A: b", b" c"), 400, "bad_field"),
    ("bare CR in a value", request(b"GET /app/x HTTP/1.1", b"A: b\rc"), 400, "bad_field"),
    ("NUL in a value", request(b"GET /app/x HTTP/1.1", b"A: b\x00c"), 400, "bad_field"),
    ("bare LF", b"GET /app/x HTTP/1.1\nHost: localhost\n\n", 400, "bad_request_line"),
    ("space before the colon", request(b"GET /app/x HTTP/1.1", b"A : b"), 400, "bad_field"),
    # Sizes.
    ("long target", request(b"GET /app/" + b"x" * 2000 + b" HTTP/1.1"), 414, "uri_too_long"),
    ("long head", request(b"GET /app/x HTTP/1.1", b"A: " + b"x" * 9000), 431, "head_too_large"),
    ("many fields", request(b"GET /app/x HTTP/1.1", *[b"A: b"] * 30), 431, "too_many_fields"),
    ("long body", post(b"Content-Length: 100001") + b"x" * 100001, 413, "body_too_large"),
    # An upgrade with a body can be read in two ways.
    ("upgrade with a body", request(b"GET /app/x HTTP/1.1", b"Connection: upgrade", b"Upgrade: websocket",
                                    b"Content-Length: 1") + b"x", 400, "bad_upgrade"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_heads_reach_nobody(server: Server, data: bytes, status: int, why: str) -> None:
    counted, told = rejects(server).get(why, 0), seen(server)
    closes = status not in (421,)
    with server.connect() as sock:
        sock.sendall(data + GET)  # a request behind it must not be served: nobody knows where it begins
        if not closes:
            sock.shutdown(socket.SHUT_WR)
        answers = parse(last_words(sock))
    assert answers[0][0] == status
    if closes:
        assert len(answers) == 1 and answers[0][1][b"connection"] == b"close"
    assert rejects(server)[why] == counted + 1
    assert seen(server) == told


BROKEN_CHUNKS = {
    "bare LF": b"5\nhello\r\n0\r\n\r\n",
    "space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "junk behind the size": b"5x\r\nhello\r\n0\r\n\r\n",
    "bad CRLF behind the data": b"5\r\nhelloXX0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "endless extension": b"5;" + b"x" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\n\r\nhello\r\n0\r\n\r\n",
    "framing in trailers": b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
    "bad trailer": b"5\r\nhello\r\n0\r\nA : b\r\n\r\n",
}


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS.values(), ids=list(BROKEN_CHUNKS))
def test_broken_chunks_are_answered_with_400_and_never_a_whole_body(server: Server, chunks: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(CHUNKED + chunks + GET)
        (answer,) = parse(last_words(sock))
    assert answer[0] == 400 and answer[1][b"connection"] == b"close"
    assert not seen(server)[-1].startswith("BODY")


def test_a_truncated_last_chunk_is_no_end(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(CHUNKED + b"5\r\nhello\r\n0\r\n")
        eventually(lambda: seen(server)[-1] == "POST /x")
        sock.shutdown(socket.SHUT_WR)
        assert last_words(sock) == b""
    eventually(lambda: seen(server)[-1] == "DISCONNECT /x")


def test_a_chunked_body_too_long_is_cut_on_the_wire(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(CHUNKED + (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 4 + b"0\r\n\r\n")
        assert parse(last_words(sock))[0][0] == 413


# -- the answer is read though the client goes on sending (RFC 9112 section 9.6)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"BAD\r\n", 400),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n", 414),
        (request(b"GET / HTTP/1.1", b"A: " + b"x" * 9000), 431),
        (CHUNKED + b"zz\r\n", 400),
        (post(b"Content-Length: 5000000"), 413),
    ],
    ids=["bad head", "long target", "long head", "bad chunk", "long body"],
)
def test_a_refusal_is_read_whole_by_a_client_that_goes_on_sending(server: Server, head: bytes, status: int) -> None:
    with server.connect() as sock:
        sock.sendall(head)
        try:
            for _ in range(16):
                sock.sendall(b"junk" * 16384)
                time.sleep(0.005)  # so that it meets a socket that could be closed already
        except OSError as e:
            pytest.fail(f"the server reset the connection: {e}")
        (answer,) = parse(last_words(sock))
    assert answer[0] == status


def test_who_never_stops_sending_is_closed_all_the_same(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(b"BAD\r\n")
        until = time.monotonic() + 20
        with pytest.raises(OSError):  # noqa: PT012
            while time.monotonic() < until:
                sock.sendall(b"junk" * 256)
                time.sleep(0.01)


# -- expectations, early answers, reuse


def test_100_continue_comes_when_the_application_reads(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(post(b"Content-Length: 5", b"Expect: 100-continue"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        assert b"echo:hello" in sock.recv(1000)
        sock.sendall(GET)
        assert sock.recv(1000).endswith(b"\r\n\r\nhi")


def test_a_connection_whose_client_waits_for_100_in_vain_is_not_used_again(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(request(b"POST /app/deaf HTTP/1.1", b"Content-Length: 36", b"Expect: 100-continue"))
        (answer,) = parse(sock.recv(1000))
        assert answer[2] == b"deaf" and answer[1][b"connection"] == b"close"
        sock.sendall(GET)  # is it the body, late, or a request?
        assert last_words(sock) == b""


def test_behind_an_early_answer_a_short_rest_is_dropped_and_a_long_one_ends_the_connection(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(request(b"POST /app/deaf HTTP/1.1", b"Content-Length: 1000") + b"x" * 500)
        assert sock.recv(1000).endswith(b"deaf")
        sock.sendall(b"x" * 500 + GET)
        assert sock.recv(1000).endswith(b"\r\n\r\nhi")
        sock.sendall(request(b"POST /app/deaf HTTP/1.1", b"Content-Length: 90000") + b"x" * 500)
        (answer,) = parse(last_words(sock))
        assert answer[1][b"connection"] == b"close" and answer[2] == b"deaf"


# -- persistence


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    app = request(b"POST /app/echo HTTP/1.1", b"Content-Length: 2")
    last = request(b"GET /files/small.txt HTTP/1.1", b"Connection: close")
    answers = parse(server.raw(GET + app + b"ab" + GET + app + b"cd" + last))
    assert [body for _, _, body in answers] == [b"hi", b"echo:ab", b"hi", b"echo:cd", b"small"]


def test_answers_without_a_body_do_not_shift_those_behind_them(server: Server) -> None:
    head = request(b"HEAD /files/small.txt HTTP/1.1")
    with server.connect() as sock:
        sock.sendall(head)
        fields = parse(sock.recv(1000).replace(b"content-length", b"x-length"))[0][1]
        tag = fields[b"etag"]
        assert fields[b"x-length"] == b"5"
        sock.sendall(request(b"GET /files/small.txt HTTP/1.1", b"If-None-Match: " + tag) + request(b"GET /hi HTTP/1.1",
                     b"Connection: close"))  # fmt: skip
        answer = last_words(sock)
    assert answer.startswith(b"HTTP/1.1 304") and answer.endswith(b"hi")
    assert answer.index(b"\r\n\r\n") + 4 == answer.index(b"HTTP/1.1 200")


def test_http_1_0_closes_unless_it_asks_to_stay(server: Server) -> None:
    assert parse(server.raw(b"GET /hi HTTP/1.0\r\nHost: localhost\r\n\r\n"))[0][1][b"connection"] == b"close"
    with server.connect() as sock:
        for _ in range(2):
            sock.sendall(b"GET /hi HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            assert parse(sock.recv(1000))[0][1][b"connection"] == b"keep-alive"


def test_a_later_minor_version_is_served_as_1_1(server: Server) -> None:
    assert server.raw(request(b"GET /hi HTTP/1.7", b"Connection: close")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("upgrade", [b"h2c", b"TLS/1.0", b"irc"])
def test_an_upgrade_to_what_is_not_spoken_is_ignored(server: Server, upgrade: bytes) -> None:
    fields = b"Connection: upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AAMAAABkAAQAAP__"
    with server.connect() as sock:
        sock.sendall(request(b"GET /hi HTTP/1.1", *fields))
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("line", "status"),
    [(b"OPTIONS * HTTP/1.1", (200, 204)), (b"TRACE /hi HTTP/1.1", (405,)), (b"BREW /files/small.txt HTTP/1.1", (501,)),
     (b"get /files/small.txt HTTP/1.1", (501,))],
)  # fmt: skip
def test_methods_of_the_server_itself(server: Server, line: bytes, status: tuple[int, ...]) -> None:
    with server.connect() as sock:
        sock.sendall(request(line))
        assert int(sock.recv(1000).split()[1]) in status
        sock.sendall(GET)
        assert sock.recv(1000).endswith(b"hi")


# -- clients that leave


@pytest.mark.parametrize("path", [b"/hi", b"/files/big.bin", b"/app/echo"])
def test_who_sends_a_request_and_closes_its_half_still_gets_a_static_answer(server: Server, path: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(request(b"GET " + path + b" HTTP/1.1"))
        sock.shutdown(socket.SHUT_WR)
        answer = last_words(sock)
    if path.startswith(b"/app"):
        return  # whether its answer was there before the end of the stream is chance
    size = 3_000_000 if path.endswith(b"bin") else 2
    assert len(parse(answer)[0][2]) == size


def test_an_application_is_told_that_its_client_left(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(post(b"Content-Length: 100") + b"x")
        eventually(lambda: seen(server)[-1] == "POST /x")
    eventually(lambda: seen(server)[-1] == "DISCONNECT /x")


def test_files_are_closed_when_their_client_resets(server: Server) -> None:
    for _ in range(5):
        sock = server.connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(request(b"GET /files/big.bin HTTP/1.1"))
        sock.recv(100)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()


def test_bytes_one_by_one_are_a_request_too(server: Server) -> None:
    with server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(b"Content-Length: 3") + b"abc":
            sock.sendall(bytes((byte,)))
        assert sock.recv(1000).endswith(b"echo:abc")
