"""Bodies that flow, both ways, and what happens when one end stops: through real sockets, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import itertools
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e import http2
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import workers

from enfilade.wire.http2 import Http2Limits

APPS = Path(__file__).parent / "apps"
GROWTH = 40 << 20
"""Bytes that a process's memory may grow by where one client sends or takes more than that."""
CONFIG = f"""
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
workers = 1
drain_timeout = 5
[server.limits]
body = "300MB"
[sites."*"]
tls = "internal"
"/asgi/*" = {{ app = "asgi" }}
"/wsgi/*" = {{ app = "wsgi" }}
[apps.asgi]
target = "plain:app"
path = "{APPS}"
workers = 1
[apps.wsgi]
target = "plain_wsgi:app"
path = "{APPS}"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    return start_once(CONFIG)


@pytest.fixture(params=["http1", "http2"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    http2 = request.param == "http2"
    with httpx.Client(
        base_url=server.url("https" if http2 else "http"), http2=http2, verify=False, timeout=10
    ) as client:
        yield client


@pytest.fixture
def alive(server: Server) -> Iterator[None]:
    """Whatever a test does, the next client is answered by the same worker."""
    before = httpx.get(server.url() + "/asgi/pid", timeout=PATIENCE).text
    yield
    assert httpx.get(server.url() + "/asgi/pid", timeout=PATIENCE).text == before


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """What to recognise this run of the test by in the server's output."""
    return re.sub(r"\W", "-", request.node.name) + f"-{next(_runs)}"


_runs = itertools.count()


def memory(pid: int, key: str) -> int:
    """`VmRSS`: bytes of memory now; `VmHWM`: the most that it ever was since `forget`."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


class Growth:
    """How much more memory the edge worker, or one of an application, took at most since this was made."""

    def __init__(self, server: Server) -> None:
        self._before = {}
        for pid in workers(server):
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            self._before[pid] = memory(pid, "VmRSS")

    def __call__(self) -> int:
        return max(memory(pid, "VmHWM") - before for pid, before in self._before.items())


# -- out


def test_the_first_event_comes_at_once_and_a_disconnect_cancels_f24(
    client: httpx.Client, server: Server, name: str
) -> None:
    began = time.monotonic()
    with client.stream("GET", f"/asgi/sse?{name}") as response:
        assert next(response.iter_bytes()) == b"data: first\n\n"
        assert time.monotonic() - began < 5
    client.close()  # over HTTP/2 this client does not reset its stream
    server.wait_for(f"cancelled {name}")


def test_a_disconnect_closes_a_generator_of_wsgi_f24(client: httpx.Client, server: Server, name: str) -> None:
    with client.stream("GET", f"/wsgi/ticks?{name}") as response:
        assert next(response.iter_bytes()) == b"data: tick\n\n"
    client.close()
    server.wait_for(f"closed {name}")


def test_an_application_that_listens_is_told_of_the_disconnect(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(b"GET /asgi/silent HTTP/1.1\r\nhost: a\r\n\r\n")
        server.wait_for("is listening")
    server.wait_for("was told http.disconnect")


def test_background_tasks_go_on_when_the_client_has_left(client: httpx.Client, server: Server, name: str) -> None:
    assert client.get(f"/asgi/background?{name}").text == "answered"
    client.close()
    server.wait_for(f"background task is done {name}")


def test_background_tasks_are_waited_for_at_a_stop(start: Start) -> None:
    server = start(CONFIG)
    assert httpx.get(server.url() + "/asgi/background?at-stop", timeout=PATIENCE).text == "answered"
    server.wait_for("background task begins")
    assert server.stop() == 0
    assert 0 < server.output.index("background task is done at-stop") < server.output.index("plain has shut down")


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_client_that_does_not_read_a_gigabyte_costs_little(
    server: Server, interface: str, scheme: str, name: str
) -> None:
    with server.connect(scheme) as sock:
        growth = Growth(server)
        sock.sendall(b"GET /%s/gigabyte?%s HTTP/1.1\r\nhost: a\r\n\r\n" % (interface.encode(), name.encode()))
        server.wait_for(f"first megabyte is out {name}")
        settle(server)
        assert growth() < GROWTH
    server.wait_for(f"closed {name}" if interface == "wsgi" else f"gone {name}")


@pytest.mark.parametrize("window", [1 << 16, (1 << 31) - 1])
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_client_that_stops_reading_over_http2_costs_little(
    server: Server, interface: str, window: int, name: str
) -> None:
    """Whether it is the peer's window that is full, or its socket."""
    with http2.connect(server, Http2Limits(stream_window=window, connection_window=window)) as connection:
        growth = Growth(server)
        for i in range(3):
            connection.request(f"/{interface}/gigabyte?{name}-{i}")
        settle(server)
        assert growth() < GROWTH
    for i in range(3):
        server.wait_for(f"closed {name}-{i}" if interface == "wsgi" else f"gone {name}-{i}")


def settle(server: Server) -> None:
    """Wait until no process computes any longer: they have sent what they could."""

    def ticks() -> list[int]:
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in workers(server)]
        return [int(fields[11]) + int(fields[12]) for fields in stats]

    seen: list[int] = []
    while (now := ticks()) != seen:
        seen = now
        time.sleep(0.1)


def test_a_client_that_reads_gets_on(server: Server) -> None:
    growth, size = Growth(server), 0
    with httpx.stream("GET", server.url() + "/asgi/gigabyte?part") as response:
        for piece in response.iter_raw(1 << 20):
            size += len(piece)
            if size >= 128 << 20:
                break
    assert growth() < GROWTH
    server.wait_for("gone part")


def test_a_large_file_by_file_wrapper(client: httpx.Client, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as f:
        f.truncate(32 << 20)
        f.seek(16 << 20)
        f.write(b"middle")
    growth = Growth(server)
    response = client.get(f"/wsgi/file?{file}")
    assert len(response.content) == 32 << 20 == int(response.headers["content-length"])
    assert response.content[16 << 20 :].startswith(b"middle\0")
    assert growth() < GROWTH


def test_pathsend(client: httpx.Client) -> None:
    response = client.get("/asgi/pathsend")
    assert response.content == (APPS / "plain.py").read_bytes()


def test_trailers(server: Server) -> None:
    answer = server.raw(b"GET /asgi/trailers HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert answer.endswith(b"content\r\n0\r\nx-sum: 7\r\n\r\n") and b"\r\ntrailer: x-sum\r\n" in answer


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_early_hints_and_trailers_by_curl(server: Server, version: str) -> None:
    said = curl(version, "-i", server.url("https") + "/asgi/hints")
    first, second, page = said.replace("\r\n", "\n").split("\n\n")
    assert " 103" in first.splitlines()[0] and "link: </style.css>; rel=preload" in first
    assert " 200" in second.splitlines()[0] and page == "page"
    assert "x-sum: 7" in curl(version, "-i", server.url("https") + "/asgi/trailers")


@pytest.mark.parametrize("page", ["asgi/sse", "wsgi/ticks"])
def test_a_stream_that_its_client_resets_ends_alone_f24(server: Server, page: str, name: str) -> None:
    with http2.connect(server) as connection:
        stream, other = connection.request(f"/{page}?{name}"), connection.request(f"/{page}?other-{name}")
        connection.wait(lambda: {stream, other} <= connection.data.keys())
        connection.reset(stream)
        server.wait_for(f"(cancelled|closed) {name}")
        connection.data.clear()
        last = connection.request("/asgi/pid")
        connection.wait(lambda: last in connection.ended)
        assert other not in connection.ended
    server.wait_for(f"(cancelled|closed) other-{name}")


def curl(*arguments: str) -> str:
    done = subprocess.run(["curl", "-sk", *arguments], capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, done
    return done.stdout


# -- in


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("how", ["http --http1.1", "https --http2"])
def test_a_body_that_is_read_slowly_costs_little(server: Server, tmp_path: Path, how: str, interface: str) -> None:
    scheme, version = how.split()
    with (tmp_path / "body").open("wb") as body:
        body.truncate(64 << 20)
    growth = Growth(server)
    assert curl(version, "-T", f"{tmp_path / 'body'}", f"{server.url(scheme)}/{interface}/slow_reader") == str(64 << 20)
    assert growth() < GROWTH


def test_a_body_that_nobody_reads_leaves_the_answer_readable_f4(client: httpx.Client) -> None:
    assert client.post("/asgi/unread", content=bytes(1 << 20)).text == "did not look"
    assert client.get("/asgi/pid").status_code == 200


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_body_that_is_too_large_gets_to_know_that_f12(server: Server, version: str, tmp_path: Path) -> None:
    with (tmp_path / "body").open("wb") as body:
        body.truncate(400 << 20)
    said = curl(version, "-T", f"{tmp_path / 'body'}", f"{server.url('https')}/asgi/unread")
    assert said.startswith("413 Content Too Large")


@pytest.mark.parametrize("version", [["--http1.1"], ["--http1.1", "-H", "transfer-encoding: chunked"], ["--http2"]])
def test_expect_100_continue_by_curl(server: Server, version: list[str]) -> None:
    expect = ["-H", "expect: 100-continue", "--expect100-timeout", "8"]
    began = time.monotonic()
    assert curl(*version, *expect, "--data-binary", "a" * 3000, server.url("https") + "/asgi/echo") == "a" * 3000
    assert time.monotonic() - began < 8


def test_the_application_s_first_receive_asks_for_the_body(server: Server) -> None:
    """RFC 9110 section 10.1.1: 100 where the body is wanted, nothing but the final answer where it is not."""
    head = b"POST /asgi/%s HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n"
    with server.connect() as sock:
        sock.sendall(head % b"echo")
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert sock.recv(65536).endswith(b"\r\n\r\nabc")
    assert server.raw(head % b"unread").startswith(b"HTTP/1.1 200 ")


# -- applications that do wrong (status, one traceback, and nobody else notices)

WRONG = [
    ("raises", 500, "before the answer"),
    ("too_long", 500, "the body has 13 bytes, but Content-Length says 3"),
    ("bad_fields", 500, "holds a line break or NUL"),
    ("says_nothing", 500, None),
]
CUT = [("raises_midstream", "in the middle"), ("too_short", "Content-Length")]


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize(("page", "status", "why"), WRONG)
def test_an_answer_that_cannot_be_sent_f21(
    client: httpx.Client, server: Server, interface: str, page: str, status: int, why: str | None, name: str
) -> None:
    response = client.get(f"/{interface}/{page}?{name}")
    assert response.status_code == status
    assert "Traceback" not in response.text and "ZeroDivision" not in response.text
    assert_logged_once(server, name, why)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize(("page", "why"), CUT)
def test_an_answer_that_breaks_off_f21_f23(
    client: httpx.Client, server: Server, interface: str, page: str, why: str, name: str
) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/{interface}/{page}?{name}")
    assert client.get("/asgi/pid").status_code == 200
    assert_logged_once(server, name, why)


def assert_logged_once(server: Server, name: str, why: str | None) -> None:
    """One line says which request it was; the lines of its traceback, if it has one, follow."""
    line = server.wait_for(rf" error .*{name}")
    if why is not None:
        server.wait_for(why)
    assert sum(bool(re.search(rf" error .*{name}", other)) for other in server.lines) == 1, line


def test_an_application_that_blocks_delays_but_breaks_nothing(server: Server) -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(httpx.get(server.url() + "/asgi/blocks", timeout=PATIENCE).text))
               for _ in range(3)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == ["at last"] * 3


def test_pipelined_requests_behind_a_cut_answer_are_not_answered(server: Server) -> None:
    """FAILURES: the connection is never desynchronised; what was promised and did not come ends it."""
    get = b"GET /asgi/%s HTTP/1.1\r\nhost: a\r\n\r\n"
    answer = server.raw(get % b"pid" + get % b"too_short" + get % b"pid")
    assert answer.count(b"HTTP/1.1 200 ") == 2 and answer.endswith(b"\r\n\r\nshort")


def test_a_reset_instead_of_a_close(server: Server, name: str) -> None:
    sock = server.connect()
    sock.sendall(b"GET /asgi/sse?%s HTTP/1.1\r\nhost: a\r\n\r\n" % name.encode())
    assert sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    server.wait_for(f"cancelled {name}")


@pytest.mark.usefixtures("alive")
def test_a_stream_without_end_ends_when_its_connection_breaks_f24(server: Server, name: str) -> None:
    """What is written to a broken connection goes nowhere; an application that never has to wait would never stop."""
    for i in range(8):
        with server.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(b"GET /asgi/endless?%s-%d HTTP/1.1\r\nhost: a\r\n\r\n" % (name.encode(), i))
            for _ in range(20):
                sock.recv(1 << 20)
        server.wait_for(f"gone {name}-{i}")
