"""Servers that are told who the client is by the PROXY protocol: nginx and HAProxy, over HTTP/1.1, HTTP/2 and TLS."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.assemble.kit import write_pem
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually
from tests.e2e.peers import Process
from tests.e2e.test_streams import tcp_peer
from tests.ports import free_port
from websockets.sync.client import connect

HERE = "127.0.0.1"
PATH = f"{os.environ['PATH']}:/usr/sbin"
NGINX = """
daemon off;
master_process off;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ }}
http {{
    log_format told "$proxy_protocol_addr $status $http_user_agent";
    access_log {folder}/access.log told;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/localhost.pem;
    ssl_certificate_key {folder}/localhost.key;
    server {{
        listen {here}:{ready};
        return 200 "ready";
    }}
    server {{
        listen {here}:{http} proxy_protocol;
        listen {here}:{h2c} http2 proxy_protocol;
        listen {here}:{https} ssl http2 proxy_protocol;
        listen unix:{folder}/nginx.sock proxy_protocol;
        return 200 "$proxy_protocol_addr:$proxy_protocol_port $connection $server_protocol";
    }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend ready
    bind {here}:{ready}
    http-request return status 200
frontend told
    bind {here}:{http} accept-proxy
    bind {here}:{h2c} accept-proxy proto h2
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %ci HTTP/%[req.ver]"
"""
CONFIG = """
[server]
http = "{here}:0"
h2c = true
workers = 1
trusted_proxies = ["127.0.0.8"]
[sites."*"]
"""
WAYS = {
    "nginx": "http://{here}:{nginx_http}",
    "nginx-h2": "h2c://{here}:{nginx_h2c}",
    "nginx-tls": "https://localhost:{nginx_https}",
    "nginx-unix": "unix:{folder}/nginx.sock",
    "haproxy": "http://{here}:{haproxy_http}",
    "haproxy-h2": "h2c://{here}:{haproxy_h2c}",
}
PROTOCOLS = {"nginx-h2": "HTTP/2.0", "nginx-tls": "HTTP/2.0", "haproxy-h2": "HTTP/2.0"}
VERSIONS = ["v1", "v2"]


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found is not None, f"missing: {name}. On Debian: apt-get install nginx-light haproxy"
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[dict[str, int]]:
    """Where nginx and HAProxy take what."""
    write_pem(folder, "localhost", "localhost")
    ports = {f"{who}_{what}": free_port() for who in ("nginx", "haproxy") for what in ("ready", "http", "h2c", "https")}
    peers = []
    for who, text, arguments in (("nginx", NGINX, ["-p", str(folder), "-c"]), ("haproxy", HAPROXY, ["-db", "-f"])):
        own = {what: ports[f"{who}_{what}"] for what in ("ready", "http", "h2c", "https")}
        (folder / f"{who}.conf").write_text(text.format(folder=folder, here=HERE, **own))
        peers.append(Process([program(who), *arguments, str(folder / f"{who}.conf")], own["ready"], folder))
    yield ports
    for peer in peers:
        peer.stop()


@pytest.fixture(scope="module")
def server(start_once: Start, folder: Path, ports: dict[str, int]) -> Server:
    config = CONFIG.format(here=HERE)
    upstreams = ""
    for way, url in WAYS.items():
        for version in VERSIONS:
            config += f'"/{way}/{version}" = {{ proxy = "{way}-{version}" }}\n'
            upstreams += (
                f'[upstreams.{way}-{version}]\npeers = ["{url.format(here=HERE, folder=folder, **ports)}"]\n'
                f'send_proxy = "{version}"\ntls = {{ authority = "{folder}/localhost.pem" }}\n'
                'check = { path = "/check" }\n'
            )
    return start_once(config + upstreams)


def ask(client: httpx.Client, path: str, **options: object) -> list[str]:
    answer = client.get(path, **options)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return answer.text.split()


def from_(address: str, server: Server, http2: bool = False) -> httpx.Client:
    """A client with one connection, which comes from `address`."""
    transport = httpx.HTTPTransport(local_address=address, http1=not http2, http2=http2)
    return httpx.Client(base_url=server.url(), transport=transport, timeout=20)


@pytest.mark.parametrize("http2", [False, True], ids=["from-http1", "from-http2"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", WAYS)
def test_a_connection_names_its_client_and_serves_no_other(server: Server, way: str, version: str, http2: bool) -> None:
    path = f"/{way}/{version}"
    with from_("127.0.0.5", server, http2) as one, from_("127.0.0.6", server, http2) as other:
        first, protocol = ask(one, path), PROTOCOLS.get(way, "HTTP/1.1")
        assert first[0].rpartition(":")[0] == "127.0.0.5" and first[2].startswith(protocol[:6])
        assert ask(other, path)[0].startswith("127.0.0.6:")
        assert ask(one, path) == first, "the same client's next request is sent over its own connection"
        with from_("127.0.0.5", server, http2) as again:
            assert ask(again, path)[0] != first[0], "another connection of the same machine is told by its port"


def test_behind_a_trusted_proxy_it_is_the_client_that_is_named(server: Server) -> None:
    with from_("127.0.0.8", server) as proxy:
        for client in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
            said = ask(proxy, "/nginx/v2", headers={"X-Forwarded-For": client})
            assert said[0].rpartition(":")[0] == client


def test_checks_speak_for_themselves(server: Server, folder: Path) -> None:
    """LOCAL in version 2, UNKNOWN in version 1: the server takes it for nobody's, and answers."""

    def checked() -> bool:
        lines = (folder / "access.log").read_text().splitlines()
        found = [line for line in lines if "health check" in line]
        assert all(line.startswith("- 200 ") for line in found), found
        return len(found) >= 2 * sum("nginx" in way for way in WAYS)

    eventually(checked, "each nginx was asked in both versions")
    assert "left alone" not in server.output


def test_the_connection_ends_with_the_client_s(start: Start) -> None:
    """Whether or not a request is on its way."""
    asked, ended = threading.Event(), threading.Semaphore(0)

    def serve(sock: socket.socket) -> None:
        heard = b""
        while data := sock.recv(65536):
            heard += data
            if b"GET /slow" in heard:
                asked.set()
            elif heard.endswith(b"\r\n\r\n"):
                heard = b""
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        ended.release()

    with tcp_peer(serve) as port:
        config = CONFIG.format(here=HERE) + '"/*" = { proxy = "it" }\n[upstreams.it]\nsend_proxy = "v1"\n'
        server = start(config + f'peers = ["http://{HERE}:{port}"]\n')
        with from_("127.0.0.5", server) as one, from_("127.0.0.6", server) as other:
            for client in (one, other, one):
                assert ask(client, "/") == ["ok"]
            one.close()
            assert ended.acquire(timeout=20)
            assert ask(other, "/") == ["ok"]
            assert not ended.acquire(blocking=False), "that of the other client stays"
            with socket.create_connection(server.address("http")) as leaving:
                leaving.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert asked.wait(20)
            assert ended.acquire(timeout=20)
            assert ask(other, "/") == ["ok"] and not ended.acquire(blocking=False)


SOCKETS = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": scope["client"][0] + " says " + message["text"]})
"""
BEHIND = """
[server]
http = "{here}:0"
h2c = true
proxy_protocol = ["{here}"]
workers = 1
[sites."*"]
"/*" = {{ app = "it" }}
[apps.it]
target = "told_sockets:app"
lifespan = "off"
inline = true
"""
FRONT = """
[server]
http = "{here}:0"
workers = 1
[sites."*"]
"/http" = {{ proxy = "one" }}
"/h2c" = {{ proxy = "two" }}
[upstreams.one]
peers = ["http://{at}"]
send_proxy = "v1"
[upstreams.two]
peers = ["h2c://{at}"]
send_proxy = "v2"
"""


def test_websockets_are_announced_too(start: Start) -> None:
    """Ours behind ours: an upgrade, and the extended CONNECT of HTTP/2."""
    files = {"told_sockets.py": SOCKETS, "behind.toml": BEHIND.format(here=HERE)}
    behind = start("", "up", "-c", "behind.toml", files=files)
    front = start(FRONT.format(here=HERE, at=behind.url().removeprefix("http://")))
    for way in ("http", "h2c"):
        for host in ("127.0.0.5", "127.0.0.6"):
            url = f"{front.url().replace('http', 'ws', 1)}/{way}"
            with connect(url, compression=None, source_address=(host, 0)) as tunnel:
                for word in ("one", "two"):
                    tunnel.send(word)
                    assert tunnel.recv(20) == f"{host} says {word}"
