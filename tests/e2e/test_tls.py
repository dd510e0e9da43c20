"""TLS on real sockets: versions, protocols, certificates by name, tickets, and clients that do not get through the handshake."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import http2_frames as kit
from tests.e2e.conftest import ROOT, Server, Start
from tests.e2e.http2_frames import Client, head, headers
from tests.e2e.kit import admin_address, descriptors, eventually, last_words, parse, rejects, workers

CONFIG = """
[server]
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
limits = { head_timeout = "1s" }
[sites."a.test"]
log = false
tls = { certificate = "a.test.pem", key = "a.test.key" }
"/*" = { respond = "from a" }
[sites."b.test"]
log = false
tls = { certificate = "b.test.pem", key = "b.test.key" }
"/*" = { respond = "from b" }
[sites."plain.test"]
log = false
tls = "off"
"/*" = { respond = "never over TLS" }
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Texts of certificates and keys by file name."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("a.test", "b.test"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
             "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=directory, check=True, capture_output=True,
        )  # fmt: skip
    return {path.name: path.read_text() for path in directory.iterdir()}


def shaken(server: Server, *options: str) -> str:
    """What `openssl s_client` says of a handshake."""
    host, port = server.address("https")
    named = [] if "-noservername" in options else ["-servername", "a.test"]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", *named, *options],
        input="", capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


NO_SUITE = "New, (NONE), Cipher is (NONE)"


def test_the_suites_of_tls_1_2_may_be_narrowed(start: Start, certificates: dict[str, str]) -> None:
    narrow = 'tls_ciphers = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]\n[sites."a'
    server = start(CONFIG.replace("limits =", "# limits =").replace('[sites."a', narrow, 1), files=certificates)
    assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in shaken(server, "-tls1_2")
    assert NO_SUITE in shaken(server, "-tls1_2", "-cipher", "ECDHE+CHACHA20")
    assert "TLSv1.3, Cipher is" in shaken(server)


def test_what_the_page_on_security_writes_for_openssl_narrows_groups_and_suites(
    start: Start, certificates: dict[str, str], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    written = page.partition("```ini\n")[2].partition("```")[0]
    path = tmp_path / "openssl.cnf"
    path.write_text(written)
    server = start(CONFIG, files=certificates, environ={"OPENSSL_CONF": str(path)})
    assert NO_SUITE in shaken(server, "-groups", "X25519")
    assert "TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384" in shaken(server, "-groups", "P-384")
    assert NO_SUITE in shaken(server, "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
    assert "TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256" in shaken(server, "-ciphersuites", "TLS_AES_128_GCM_SHA256")


@pytest.fixture(scope="module")
def server(start_once: Start, certificates: dict[str, str]) -> Server:
    started = start_once(CONFIG, files=certificates)
    admin_address(started)
    return started


@pytest.fixture(autouse=True)
def unharmed(server: Server, certificates: dict[str, str]) -> Iterator[None]:
    before, open_before = workers(server), descriptors(server)
    yield
    assert get(server, certificates) == (200, b"from a")
    assert workers(server) == before
    eventually(lambda: descriptors(server) <= open_before, "descriptors are closed")
    assert "Traceback" not in server.output


def trusting(certificates: dict[str, str], *alpn: str) -> ssl.SSLContext:
    """A client that checks certificates."""
    context = ssl.create_default_context(cadata="".join(certificates[f"{name}.test.pem"] for name in "ab"))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


@contextlib.contextmanager
def connect(
    server: Server, context: ssl.SSLContext, name: str | None = "a.test", session: ssl.SSLSession | None = None
) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(server.address("https"), timeout=10) as sock,
        context.wrap_socket(sock, server_hostname=name, session=session) as tls,
    ):
        yield tls


def ask(tls: ssl.SSLSocket, host: str) -> tuple[int, bytes]:
    tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status, _, body = parse(tls.recv(65536))[0]
    return status, body


def get(server: Server, certificates: dict[str, str], name: str = "a.test") -> tuple[int, bytes]:
    with connect(server, trusting(certificates), name) as tls:
        return ask(tls, name)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(server: Server, certificates: dict[str, str], version: ssl.TLSVersion) -> None:
    context = trusting(certificates)
    context.minimum_version = context.maximum_version = version
    with connect(server, context) as tls:
        assert tls.version() == version.name.replace("_", ".")
        assert ask(tls, "a.test") == (200, b"from a")


def test_older_versions_are_refused(server: Server, certificates: dict[str, str]) -> None:
    context = trusting(certificates)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(server, context):
        pass


def test_weak_suites_are_refused(server: Server, certificates: dict[str, str]) -> None:
    context = trusting(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)), connect(server, context):
        pass


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (("h2", "http/1.1"), "h2"),
        (("http/1.1", "h2"), "h2"),
        (("http/1.1",), "http/1.1"),
        (("http/1.0",), "http/1.0"),
        (("spdy/3", "http/1.1"), "http/1.1"),
        ((), None),
    ],
)
def test_the_protocol_is_agreed_on_in_the_handshake(
    server: Server, certificates: dict[str, str], offered: tuple[str, ...], agreed: str | None
) -> None:
    with connect(server, trusting(certificates, *offered)) as tls:
        assert tls.selected_alpn_protocol() == agreed
        if agreed != "h2":
            assert ask(tls, "a.test") == (200, b"from a")
            return
        client = Client(tls)
        client.send(kit.PREFACE, kit.settings())
        lines = [(name, "https" if name == ":scheme" else value) for name, value in head("/", host="a.test")]
        client.send(headers(1, lines))
        assert (client.status(1), client.body(1)) == (200, b"from a")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_who_offers_only_other_protocols_is_told_so(server: Server, version: str) -> None:
    before = rejects(server)
    assert "no application protocol" in shaken(server, version, "-alpn", "spdy/3,imap").lower()
    assert "no application protocol" in shaken(server, version, "-alpn", "imap", "-noservername").lower()
    assert rejects(server)["tls_error"] == before.get("tls_error", 0) + 2


@pytest.mark.parametrize("name", ["a.test", "b.test"])
def test_each_name_gets_its_certificate(server: Server, certificates: dict[str, str], name: str) -> None:
    with connect(server, trusting(certificates), name) as tls:
        certificate = tls.getpeercert()
        assert certificate is not None and certificate["subjectAltName"] == (("DNS", name),)
        assert ask(tls, name) == (200, b"from " + name[:1].encode())


@pytest.mark.parametrize("host", ["b.test", "plain.test", "other.test"])
def test_a_host_that_the_handshake_was_not_for_is_misdirected(
    server: Server, certificates: dict[str, str], host: str
) -> None:
    with connect(server, trusting(certificates), "a.test") as tls:
        assert ask(tls, host)[0] == 421
        assert ask(tls, "a.test") == (200, b"from a"), "the connection lives on"


@pytest.mark.parametrize("name", [None, "unknown.test"])
def test_who_names_no_site_gets_the_first_certificate_and_its_site_only(server: Server, name: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with connect(server, context, name) as tls:
        assert ask(tls, "a.test") == (200, b"from a")
        assert ask(tls, "b.test")[0] == 421


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_of_one_worker_is_taken_by_all(
    server: Server, certificates: dict[str, str], version: ssl.TLSVersion
) -> None:
    context = trusting(certificates)
    context.minimum_version = context.maximum_version = version
    with connect(server, context) as tls:
        ask(tls, "a.test")
        session = tls.session
    for _ in range(12):  # the kernel deals connections to two workers
        with connect(server, context, session=session) as tls:
            assert tls.session_reused
            assert ask(tls, "a.test") == (200, b"from a")
            assert ask(tls, "b.test")[0] == 421, "a ticket opens no other site"


def test_a_ticket_of_one_site_gets_no_other_sites_name(server: Server, certificates: dict[str, str]) -> None:
    context = trusting(certificates)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with connect(server, context, "a.test") as tls:
        ask(tls, "a.test")
        session = tls.session
    with connect(server, context, "b.test", session=session) as tls:
        assert ask(tls, "b.test") == (200, b"from b")
        assert ask(tls, "a.test")[0] == 421


# -- who does not get through the handshake


def test_plain_http_on_the_tls_port_is_closed(server: Server) -> None:
    with socket.create_connection(server.address("https"), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in last_words(sock)


def test_a_handshake_that_never_ends_is_dropped(server: Server) -> None:
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        silent, begun = (
            stack.enter_context(socket.create_connection(server.address("https"), timeout=10)) for _ in range(2)
        )
        begun.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        for sock in (silent, begun):
            with contextlib.suppress(ConnectionResetError):
                last_words(sock)
    eventually(lambda: rejects(server).get("handshake_timeout", 0) >= 2)
    assert time.monotonic() - began < 9


def test_clients_that_leave_in_mid_handshake_cost_nothing(server: Server) -> None:
    for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), b"\x00" * 1000):
        for _ in range(5):
            with socket.create_connection(server.address("https"), timeout=10) as sock:
                sock.sendall(data)


def test_junk_within_the_tunnel_ends_it(server: Server, certificates: dict[str, str]) -> None:
    with connect(server, trusting(certificates)) as tls:
        ask(tls, "a.test")
        raw = tls.detach()
        with socket.socket(fileno=raw) as sock:
            sock.settimeout(10)
            sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            with contextlib.suppress(ConnectionResetError):
                last_words(sock)


def test_a_refusal_is_read_whole_over_tls_too(server: Server, certificates: dict[str, str]) -> None:
    with connect(server, trusting(certificates)) as tls:
        tls.sendall(b"BAD\r\n" + b"junk" * 100_000)
        pieces = b""
        with contextlib.suppress(ssl.SSLError):
            while piece := tls.recv(65536):
                pieces += piece
        assert parse(pieces)[0][0] == 400


def test_a_key_that_is_not_the_certificates_keeps_the_server_from_starting(
    start: Start, certificates: dict[str, str]
) -> None:

    broken = {**certificates, "b.test.key": certificates["a.test.key"]}
    with pytest.raises(AssertionError, match=r"b\.test\.pem"):
        start(CONFIG, files=broken)
