"""The firewall, from end to end: real clients from several addresses of this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.config.countries import write_countries
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.test_streams import (
    HERE,
    address_of,
    connect,
    curl,
    haproxy,
    line,
    metric,
    named,
    tcp_peer,
    udp_peer,
)

DENIED, FRIEND = "127.0.0.9", "127.0.0.8"
SITE = '[sites."*"]\nlog = { to = "access.log" }\n"/" = { respond = "hello" }\n'
WALL = f'[firewall]\ndeny = ["{DENIED}"]\n'


def said(url: str, client: str, *arguments: str) -> str:
    """What curl gets from there; what is wrong, if nothing."""
    done = curl("--interface", client, *arguments, url)
    return done.stdout or f"{done.returncode}"


def refusals(server: Server) -> float:
    return metric(server, 'enfilade_rejects_total{reason="firewall_denied",source="client"}')


RESET = ("7", "35", "56")
"""curl's exit codes for a connection that is reset: before it looks, in the TLS handshake, and where an answer is read."""


def is_reset(address: tuple[str, int]) -> bool:
    """Whether a connection from DENIED is, before it has sent a byte."""
    try:
        with socket.create_connection(address, timeout=20, source_address=(DENIED, 0)) as sock:
            sock.recv(1)
            return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whoever_is_denied_is_reset_and_all_others_are_served(start: Start, scheme: str) -> None:
    server = start(
        f'[server]\n{scheme} = "{HERE}:0"\nadmin = "{HERE}:0"\nworkers = 1\n{WALL}'
        + (SITE.replace("log =", 'tls = "internal"\nlog =') if scheme == "https" else SITE)
    )
    url = server.url(scheme)
    assert said(url, FRIEND, "-k") == "hello"
    assert said(url, DENIED, "-k") in RESET
    assert is_reset(server.address(scheme))
    assert refusals(server) == 2
    assert metric(server, 'enfilade_rejects_total{reason="tls_error",source="client"}') == 0
    host, port = address_of_admin(server)
    done = curl("--interface", DENIED, f"http://{host}:{port}/status")
    assert json.loads(done.stdout)["workers"], "the admin listener is no part of it"


def address_of_admin(server: Server) -> tuple[str, int]:
    host, _, port = server.wait_for(r"admin on http://").rpartition("//")[2].rpartition(":")
    return host, int(port)


def test_a_file_is_taken_up_without_a_reload_and_a_broken_one_changes_nothing(start: Start) -> None:
    server = start(
        f'[server]\nhttp = "{HERE}:0"\nworkers = 2\n[firewall]\ndeny = ["file:lists/denied.txt"]\nallow = ["{FRIEND}"]\n{SITE}',
        files={"lists/denied.txt": f"# nobody but a friend\n127.0.0.8/31 # {DENIED}, too\n"},
    )
    url = server.url()
    assert said(url, FRIEND) == "hello"
    assert said(url, DENIED) in RESET
    denied = server.directory / "lists" / "denied.txt"

    def write(text: str) -> None:
        (denied.parent / "new").write_text(text)
        (denied.parent / "new").rename(denied)

    write("")
    eventually(lambda: all(said(url, DENIED) == "hello" for _ in range(8)), "both workers let it in")
    write(f"{HERE}\n{DENIED}/8\n")
    server.wait_for(r"the firewall stays as it was: .*/lists/denied\.txt:2: ")
    assert said(url, HERE) == "hello" == said(url, DENIED)
    write(f"{DENIED}\n")
    eventually(lambda: all(said(url, DENIED) in RESET for _ in range(8)), "both workers refuse it")


def test_a_list_that_cannot_be_read_refuses_the_start_and_a_reload(start: Start) -> None:
    broken = start(f'[server]\nhttp = "{HERE}:0"\n[firewall]\ndeny = ["file:none.txt"]\n{SITE}', wait=False)
    broken.wait_for(r'enfilade\.toml:4:9: firewall\.deny\[0\]: ".*/none\.txt" does not exist')
    assert broken.process.wait(20) == 1
    server = start(f'[server]\nhttp = "{HERE}:0"\nworkers = 1\n{WALL}{SITE}')
    (server.directory / "enfilade.toml").write_text(
        f'[server]\nhttp = "{HERE}:0"\nworkers = 1\n[firewall]\ndeny = ["10.0.0.1/8"]\n{SITE}'
    )
    server.signal(signal.SIGHUP)
    server.wait_for(r"firewall\.deny\[0\]")
    assert said(server.url(), DENIED) in RESET and said(server.url(), FRIEND) == "hello"


def test_it_holds_for_streams_over_tcp_and_udp(start: Start) -> None:
    with tcp_peer(named(b"a")) as tcp, udp_peer(b"a") as udp:
        server = start(
            f'[server]\nadmin = "{HERE}:0"\nworkers = 1\n{WALL}[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{tcp}"\n'
            f'[streams.dns]\nlisten = "udp://{HERE}:0"\nto = "udp://{HERE}:{udp}"\n',
            wait=False,
        )
        with connect(server, "db") as sock:
            assert line(sock) == b"a\n"
        assert is_reset(address_of(server, "db"))
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as denied,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            denied.bind((DENIED, 0))
            denied.sendto(b"x", address_of(server, "dns"))
            other.settimeout(20)
            other.sendto(b"x", address_of(server, "dns"))
            assert other.recv(100) == b"a:x"
            eventually(lambda: refusals(server) == 2)
            denied.setblocking(False)
            with pytest.raises(BlockingIOError):
                denied.recv(100)


def test_whoever_comes_by_a_unix_socket_is_called_unix(start: Start) -> None:
    config = (
        f'[server]\nhttp = ["{HERE}:0", "unix:web.sock"]\nworkers = 1\n'
        f'[firewall]\nallow = ["127.0.0.0/8", "NAME"]\ndefault = "deny"\n{SITE}'
    )
    server = start(config.replace("NAME", "::1"))
    path = str(server.directory / "web.sock")
    assert said(server.url(), DENIED) == "hello"
    assert curl("--unix-socket", path, "http://a/").stdout == ""
    (server.directory / "enfilade.toml").write_text(config.replace("NAME", "unix"))
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    eventually(lambda: curl("--unix-socket", path, "http://a/").stdout == "hello")


def test_behind_haproxy_it_is_the_introduced_client_that_counts(start: Start, tmp_path: Path) -> None:
    server = start(f'[server]\nhttp = "{HERE}:0"\nworkers = 1\nproxy_protocol = ["{HERE}"]\n{WALL}{SITE}')
    with haproxy(tmp_path, server.address()[1], "send-proxy-v2") as port:
        url = f"http://{HERE}:{port}/"
        assert said(url, FRIEND) == "hello"
        assert said(url, DENIED) in ("52", *RESET), "HAProxy passes the end on in its own way"


def test_behind_a_trusted_proxy_the_client_of_the_request_counts(start: Start) -> None:
    server = start(
        f'[server]\nhttp = "{HERE}:0"\nadmin = "{HERE}:0"\nworkers = 1\ntrusted_proxies = ["{HERE}"]\n'
        f'[firewall]\ndeny = ["203.0.113.0/24"]\n{SITE}'
    )
    url = server.url()
    forwarded = ("-H", "X-Forwarded-For: 203.0.113.9", "-w", "%{http_code}")
    assert said(url, HERE, *forwarded).endswith("403")
    assert server.logged("access.log", lambda text: text.startswith("203.0.113.9 ") and " 403 " in text)
    eventually(lambda: refusals(server) == 1)
    assert said(url, FRIEND, *forwarded) == "hello200", "a stranger's word counts for nothing"
    assert said(url, HERE, "-H", "X-Forwarded-For: 198.51.100.1", "-w", "%{http_code}") == "hello200"


def test_countries_are_looked_up_and_the_database_is_watched(start: Start, tmp_path: Path) -> None:
    write_countries(tmp_path / "countries.mmdb", {"DE": [f"{DENIED}/32"]})
    server = start(
        f'[server]\nhttp = "{HERE}:0"\nworkers = 2\n[firewall]\n'
        f'countries = {{ file = "countries.mmdb", deny = ["DE"] }}\n{SITE}'
    )
    url = server.url()
    assert said(url, DENIED) in RESET and said(url, FRIEND) == "hello"
    (server.directory / "countries.mmdb").unlink()
    server.wait_for(r'the firewall stays as it was: ".*/countries\.mmdb" does not exist')
    assert said(url, DENIED) in RESET
    write_countries(server.directory / "countries.mmdb", {"FR": [f"{DENIED}/32"], "DE": [f"{FRIEND}/32"]})
    eventually(lambda: all(said(url, FRIEND) in RESET and said(url, DENIED) == "hello" for _ in range(4)))


class Publisher:
    """Has a list at /list, or a status; `asked`: with which If-None-Match; `sent`: which texts."""

    def __init__(self) -> None:
        self.text: str | int = f"{DENIED}\n"
        self.asked: list[str | None] = []
        self.sent: list[str] = []
        self.hang = threading.Event()
        """Cleared: nobody gets an answer before it is set."""
        self.hang.set()
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked.append(self.headers["If-None-Match"])
                publisher.hang.wait()
                text = publisher.text
                tag = f'"{text}"'.replace("\n", " ")
                known = self.headers["If-None-Match"] == tag
                self.send_response(304 if known else text if isinstance(text, int) else 200)
                self.send_header("ETag", tag)
                self.end_headers()
                if isinstance(text, str) and not known:
                    publisher.sent.append(text)
                    self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = ThreadingHTTPServer((HERE, 0), Handler)
        self.url = f"http://{HERE}:{self.server.server_port}/list"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()


def test_a_list_at_a_url_is_fetched_kept_and_renewed(start: Start) -> None:
    with Publisher() as publisher:
        config = (
            f'[server]\nhttp = "{HERE}:0"\nworkers = 2\n[firewall]\ndeny = ["{publisher.url}"]\n'
            f'lists = {{ every = "200ms", keep = "kept", allow = ["{HERE}"] }}\n{SITE}'
        )
        server = start(config)
        url = server.url()
        assert said(url, DENIED) in RESET and said(url, FRIEND) == "hello"
        eventually(lambda: any(publisher.asked))
        explain = start("", "explain", "GET", "http://a/", "--client", DENIED, "-c", "enfilade.toml", wait=False)
        explain.process.wait(20)
        assert explain.wait_for("firewall").split()[:2] == ["firewall", "refused"]
        publisher.text = f"{FRIEND}\n"
        eventually(lambda: all(said(url, FRIEND) in RESET and said(url, DENIED) == "hello" for _ in range(4)))
        publisher.text = 500
        server.wait_for(rf"a list of the firewall stays as it was: {publisher.url}: its answer is 500")
        assert said(url, FRIEND) in RESET
        assert server.stop() == 0
        publisher.hang.clear()
        again = start(config)
        url = again.url()
        assert said(url, FRIEND) in RESET and said(url, DENIED) == "hello"


def test_a_list_that_cannot_be_fetched_refuses_the_start_and_a_reload(start: Start) -> None:
    with Publisher() as publisher:
        publisher.text = 404
        config = f'[server]\nhttp = "{HERE}:0"\nworkers = 1\n[firewall]\ndeny = ["URL"]\nLISTS{SITE}'
        lists = f'lists = {{ keep = "kept", allow = ["{HERE}"] }}\n'
        broken = start(config.replace("URL", publisher.url).replace("LISTS", lists), wait=False)
        broken.wait_for(rf"{publisher.url}: its answer is 404; and there is no copy of it in .*/kept")
        assert broken.process.wait(20) == 1
        server = start(config.replace("URL", DENIED).replace("LISTS", ""))
        for url, why in ((publisher.url, "its answer is 404"), ("http://localhost:1/", "localhost")):
            (server.directory / "enfilade.toml").write_text(config.replace("URL", url).replace("LISTS", lists))
            server.signal(signal.SIGHUP)
            server.wait_for(rf"reload refused, nothing has changed: .*{why}")
        assert said(server.url(), DENIED) in RESET and said(server.url(), FRIEND) == "hello"


def test_a_list_whose_server_hangs_holds_up_a_start_no_longer_than_it_may(start: Start) -> None:
    with Publisher() as publisher:
        publisher.hang.clear()
        config = (
            f'[server]\nhttp = "{HERE}:0"\nworkers = 1\n[firewall]\nallow = ["{publisher.url}"]\ndefault = "deny"\n'
            f'lists = {{ wait = "1200ms", keep = "kept", allow = ["{HERE}"] }}\n{SITE}'
        )
        broken = start(config, wait=False)
        broken.wait_for(f"waiting for a list of the firewall: {publisher.url}")
        broken.wait_for(rf"{publisher.url}: not within 1\.2 s; and there is no copy of it in .*/kept")
        assert broken.process.wait(20) == 1


def test_one_worker_asks_and_all_have_it(start: Start) -> None:
    with Publisher() as publisher:
        config = (
            f'[server]\nhttp = "{HERE}:0"\nworkers = 3\n[firewall]\ndeny = ["{publisher.url}"]\n'
            f'lists = {{ every = "200ms", keep = "kept", allow = ["{HERE}"] }}\n{SITE}'
        )
        url = start(config).url()
        publisher.text = f"{FRIEND}\n"
        eventually(lambda: all(said(url, FRIEND) in RESET for _ in range(9)))
        assert publisher.sent.count(publisher.text) == 1


def rejected(server: Server, reason: str, source: str = "client") -> float:
    return metric(server, f'enfilade_rejects_total{{reason="{reason}",source="{source}"}}')


def ends(sock: socket.socket) -> bool:
    """Whether the other end has closed or reset it; it is waited for."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def held(server: Server, client: str, scheme: str) -> socket.socket:
    """A connection that has been answered once, and stays."""
    sock = socket.create_connection(server.address(scheme), timeout=20, source_address=(client, 0))
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    sock.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert sock.recv(5) == b"HTTP/"
    return sock


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_how_many_connections_of_one_address_may_be_open(start: Start, scheme: str) -> None:
    """`connections_per_address`, over all workers; those that are killed take their connections along."""
    server = start(
        f'[server]\n{scheme} = "{HERE}:0"\nadmin = "{HERE}:0"\nworkers = 2\n[firewall]\nconnections_per_address = 3\n'
        + (SITE.replace("log =", 'tls = "internal"\nlog =') if scheme == "https" else SITE)
    )
    url = server.url(scheme)
    with ExitStack() as stack:
        *_, last = [stack.enter_context(held(server, DENIED, scheme)) for _ in range(3)]
        assert all(said(url, DENIED, "-k") in RESET for _ in range(4))
        assert is_reset(server.address(scheme)), "before TLS"
        assert rejected(server, "address_connection_limit") == 5
        assert said(url, FRIEND, "-k") == "hello", "others have their own"
        last.close()
        eventually(lambda: said(url, DENIED, "-k") == "hello")
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
    with ExitStack() as stack:
        eventually(lambda: said(url, DENIED, "-k") == "hello")
        eventually(lambda: len(workers(server)) == 2)
        for _ in range(3):  # what the dead had counted is forgotten
            stack.enter_context(held(server, DENIED, scheme))


def workers(server: Server) -> list[int]:
    host, port = address_of_admin(server)
    return [worker["pid"] for worker in json.loads(curl(f"http://{host}:{port}/status").stdout)["workers"]]


def test_how_many_connections_may_come(start: Start) -> None:
    """`new_connections_per_address` and `new_connections`; trusted proxies are not counted."""
    server = start(
        f'[server]\nhttp = "{HERE}:0"\nadmin = "{HERE}:0"\nworkers = 1\ntrusted_proxies = ["127.0.0.7"]\n'
        f'[firewall]\nnew_connections_per_address = "2/h"\nnew_connections = "3/h"\n{SITE}'
    )
    url = server.url()
    assert [said(url, "127.0.0.7") for _ in range(5)] == ["hello"] * 5
    assert [said(url, DENIED) in RESET for _ in range(3)] == [False, False, True]
    assert [said(url, FRIEND) in RESET for _ in range(2)] == [False, True]
    assert rejected(server, "address_connection_rate") == rejected(server, "connection_rate") == 1


def test_connections_of_streams_and_sessions_are_counted_too(start: Start) -> None:
    with tcp_peer(named(b"a")) as tcp, udp_peer(b"a") as udp:
        server = start(
            f'[server]\nadmin = "{HERE}:0"\nworkers = 1\n[firewall]\nconnections_per_address = 2\n'
            f'[streams.db]\nlisten = "tcp://{HERE}:0"\nto = "tcp://{HERE}:{tcp}"\n'
            f'[streams.dns]\nlisten = "udp://{HERE}:0"\nto = "udp://{HERE}:{udp}"\n',
            wait=False,
        )
        with connect(server, "db") as first, connect(server, "db") as second:
            assert line(first) == line(second) == b"a\n"
            with connect(server, "db") as third:
                assert ends(third)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.bind((HERE, 0))
                datagrams.sendto(b"x", address_of(server, "dns"))
                eventually(lambda: rejected(server, "address_connection_limit") == 2)
                first.close()
                datagrams.settimeout(1)

                def answered() -> bool:
                    datagrams.sendto(b"x", address_of(server, "dns"))
                    try:
                        return datagrams.recv(100) == b"a:x"
                    except TimeoutError:
                        return False

                eventually(answered)


def test_explain_says_what_an_address_gets(start: Start) -> None:
    files = {"enfilade.toml": f'[server]\nhttp = "{HERE}:0"\n{WALL}{SITE}'}
    explain = start("", "explain", "GET", "http://a/", "--client", DENIED, files=files, wait=False)
    explain.process.wait(20)
    assert explain.wait_for("firewall").split() == ["firewall", "refused", "deny", "has", f"{DENIED}/32"]


def test_nobody_is_connected_to_who_lies_where_nobody_may(start: Start, tmp_path: Path) -> None:
    """Whatever a file and a name say."""
    with socket.create_server((HERE, 0)) as peer:
        port = peer.getsockname()[1]
        config = (
            f'[server]\nhttp = "{HERE}:0"\n[firewall.outbound]\ndeny = ["{HERE}", "::1"]\n[sites."*"]\n"/" = {{ proxy = "up" }}\n'
            '[upstreams.up.discover]\nfile = "peers"\n'
        )
        server = start(config, files={"peers": f"https://localhost:{port}\nhttps://[::ffff:{HERE}]:{port}\n"})
        assert curl("-o", "/dev/null", "-w", "%{http_code}", server.url()).stdout == "503"
        server.wait_for(r"up: https://localhost:\d+@.* is passed over: firewall.outbound lets nobody connect to it")
        peer.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.accept()
