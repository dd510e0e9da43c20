"""Client certificates on real sockets: curl shows one, openssl tries to carry a session over from a site that wants none."""

from __future__ import annotations

import ssl
import subprocess
from base64 import b64encode
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.test_tls import ask, connect

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1"]
[sites."open.test"]
tls = { certificate = "open.test.pem", key = "open.test.key" }
"/*" = { respond = "open" }
[sites."closed.test"]
tls = { certificate = "closed.test.pem", key = "closed.test.key", clients = { authority = "ca.pem", revoked = "crl.pem" } }
"/*" = { app = "app", cache = "1h" }
[sites."asking.test"]
tls = { certificate = "open.test.pem", key = "open.test.key", clients = { authority = "ca.pem", required = false } }
"/*" = { app = "app" }
"/inner" = { app = "app", client_certificate = true }
[apps.app]
target = "app:app"
"""
APP = """
async def app(scope, receive, send):
    told = dict(scope["headers"]).get(b"client-cert", b"nobody")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told})
"""
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
CA = """
[ca]
default_ca = only
[only]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 2
"""


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites' certificates; an authority, whom it trusts (alice), whom no more (bob); and somebody else's client (mallory)."""
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*options: str) -> None:
        subprocess.run(["openssl", *options], cwd=folder, check=True, capture_output=True)

    for name in ("open.test", "closed.test", "ca", "mallory"):
        openssl(
            "req", "-x509", *EC, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )
    for name in ("alice", "bob"):
        openssl("req", *EC, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-out", f"{name}.pem")  # fmt: skip
    (folder / "ca.cnf").write_text(CA)
    (folder / "index.txt").touch()
    (folder / "crlnumber").write_text("01\n")
    authority = ["ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"]
    openssl(*authority, "-revoke", "bob.pem")
    openssl(*authority, "-gencrl", "-out", "crl.pem")
    return folder


@pytest.fixture(scope="module")
def server(start_once: Start, papers: Path) -> Server:
    texts = {path.name: path.read_text() for path in papers.iterdir() if path.suffix in (".pem", ".key")}
    return start_once(CONFIG, files={"app.py": APP, **texts})


def curl(server: Server, papers: Path, site: str, who: str | None, *options: str, path: str = "/") -> tuple[int, str]:
    """The exit code of curl (56: the server refused in the handshake) and the answer."""
    host, port = server.address("https")
    shown = [] if who is None else ["--cert", f"{who}.pem", "--key", f"{who}.key"]
    ran = subprocess.run(
        ["curl", "-sk", "--max-time", "20", "--resolve", f"{site}:{port}:{host}", *shown, *options, f"https://{site}:{port}{path}"],
        cwd=papers, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout


def field_of(papers: Path, who: str) -> str:
    return f":{b64encode(ssl.PEM_cert_to_DER_cert((papers / f'{who}.pem').read_text())).decode()}:"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_who_shows_a_certificate_of_the_authority_is_known_to_the_application(
    server: Server, papers: Path, version: str
) -> None:
    forged = ("-H", "Client-Cert: :Zm9yZ2Vk:", "-H", "Client-Cert-Chain: :Zm9yZ2Vk:")
    assert curl(server, papers, "closed.test", "alice", version, *forged) == (0, field_of(papers, "alice"))


@pytest.mark.parametrize("who", [None, "mallory", "bob"])
def test_who_has_no_good_one_gets_nothing(server: Server, papers: Path, who: str | None) -> None:
    code, answer = curl(server, papers, "closed.test", who)
    assert code in (35, 55, 56)
    assert answer == ""


def test_where_none_is_required_only_a_good_one_is_told(server: Server, papers: Path) -> None:
    forged = ("-H", "Client-Cert: :Zm9yZ2Vk:")
    assert curl(server, papers, "asking.test", None, *forged) == (0, "nobody")
    assert curl(server, papers, "asking.test", "alice", *forged) == (0, field_of(papers, "alice"))
    assert curl(server, papers, "asking.test", "mallory")[1] == ""


def test_a_route_may_require_what_its_site_does_not(server: Server, papers: Path) -> None:
    assert curl(server, papers, "asking.test", "alice", path="/inner") == (0, field_of(papers, "alice"))
    assert "403 Forbidden" in curl(server, papers, "asking.test", None, path="/inner")[1]


def test_other_sites_ask_nobody(server: Server, papers: Path) -> None:
    assert curl(server, papers, "open.test", None) == (0, "open")


def test_neither_a_host_nor_a_session_of_another_site_leads_around_it(server: Server, papers: Path) -> None:
    """FAILURES 32."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(server, context, "open.test") as tls:
        assert ask(tls, "open.test")[0] == 200
        assert ask(tls, "closed.test")[0] == 421
        session = tls.session
    assert session is not None
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(server, context, "closed.test", session) as tls:
        ask(tls, "closed.test")


def test_plain_http_leads_to_https_and_a_proxy_before_us_can_vouch_for_nobody(server: Server) -> None:
    asked = {"Host": "closed.test", "Client-Cert": ":Zm9yZ2Vk:"}
    plain = httpx.get(f"{server.url('http')}/a%2Fb?x=1", headers=asked, timeout=PATIENCE)
    assert (plain.status_code, plain.headers["location"]) == (308, "https://closed.test/a%2Fb?x=1")
    told = httpx.get(
        server.url("http"),
        headers={**asked, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"},
        timeout=PATIENCE,
    )
    assert told.status_code == 421


def test_a_session_of_who_was_verified_is_not_taken_up(server: Server, papers: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(papers / "alice.pem", papers / "alice.key")
    with connect(server, context, "closed.test") as tls:
        assert ask(tls, "closed.test")[0] == 200
        assert tls.session is None or not tls.session.has_ticket
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(server, context, "closed.test"):
        pass
