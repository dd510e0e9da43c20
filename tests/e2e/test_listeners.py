"""Where a server listens: address families, Unix sockets, inherited descriptors, HTTP/2 without TLS; and without descriptors."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.http2_frames import PREFACE, Client, head, headers, settings
from tests.e2e.kit import eventually, get, last_words, parse, workers

SITES = """
[sites."*"]
log = { to = "access.log", format = "{client_ip} {target} {status}" }
"/hi" = { respond = "hi" }
"/scope" = { app = "probe" }
[apps.probe]
target = "probe:app"
inline = true
"""
PROBE = """
async def app(scope, receive, send):
    body = repr((scope["client"], scope["server"])).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
GET = b"GET /hi HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
has_ipv6 = Path("/proc/net/if_inet6").exists() and "::1" not in os.environ.get("NO_IPV6", "")


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    started = start_once(
        '[server]\nhttp = ["127.0.0.1:0", "localhost:0", "unix:web.sock"]\nworkers = 2\nh2c = true\n'
        + SITES.replace("inline = true", "workers = 1"),
        files={"probe.py": PROBE},
    )
    started.wait_for("unix:")
    return started


def addresses(server: Server) -> list[tuple[str, int]]:
    return [(m[1].strip("[]"), int(m[2])) for m in re.finditer(r"http://(\S+):(\d+)", server.output)]


def unix(server: Server, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(server.directory / "web.sock"))
        sock.sendall(data)
        return last_words(sock)


def test_every_address_is_served(server: Server) -> None:
    found = addresses(server)
    assert len(found) >= 2
    for address in found:
        with socket.create_connection(address, timeout=10) as sock:
            sock.sendall(GET)
            assert parse(last_words(sock))[0][2] == b"hi"


def test_a_unix_socket_its_mode_and_who_its_clients_are(server: Server) -> None:
    path = server.directory / "web.sock"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o666
    assert parse(unix(server, GET))[0][2] == b"hi"
    body = parse(unix(server, GET.replace(b"/hi", b"/scope")))[0][2].decode()
    assert body.startswith("(None, (") and "web.sock" in body and body.endswith("None))")


def test_the_log_has_the_address_of_the_client(server: Server) -> None:
    assert get(server, "/hi?from-tcp")[0] == 200
    unix(server, GET.replace(b"/hi", b"/hi?from-unix"))
    log = server.directory / "access.log"
    eventually(lambda: log.exists() and "from-unix" in log.read_text() and "from-tcp" in log.read_text())
    lines = log.read_text().splitlines()
    assert "127.0.0.1 /hi?from-tcp 200" in lines
    assert "- /hi?from-unix 200" in lines


def test_http2_without_tls_by_its_preface_only(server: Server) -> None:
    with Client.of(server) as client:
        assert client.get(1) == (200, b"hi")
    with server.connect() as sock:
        client = Client(sock)
        for byte in PREFACE + settings() + headers(1, head("/hi")):
            client.send(bytes((byte,)))
        assert client.status(1) == 200


@pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")
def test_ipv6(start: Start) -> None:
    server = start('[server]\nhttp = "[::1]:0"\nworkers = 1\n' + SITES, files={"probe.py": PROBE})
    assert server.url().startswith("http://[::1]:")
    status, body = get(server, "/scope", host="[::1]")
    assert status == 200 and body.startswith(b"(('::1', ") and b"('::1', " in body[8:]


def test_a_socket_file_left_behind_is_replaced_and_a_living_one_is_not(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    config = '[server]\nhttp = ["127.0.0.1:0", "unix:web.sock"]\nworkers = 1\n' + SITES
    first = start(config, files={"probe.py": PROBE})
    assert parse(unix(first, GET))[0][2] == b"hi"
    with pytest.raises(AssertionError, match="another server answers"):
        start(config)
    assert parse(unix(first, GET))[0][2] == b"hi"
    assert first.stop() == 0
    assert not path.exists()


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        os.set_inheritable(sock.fileno(), True)
        yield sock


PASS_ON = """
import os, sys
fd, environment, command = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
os.dup2(fd, 3)
os.environ.update([text.split("=") for text in environment], LISTEN_PID=str(os.getpid()))
os.execvp(command[0], command)
"""


@pytest.mark.parametrize(
    ("address", "environment"),
    [("fd:3", ""), ("systemd", "LISTEN_FDS=1"), ("systemd:web", "LISTEN_FDS=1 LISTEN_FDNAMES=web")],
)
def test_sockets_that_somebody_else_opened(start: Start, address: str, environment: str) -> None:
    with listening() as sock:
        passer = [sys.executable, "-c", PASS_ON, str(sock.fileno()), environment]
        config = f'[server]\nhttp = "{address}"\nworkers = 2\n' + SITES
        server = start(config, files={"probe.py": PROBE}, under=passer, pass_fds=[sock.fileno()])
        assert server.address()[1] == sock.getsockname()[1]
        for _ in range(4):
            assert get(server, "/hi") == (200, b"hi")
        assert server.stop() == 0


def busy(pid: int) -> float:
    """Seconds of processor time that `pid` has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_out_of_descriptors_it_waits_without_a_busy_loop_and_accepts_again(start: Start) -> None:
    shell = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"]
    config = '[server]\nhttp = "127.0.0.1:0"\nworkers = 1\n' + SITES
    server = start(config, files={"probe.py": PROBE}, under=shell)
    (worker,) = workers(server)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(100)]
        eventually(lambda: len(os.listdir(f"/proc/{worker}/fd")) >= 60)
        used, since = busy(worker), time.monotonic()
        clients[0].sendall(GET)
        assert clients[0].recv(1000).endswith(b"hi"), "who is in is served"
        time.sleep(1.0)  # what it does in this second is what is measured
        assert busy(worker) - used < 0.3 * (time.monotonic() - since)
    eventually(lambda: len(os.listdir(f"/proc/{worker}/fd")) < 40)
    assert get(server, "/hi") == (200, b"hi")
    assert workers(server) == [worker]


def test_connections_beyond_the_limit_get_503_and_the_others_are_served(start: Start) -> None:
    server = start(
        '[server]\nhttp = "127.0.0.1:0"\nworkers = 1\nlimits = { connections = 3 }\n' + SITES, files={"probe.py": PROBE}
    )
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(3):
            clients.append(stack.enter_context(server.connect()))
            clients[-1].sendall(GET.replace(b"close", b"keep-alive"))
            assert clients[-1].recv(1000).endswith(b"hi")
        with server.connect() as one_more:
            one_more.sendall(GET)
            ((status, fields, body),) = parse(last_words(one_more))
            assert (status, fields[b"retry-after"], fields[b"connection"]) == (503, b"1", b"close"), body
        for sock in clients:
            sock.sendall(GET)
            assert last_words(sock).endswith(b"hi")
    assert get(server, "/hi") == (200, b"hi")
