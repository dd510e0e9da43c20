"""Streams, from end to end: real clients, real peers, a real load balancer in front."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import write_pem
from tests.e2e.conftest import ROOT, Server, Start
from tests.e2e.kit import address_of, connect, eventually, line, metric
from tests.ports import free_port
from tests.redis_server import redis_server

HERE = "127.0.0.1"
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")


@contextmanager
def tcp_peer(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a peer that gives each connection to `serve`, in a thread of its own."""
    listening = socket.create_server((HERE, 0))

    def handle(sock: socket.socket) -> None:
        with sock:
            serve(sock)

    def accept() -> None:
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listening:
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def named(name: bytes) -> Callable[[socket.socket], None]:
    """Says its name, and then back whatever it hears."""

    def serve(sock: socket.socket) -> None:
        sock.sendall(name + b"\n")
        while data := sock.recv(65536):
            sock.sendall(data)

    return serve


def test_connections_are_balanced_counted_and_logged(start: Start) -> None:
    with tcp_peer(named(b"a")) as a, tcp_peer(named(b"b")) as b:
        server = start(
            f'[server]\nadmin = "127.0.0.1:0"\nworkers = 1\n[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "pg"\n'
            f'log = {{ format = "json", to = "db.log" }}\n[upstreams.pg]\npeers = ["tcp://{HERE}:{a}", "tcp://{HERE}:{b}"]\n',
            wait=False,
        )
        names = []
        for _ in range(4):
            with connect(server, "db") as sock:
                names.append(line(sock))
                sock.sendall(b"hello\n")
                assert line(sock) == b"hello\n"
        assert sorted(names) == [b"a\n", b"a\n", b"b\n", b"b\n"]
        row: dict[str, Any] = server.logged("db.log", json.loads)
        assert (row["stream"], row["client_ip"], row["received"], row["sent"], row["reason"]) == (
            "db",
            HERE,
            6,
            8,
            None,
        )
        eventually(lambda: metric(server, 'enfilade_stream_connections_total{stream="db"}') == 4)
        eventually(lambda: metric(server, 'enfilade_stream_connections_open{stream="db"}') == 0)
        eventually(lambda: metric(server, 'enfilade_stream_received_bytes_total{stream="db"}') == 24)
        eventually(lambda: metric(server, 'enfilade_stream_sent_bytes_total{stream="db"}') == 32)


def test_a_reload_keeps_connections_and_takes_new_peers(start: Start) -> None:
    with tcp_peer(named(b"a")) as a, tcp_peer(named(b"b")) as b:
        config = f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:PEER"\n'
        server = start(config.replace("PEER", str(a)), wait=False)
        with connect(server, "db") as old:
            assert line(old) == b"a\n"
            (server.directory / "enfilade.toml").write_text(config.replace("PEER", str(b)))
            server.signal(signal.SIGHUP)
            server.wait_for("reloaded")

            def answered_by_the_new_one() -> bool:  # the old one takes connections until it has heard
                with connect(server, "db") as new:
                    return line(new) == b"b\n"

            eventually(answered_by_the_new_one)
            old.sendall(b"still here\n")
            assert line(old) == b"still here\n"


def test_a_stop_ends_connections_that_say_nothing(start: Start) -> None:
    with tcp_peer(named(b"a")) as a:
        server = start(f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{a}"\n', wait=False)
        with connect(server, "db") as sock:
            assert line(sock) == b"a\n"
            server.signal(signal.SIGTERM)
            assert sock.recv(100) == b""
            assert server.stop() == 0
        server.wait_for("db .* shutting_down")


def test_large_transfers_arrive_whole_both_ways_at_once(start: Start) -> None:
    size = 30_000_000
    data = bytes(range(256)) * (size // 256)
    with tcp_peer(named(b"a")) as a:
        server = start(f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{a}"\n', wait=False)
        with connect(server, "db") as sock:
            assert line(sock) == b"a\n"

            def send() -> None:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

            thread = threading.Thread(target=send)
            thread.start()
            back = bytearray()
            while piece := sock.recv(1 << 20):
                back += piece
            thread.join()
            assert back == data


# -- TLS


class Hello(http.server.BaseHTTPRequestHandler):
    words = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.words)))
        self.end_headers()
        self.wfile.write(self.words)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def https_peer(directory: Path, name: str) -> Iterator[int]:
    """The port of a web server with a certificate for `name`, which says its name."""
    write_pem(directory, name, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    handler = type("Named", (Hello,), {"words": name.encode()})
    server = http.server.ThreadingHTTPServer((HERE, 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["curl", "-sS", "-m", "20", *arguments], capture_output=True, text=True, check=False)


def test_tls_is_passed_on_by_the_name_that_curl_asks_for(start: Start, tmp_path: Path) -> None:
    with https_peer(tmp_path, "a.example") as a, https_peer(tmp_path, "b.example") as b:
        server = start(
            f'[streams.web]\nlisten = "tcp://{HERE}:0"\n[streams.web.sni]\n"a.example" = "tcp://{HERE}:{a}"\n'
            f'"*.example" = "tcp://{HERE}:{b}"\n',
            wait=False,
        )
        _, port = address_of(server, "web")
        for name in ("a.example", "b.example"):
            done = curl(
                "--cacert",
                str(tmp_path / f"{name}.pem"),
                "--resolve",
                f"{name}:{port}:{HERE}",
                f"https://{name}:{port}/",
            )
            assert done.stdout == name, done.stderr
        done = curl("-k", f"https://{HERE}:{port}/")
        assert done.returncode != 0 and not done.stdout


def test_openssl_sees_the_certificate_of_the_peer(start: Start, tmp_path: Path) -> None:
    with https_peer(tmp_path, "a.example") as a:
        server = start(
            f'[streams.web]\nlisten = "tcp://{HERE}:0"\nsni = {{ "a.example" = "tcp://{HERE}:{a}" }}\n', wait=False
        )
        host, port = address_of(server, "web")
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "a.example", "-verify_return_error",
                   "-CAfile", str(tmp_path / "a.example.pem")]  # fmt: skip
        done = subprocess.run(command, input="", capture_output=True, text=True, timeout=20, check=False)
        assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr


def test_tls_ends_here_and_begins_here(start: Start, tmp_path: Path) -> None:
    """A client of HTTPS, TLS ended; and a client of HTTP, whose peer speaks TLS and is verified."""
    write_pem(tmp_path, "front", "front.example")
    with https_peer(tmp_path, "a.example") as a:
        server = start(
            f'[streams.back]\nlisten = "tcp://{HERE}:0"\nto = "tls://{HERE}:{a}"\n'
            'peer_tls = { authority = "a.example.pem", name = "a.example" }\n'
            f'[streams.front]\nlisten = "tls://{HERE}:0"\ntls = {{ certificate = "front.pem", key = "front.key" }}\n'
            f'to = "tls://{HERE}:{a}"\npeer_tls = {{ verify = false }}\n'
            f'[streams.refused]\nlisten = "tcp://{HERE}:0"\nto = "tls://{HERE}:{a}"\n',
            wait=False,
        )
        _, port = address_of(server, "back")
        assert curl(f"http://{HERE}:{port}/").stdout == "a.example"
        _, port = address_of(server, "front")
        resolve = ("--cacert", str(tmp_path / "front.pem"), "--resolve", f"front.example:{port}:{HERE}")
        assert curl(*resolve, f"https://front.example:{port}/").stdout == "a.example"
        _, port = address_of(server, "refused")
        assert curl(f"http://{HERE}:{port}/").stdout == ""
        server.wait_for("cannot connect to .*certificate verify failed")


# -- UDP


@contextmanager
def udp_peer(name: bytes) -> Iterator[int]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HERE, 0))

    def serve() -> None:
        while True:
            data, client = sock.recvfrom(65535)
            if data == b"stop":
                return
            sock.sendto(name + b":" + data, client)

    thread = threading.Thread(target=serve)
    thread.start()
    port = sock.getsockname()[1]
    yield port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(b"stop", (HERE, port))
    thread.join()
    sock.close()


def test_datagrams_are_answered_across_a_reload(start: Start) -> None:
    with udp_peer(b"a") as a, udp_peer(b"b") as b:
        config = f'[streams.dns]\nlisten = "udp://{HERE}:0"\nto = "udp://{HERE}:PEER"\n'
        server = start(config.replace("PEER", str(a)), wait=False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect(address_of(server, "dns"))
            for i in range(20):
                sock.send(b"%d" % i)
                assert sock.recv(100) == b"a:%d" % i
            (server.directory / "enfilade.toml").write_text(config.replace("PEER", str(b)))
            server.signal(signal.SIGHUP)
            server.wait_for("reloaded")

            def answered_by_the_new_one() -> bool:
                sock.send(b"x")
                return sock.recv(100) == b"b:x"

            eventually(answered_by_the_new_one)


# -- who the client is

APP = """
import json

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    body = json.dumps([scope["client"], scope["scheme"], dict(scope["headers"])[b"host"].decode()],
        default=list).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps([environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]]).encode()]
"""
APPS = """[sites."*"]
"/asgi" = { app = "asgi" }
"/wsgi" = { app = "wsgi" }
[apps.asgi]
target = "clients:app"
workers = 1
[apps.wsgi]
target = "clients:wsgi"
workers = 1
"""


@contextmanager
def haproxy(directory: Path, port: int, options: str, bind: str = "") -> Iterator[int]:
    """The port of a HAProxy in front of `port`; `options` of what it makes, and `bind` of what it takes."""
    assert HAPROXY is not None, "haproxy is needed: apt-get install haproxy"
    mine = free_port()
    config = directory / "haproxy.cfg"
    config.write_text(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
        f"listen it\n bind {HERE}:{mine} {bind}\n server s {HERE}:{port} {options}\n"
    )
    process = subprocess.Popen(
        [HAPROXY, "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: _listens(mine), "haproxy listens")
        yield mine
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HERE, port)) == 0


@pytest.fixture(scope="module")
def behind(start_once: Start) -> Server:
    """Believes the PROXY protocol from here."""
    return start_once(
        f'[server]\nhttp = "{HERE}:0"\nhttps = "{HERE}:0"\nworkers = 1\nproxy_protocol = ["{HERE}"]\n'
        + APPS.replace('[sites."*"]\n', '[sites."*"]\ntls = "internal"\n'),
        files={"clients.py": APP},
    )


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_haproxy_in_front_says_who_the_client_is(behind: Server, tmp_path: Path, version: str, scheme: str) -> None:
    with haproxy(tmp_path, behind.address(scheme)[1], version) as port:
        for path in ("asgi", "wsgi"):
            done = curl("-k", "--interface", "127.0.0.9", f"{scheme}://{HERE}:{port}/{path}")
            client = json.loads(done.stdout)[0]
            assert (client if path == "wsgi" else client[0]) == "127.0.0.9", done.stderr
    with socket.create_connection(behind.address(scheme), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with suppress(ConnectionResetError):
            assert sock.recv(100) == b"", "from there, a header is required"


def test_a_peer_is_told_who_the_client_is(behind: Server, tmp_path: Path) -> None:
    """Ours in front with send_proxy; behind, our own listener, which believes it."""
    (tmp_path / "front").mkdir()
    front_config = tmp_path / "front" / "enfilade.toml"
    front_config.write_text(
        f'[streams.web]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{behind.address()[1]}"\nsend_proxy = "v2"\n'
    )
    front = Server(["up", "-c", "enfilade.toml"], tmp_path / "front")
    try:
        _, port = address_of(front, "web")
        done = curl("--interface", "127.0.0.9", f"http://{HERE}:{port}/wsgi")
        assert json.loads(done.stdout) == ["127.0.0.9", "http", f"{HERE}:{port}"]
    finally:
        front.stop()


def test_trusted_proxies_say_who_the_client_is_and_strangers_do_not(start: Start) -> None:
    server = start(
        f'[server]\nhttp = "{HERE}:0"\nworkers = 1\ntrusted_proxies = ["{HERE}"]\n'
        + APPS.replace('[sites."*"]\n', '[sites."*"]\nlog = { to = "access.log" }\n'),
        files={"clients.py": APP},
    )
    url = server.url()
    fields = ("-H", "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "-H", "X-Forwarded-Proto: https",
              "-H", "X-Forwarded-Host: shop.example")  # fmt: skip
    assert json.loads(curl(*fields, f"{url}/asgi").stdout) == [["203.0.113.9", 0], "https", "shop.example"]
    assert json.loads(curl(*fields, f"{url}/wsgi").stdout) == ["203.0.113.9", "https", "shop.example"]
    assert server.logged("access.log", lambda text: text.startswith("203.0.113.9 "))
    told = json.loads(curl("--interface", "127.0.0.9", *fields, f"{url}/wsgi").stdout)
    assert told == ["127.0.0.9", "http", url.removeprefix("http://")]


# -- peers that come and go, and checks


@contextmanager
def conversation(server: Server, stream: str) -> Iterator[tuple[bytes, Callable[[], None]]]:
    """A connection: the name of its peer, and what sees whether it still gets answers."""
    with connect(server, stream) as sock:
        name = line(sock).strip()

        def speak() -> None:
            sock.sendall(b"hello\n")
            assert line(sock) == b"hello\n"

        yield name, speak


def peer_now(server: Server, stream: str) -> bytes:
    """The peer that a new connection gets; empty if there is none."""
    with connect(server, stream) as sock:
        try:
            return sock.recv(100).strip()
        except ConnectionResetError:
            return b""


def test_peers_of_a_file_come_and_go_under_connections_that_stay(start: Start) -> None:
    with tcp_peer(named(b"a")) as a, tcp_peer(named(b"b")) as b:
        server = start(
            f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "pg"\n[upstreams.pg.discover]\nfile = "pg.peers"\n',
            files={"pg.peers": f"tcp://{HERE}:{a}\n"},
            wait=False,
        )
        with conversation(server, "db") as (name, speak):
            assert name == b"a"
            new = server.directory / "new.peers"
            new.write_text(f"tcp://{HERE}:{b}\nhttp://{HERE}:{a}\n")
            new.rename(server.directory / "pg.peers")
            eventually(lambda: {peer_now(server, "db") for _ in range(8)} == {b"b"}, "each worker has read it")
            server.wait_for("pg: http://.* is passed over")
            speak()


def test_peers_register_themselves_in_redis(start: Start, tmp_path: Path) -> None:
    with tcp_peer(named(b"a")) as a, redis_server(tmp_path) as redis:
        server = start(
            f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "pg"\nbalance = "least_connections"\n'
            f'[upstreams.pg.discover]\nredis = {{ url = "{redis.url}" }}\n',
            wait=False,
        )
        server.wait_for("streams.db on")
        assert peer_now(server, "db") == b""
        command = [sys.executable, "-m", "enfilade", "register", "--redis", redis.url, "--upstream", "pg"]
        command += ["--url", f"tcp://{HERE}:{a}"]
        registration = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "src"}, cwd=ROOT)
        try:
            eventually(lambda: peer_now(server, "db") == b"a")
            with conversation(server, "db") as (_, speak):
                registration.terminate()
                eventually(lambda: peer_now(server, "db") == b"")
                speak()
        finally:
            registration.terminate()
            registration.wait(20)


def test_checks_go_to_haproxy_and_a_peer_that_fails_them_gets_nothing(start: Start, tmp_path: Path) -> None:
    """HAProxy takes only connections that begin with a header, ours own too; the other peer says the wrong words."""
    with ExitStack() as stack:
        good, bad = (stack.enter_context(tcp_peer(named(name))) for name in (b"ready", b"busy"))
        with haproxy(tmp_path, good, "", "accept-proxy") as port:
            server = start(
                f'[server]\nworkers = 2\n[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "pg"\nsend_proxy = "v2"\n'
                f'[upstreams.pg]\npeers = ["tcp://{HERE}:{port}", "tcp://{HERE}:{bad}"]\n'
                'check = { contains = "ready", interval = "200ms", timeout = "500ms", fall = 1 }\n',
                wait=False,
            )
            server.wait_for(f"streams.db: tcp://{HERE}:{bad} is left alone .failing.")
            # The other worker hears of it within two ticks.
            eventually(lambda: {peer_now(server, "db") for _ in range(8)} == {b"ready"})
            assert not [said for said in server.lines if f"{port} is left alone" in said]


def test_checks_over_udp(start: Start) -> None:
    with udp_peer(b"a") as a, udp_peer(b"b") as b:
        server = start(
            f'[server]\nworkers = 1\n[streams.dns]\nlisten = "udp://{HERE}:0"\nto = "resolvers"\nbalance = "first"\n'
            f'[upstreams.resolvers]\npeers = ["udp://{HERE}:{a}", "udp://{HERE}:{b}"]\n'
            "check = { send = 'is it \\x79ou?', contains = 'b:is it you', fall = 1 }\n",
            wait=False,
        )
        server.wait_for(f"streams.dns: udp://{HERE}:{a} is left alone .failing.")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect(address_of(server, "dns"))
            sock.send(b"x")
            assert sock.recv(100) == b"b:x"


def test_a_limit_holds_over_all_workers(start: Start) -> None:
    """Connections in flight are counted on the board: whichever worker accepts one, it knows those of the others."""
    with tcp_peer(named(b"a")) as a:
        server = start(
            f'[server]\nworkers = 2\n[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "pg"\n[upstreams.pg]\n'
            f'peers = [{{ url = "tcp://{HERE}:{a}", limit = 1 }}]\n',
            wait=False,
        )
        with conversation(server, "db") as (name, speak):
            assert name == b"a"
            eventually(lambda: {peer_now(server, "db") for _ in range(12)} == {b""}, "workers know of each other")
            speak()
        eventually(lambda: peer_now(server, "db") == b"a", "there is room again")
        server.wait_for("db .* upstream_busy")
