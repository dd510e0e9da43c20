"""Certificates for names that are first heard of in a handshake: pebble signs, curl asks."""

from __future__ import annotations

import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.acme_server import AcmeServer, acme_server
from tests.e2e.conftest import Server, Start
from tests.e2e.test_acme import issued, metrics, serial
from tests.ports import HOST

CONFIG = """
[server]
http = "{host}:{ca.http_port}"
https = "{host}:{ca.tls_port}"
admin = "{host}:0"
workers = 2
[server.limits]
head_timeout = 30
[acme]
storage = "certificates"
terms_agreed = true
directory = "{ca.directory}"
authority = "{ca.authority}"
on_demand = {{ {rule} }}
[sites."{site}"]
tls = "acme"
"/*" = {{ respond = "hello" }}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcmeServer]:
    with acme_server(tmp_path_factory.mktemp("pebble")) as server:
        yield server


@pytest.fixture(scope="module")
def roots(ca: AcmeServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("roots") / "roots.pem"
    file.write_text("".join(map(ssl.DER_cert_to_PEM_cert, ca.trust().get_ca_certs(binary_form=True))))
    return file


class Asked(BaseHTTPRequestHandler):
    """Says yes to names that begin with `good`, and remembers what it was asked."""

    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(200 if "domain=good" in self.path else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    paths: list[str] = []
    with ThreadingHTTPServer((HOST, 0), type("Here", (Asked,), {"paths": paths})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/may", paths
        finally:
            server.shutdown()
            thread.join()


REFUSED = 35
"""What curl says of a handshake that fails; 60 of a certificate that it does not trust."""


def curl(server: Server, roots: Path, name: str) -> tuple[int, str]:
    host, port = server.address("https")
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "30", "--cacert", str(roots), "--resolve", f"{name}:{port}:{host}",
         f"https://{name}:{port}/"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def refused(server: Server) -> int:
    found = re.search(
        r'enfilade_rejects_total\{reason="unknown_server_name",source="client"\} ([0-9]+)', metrics(server)
    )
    return int(found[1]) if found else 0


def test_the_first_who_asks_waits_and_nobody_after_that(start: Start, ca: AcmeServer, roots: Path) -> None:
    text = CONFIG.format(host=HOST, ca=ca, rule='allow = ["*.customers.test"]', site="*.customers.test")
    server = start(text)
    assert curl(server, roots, "customer1.customers.test") == (0, "hello")
    assert issued(server) == 1
    first = serial(server, ca.trust(), "customer1.customers.test")
    server.stop()
    again = start(text)
    assert serial(again, ca.trust(), "customer1.customers.test") == first
    assert issued(again) == 0


def test_who_is_not_allowed_is_told_and_nothing_is_ordered(start: Start, ca: AcmeServer, roots: Path) -> None:
    server = start(CONFIG.format(host=HOST, ca=ca, rule='allow = ["*.customers.test"]', site="*"))
    assert curl(server, roots, "customer1.others.test") == (REFUSED, "")
    assert refused(server) == 1 and issued(server) == 0
    server.wait_for("no certificate for 'customer1.others.test', which somebody asks for: it is none")
    assert curl(server, roots, "customer2.customers.test") == (0, "hello")


def test_who_is_asked_decides(start: Start, ca: AcmeServer, roots: Path, asked: tuple[str, list[str]]) -> None:
    url, paths = asked
    server = start(CONFIG.format(host=HOST, ca=ca, rule=f'allow = ["*.test"], ask = "{url}"', site="*"))
    assert curl(server, roots, "bad.test") == (REFUSED, "")
    assert curl(server, roots, "good.example") == (REFUSED, "")  # not in the list: nobody is asked
    assert curl(server, roots, "good.test") == (0, "hello")
    assert paths == ["/may?domain=bad.test", "/may?domain=good.test"]
    assert refused(server) == 2 and issued(server) == 1
