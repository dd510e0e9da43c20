"""Real servers to stand behind a proxy: nginx, uvicorn, Gunicorn, each on a port or socket of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.assemble.kit import write_pem
from tests.ports import free_port

NGINX = """
daemon off;
master_process off;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000;
    client_max_body_size 0;
    ssl_certificate {folder}/localhost.pem;
    ssl_certificate_key {folder}/localhost.key;
    server {{
        listen 127.0.0.1:{plain};
        listen unix:{folder}/nginx.sock;
        listen 127.0.0.1:{tls} ssl http2;
        root {folder}/files;
        location /connection {{ return 200 "$connection $server_protocol"; }}
        location /length {{ return 200 $content_length; }}
        location /read {{ proxy_pass http://127.0.0.1:{plain}/length; }}  # when all of the body is there
        location /limited {{ client_max_body_size 1k; }}
        location /packed/ {{ gzip on; gzip_proxied any; gzip_types text/plain; alias {folder}/files/; }}
    }}
    server {{
        listen 127.0.0.1:{mutual} ssl;
        ssl_client_certificate {folder}/ours.pem;
        ssl_verify_client on;
        location / {{ return 200 $ssl_client_s_dn; }}
    }}
}}
"""

ASGI = """
import asyncio, os

released = None
endless = 0


async def app(scope, receive, send):
    global released, endless
    if scope["type"] == "lifespan":
        await receive()
        released = asyncio.Event()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/refuses":
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "close":
                await send({"type": "websocket.close", "code": 4001})
                return
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        return
    path = scope["path"]
    headers = []
    if path == "/events":
        headers = [(b"content-type", b"text/event-stream")]
    if path == "/fields":
        body = b"\\n".join(name + b": " + value for name, value in sorted(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/events":
        released.clear()
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await released.wait()
        await send({"type": "http.response.body", "body": b"data: 2\\n\\n", "more_body": True})
    elif path == "/release":
        released.set()
    elif path == "/endless":
        endless += 1
        await receive()
        gone = asyncio.ensure_future(receive())
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0.01)
        endless -= 1
        return
    elif path == "/endless/count":
        await send({"type": "http.response.body", "body": b"%d" % endless, "more_body": True})
    elif path == "/collects":
        pieces = []
        while (message := await receive())["type"] == "http.request":
            pieces.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.body", "body": b"".join(pieces), "more_body": True})
    elif path == "/pid":
        await send({"type": "http.response.body", "body": b"%d" % os.getpid(), "more_body": True})
    else:
        while (message := await receive())["type"] == "http.request":
            if message["body"]:
                await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            if not message["more_body"]:
                break
    await send({"type": "http.response.body", "body": b""})
"""

WSGI = """
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/pieces":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one ", b"two ", b"three"])
    start_response("201 Created", [("Content-Length", str(len(body))), ("X-Method", environ["REQUEST_METHOD"])])
    return [body]
"""


class Process:
    """A server that was started: it answers when this is made."""

    def __init__(self, arguments: list[str], port: int, cwd: Path, pass_fds: tuple[int, ...] = ()) -> None:
        self.port = port
        self.output = cwd / f"{Path(arguments[0]).name}-{port}.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                arguments,
                cwd=cwd,
                stdout=output,
                stderr=output,
                pass_fds=pass_fds,
                env={**os.environ, "PYTHONPATH": "."},
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(b"GET /connection HTTP/1.0\r\n\r\n")
                return bool(sock.recv(1))
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


class Nginx(Process):
    """`tls`: a port whose certificate is for localhost, `FOLDER/localhost.pem`; `mutual`: one that wants
    `ours.pem`, and tells whose it is."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.fail("missing: nginx. On Debian: apt-get install nginx-light")
        (folder / "files").mkdir()
        (folder / "files" / "big").write_bytes(bytes(range(256)) * 4096)
        write_pem(folder, "localhost", "localhost")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ours.key", "-out", "ours.pem",
             "-subj", "/CN=us.example"], cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        self.tls, self.mutual, plain = free_port(), free_port(), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, plain=plain, tls=self.tls, mutual=self.mutual))
        super().__init__([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], plain, folder)


def uvicorn(folder: Path, port: int = 0) -> Process:
    (folder / "peer_asgi.py").write_text(ASGI)
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", "peer_asgi:app", "--port", str(port), "--log-level", "warning"]
    return Process([*command, "--ws", "websockets-sansio", "--timeout-graceful-shutdown", "1"], port, folder)


def gunicorn(folder: Path) -> Process:
    (folder / "peer_wsgi.py").write_text(WSGI)
    port = free_port()
    return Process(
        [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket", "peer_wsgi:app"],
        port,
        folder,
    )
