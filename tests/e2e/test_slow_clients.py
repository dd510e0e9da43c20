"""Clients that take their time: each is given up by its own time-out, whatever many of them there are, and others are served."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from tests.e2e import http2_frames as kit
from tests.e2e.conftest import Server, Start
from tests.e2e.http2_frames import END_HEADERS, Client, frame, head, headers
from tests.e2e.kit import APP, admin_address, descriptors, eventually, get, last_words, parse, rejects

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
h2c = true
workers = 1
[server.limits]
head_timeout = "1s"
body_timeout = "1s"
idle_timeout = "1s"
write_timeout = "1s"
request_timeout = "3s"
min_rate = 20000
[sites."*"]
log = false
"/app/*" = { app = "probe", mount = false }
"/files/*" = { files = "www" }
"/hi" = { respond = "hi" }
[apps.probe]
target = "probe:app"
workers = 1
"""
SIZE = 20_000_000
SOME = 120_000


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    started = start_once(CONFIG, files={"probe.py": APP, "www/big.bin": "x" * SIZE, "www/some.bin": "x" * SOME})
    admin_address(started)
    return started


def connect(server: Server, *data: bytes) -> socket.socket:
    """A client with small buffers that says `data`."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(10)
    sock.connect(server.address())
    sock.sendall(b"".join(data))
    return sock


def request(path: str, method: str = "GET", fields: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


SLOW_BODY = request("/app/x", "POST", "Content-Length: 1000\r\n")


class Trickle(threading.Thread):
    """Sends a byte at a time on many sockets, and notes those that the server has ended."""

    def __init__(self, socks: list[socket.socket]) -> None:
        super().__init__(daemon=True)
        self.left = set(socks)
        self.start()

    def run(self) -> None:
        while self.left:
            for sock in list(self.left):
                try:
                    sock.send(b"x")
                except OSError:
                    self.left.discard(sock)
            time.sleep(0.1)


def is_over(sock: socket.socket) -> bool:
    """Whether the server has ended the connection; what it said before stays unread."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


@pytest.fixture(scope="module", autouse=True)
def clients(server: Server) -> Iterator[dict[str, socket.socket]]:
    """One of each kind, all at once; what they are told waits in their sockets until a test looks."""
    requests = {
        "silent": b"",
        "idle": request("/hi"),
        "head": b"GET /",
        "body": SLOW_BODY,
        "handler": request("/app/slow"),
        "stream": request("/app/stream"),
        "pipeline": request("/app/slow") + request("/hi"),
        "preface": kit.PREFACE[:20],
        "shut": kit.PREFACE + kit.settings((4, 0)) + headers(1, head("/hi")) + headers(3, head("/files/big.bin")),
        "crawl": kit.PREFACE + kit.settings((4, 0)) + headers(1, head("/files/big.bin")),
        "streams": kit.PREFACE + kit.settings() + headers(1, head("/app/x", method="POST"), END_HEADERS)
        + headers(3, head("/app/slow")),
        "block": kit.PREFACE + kit.settings() + frame(kit.HEADERS, 0, 1, b"\x82"),
        "unconfirmed": kit.PREFACE + kit.settings(),
    }  # fmt: skip
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        opened = {name: stack.enter_context(connect(server, data)) for name, data in requests.items()}

        def crawl() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.1):
                    opened["crawl"].send(frame(kit.WINDOW_UPDATE, 0, 1, struct.pack(">L", 1)))

        thread = threading.Thread(target=crawl)
        thread.start()
        yield opened
        over.set()
        thread.join()


def test_a_slow_but_healthy_download_survives(server: Server) -> None:
    """Slower than the time-outs, faster than the minimum rate."""
    got = 0
    with connect(server, request("/files/some.bin")) as sock:
        began = time.monotonic()
        while got < SOME:
            piece = sock.recv(8192)
            assert piece, f"cut after {got} bytes"
            got += len(piece)
            time.sleep(max(0.0, began + got / 90_000 - time.monotonic()))
    assert time.monotonic() - began > 1.2


@contextlib.contextmanager
def crowd(server: Server, count: int, *data: bytes) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(server, *data)) for _ in range(count)]


def test_hundreds_at_once_are_all_dropped_while_others_are_served(server: Server) -> None:
    before = descriptors(server)
    with (
        crowd(server, 100, b"GET / HTTP/1.1\r\nX: ") as heads,
        crowd(server, 100, SLOW_BODY) as bodies,
        crowd(server, 100, request("/files/big.bin")) as readers,
    ):
        Trickle(heads + bodies)

        def served() -> bool:
            assert get(server, "/hi") == (200, b"hi")
            return all(is_over(sock) for sock in heads + bodies + readers)

        eventually(served, "all slow clients are dropped", 15.0)
    eventually(lambda: descriptors(server) <= before)
    counted = rejects(server)
    assert counted["head_timeout"] >= 100 and counted["body_timeout"] >= 100 and counted["read_timeout"] >= 100


def test_silence_is_closed_without_a_word(clients: dict[str, socket.socket]) -> None:
    assert last_words(clients["silent"]) == b""
    assert [status for status, *_ in parse(last_words(clients["idle"]))] == [200]


@pytest.mark.parametrize("name", ["head", "body"])
def test_slow_requests_are_answered_with_408(clients: dict[str, socket.socket], name: str) -> None:
    assert [status for status, *_ in parse(last_words(clients[name]))] == [408]


def test_the_ceiling_for_exchanges(server: Server, clients: dict[str, socket.socket]) -> None:
    """An answer where none has begun, otherwise a cut that can be seen."""
    assert [status for status, *_ in parse(last_words(clients["handler"]))] == [503]
    assert [status for status, *_ in parse(last_words(clients["pipeline"]))] == [503, 200]
    stream = last_words(clients["stream"])
    assert stream.startswith(b"HTTP/1.1 200") and not stream.endswith(b"0\r\n\r\n")
    assert rejects(server)["request_timeout"] >= 3


def test_http2_windows_that_stay_shut_or_open_by_the_byte(server: Server, clients: dict[str, socket.socket]) -> None:
    shut, crawl = Client(clients["shut"]), Client(clients["crawl"])
    for stream in (1, 3):
        assert shut.until(kit.RST_STREAM, stream).error == kit.CANCEL
    assert crawl.until(kit.RST_STREAM, 1).error == kit.CANCEL
    assert rejects(server)["read_timeout"] >= 3


def test_http2_bodies_blocks_and_handlers(clients: dict[str, socket.socket]) -> None:
    streams = Client(clients["streams"])
    assert streams.status(1) == 408
    assert streams.status(3) == 503
    assert Client(clients["block"]).until(kit.GOAWAY).error == kit.CALM


def test_http2_a_preface_that_never_comes_and_settings_that_are_never_confirmed(
    clients: dict[str, socket.socket],
) -> None:
    assert Client(clients["preface"]).until(kit.GOAWAY).error == kit.CALM
    assert Client(clients["unconfirmed"]).until(kit.GOAWAY).error in (0, kit.SETTINGS_TIMEOUT)
