"""`tls = "internal"` with a root that is kept: clients that trust it trust every worker, at each start, and across renewals."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from signal import SIGHUP
from socket import create_connection

from tests.e2e.conftest import START, Server, Start
from tests.e2e.kit import eventually, workers

CONFIG = """
[server]
https = "127.0.0.1:0"
workers = 2
[sites."shop.internal"]
tls = "internal"
"/*" = { respond = "hi" }
[pki]
root = "ca"
"""


def curl(server: Server, *options: str) -> tuple[int, str]:
    """The exit code (60: it trusts not) and the answer."""
    host, port = server.address("https")
    where = ["--resolve", f"shop.internal:{port}:{host}", f"https://shop.internal:{port}/"]
    ran = subprocess.run(
        ["curl", "-s", "--max-time", "20", *options, *where], cwd=server.directory, capture_output=True, text=True, check=False
    )  # fmt: skip
    return ran.returncode, ran.stdout


def client(server: Server) -> ssl.SSLSocket:
    """A new connection that trusts the root."""
    context = ssl.create_default_context(cafile=str(server.directory / "ca" / "root.pem"))
    return context.wrap_socket(create_connection(server.address("https"), 10), server_hostname="shop.internal")


def ask(tls: ssl.SSLSocket) -> bytes:
    tls.sendall(b"GET / HTTP/1.1\r\nHost: shop.internal\r\n\r\n")
    return tls.recv(4096)[-2:]


def test_who_trusts_the_root_trusts_each_worker_and_the_next_start(start: Start, tmp_path: Path) -> None:
    server = start(CONFIG)
    assert curl(server)[0] == 60
    assert [curl(server, "--cacert", "ca/root.pem") for _ in range(6)] == [(0, "hi")] * 6
    kept = {file.name: file.read_bytes() for file in (tmp_path / "ca").iterdir()}
    server.stop()
    assert curl(start(CONFIG), "--cacert", "ca/root.pem") == (0, "hi")
    assert {file.name: file.read_bytes() for file in (tmp_path / "ca").iterdir()} == kept


def test_certificates_are_renewed_under_open_connections(start: Start) -> None:
    server = start(f'{CONFIG}lifetime = "4s"\n')
    before = workers(server)
    connections = [client(server) for _ in range(4)]
    first = connections[0].getpeercert(binary_form=True)
    assert [ask(one) for one in connections] == [b"hi"] * 4

    def renewed() -> bool:
        with client(server) as new:
            return new.getpeercert(binary_form=True) != first

    eventually(renewed)
    assert [ask(one) for one in connections] == [b"hi"] * 4, "these have what they have"
    assert workers(server) == before
    for one in connections:
        one.close()


def test_a_root_that_cannot_be_read_refuses_the_start_and_the_reload(start: Start, tmp_path: Path) -> None:
    """FAILURES 31."""
    server = start(CONFIG)
    key = tmp_path / "ca" / "intermediate.key"
    key.chmod(0o644)
    server.signal(SIGHUP)
    server.wait_for("reload refused, nothing has changed")
    assert curl(server, "--cacert", "ca/root.pem") == (0, "hi")
    refused = start(CONFIG, wait=False)
    assert refused.process.wait(START) == 1
    refused.wait_for(r"enfilade\.toml:9:8: pki\.root: intermediate\.key is open to others: chmod 600")
    key.chmod(0o600)
    server.signal(SIGHUP)
    server.wait_for("generation 2")
