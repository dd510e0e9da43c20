"""Our ACME server, with lego (Debian's package) as the client: every challenge, all workers, and what is remembered."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from signal import SIGHUP

import pytest
from cryptography import x509
from tests.e2e.conftest import ROOT, Server, Start
from tests.ports import free_port

CONFIG = """
[server]
https = "127.0.0.1:0"
workers = 2
[sites."localhost"]
tls = "internal"
"/acme/*" = { pki = "acme" }
[pki]
root = "ca"
names = ["*.localhost"]
networks = ["127.0.0.1"]
"""
# Challenges are looked at on the ports 80 and 443 of the client's host, which a test may not have.
PORTS = "import enfilade.pki.acme.validation as v\nv.HTTP_PORT, v.TLS_PORT = {}, {}\n"
PATIENCE = 60
FIRST = "lego/certificates/one.localhost.crt"
REFUSED = {"example.com": "certificates for example.com are not given here", "one.localhost": "is not a public address"}


class Lego:
    """What the client keeps is in `path`."""

    def __init__(self, start: Start, directory: Path) -> None:
        self.path = directory / "lego"
        self._start = start
        self._directory = directory
        self._ports = {"http": free_port(), "tls": free_port()}
        (directory / "sitecustomize.py").write_text(PORTS.format(*self._ports.values()))
        self.server: Server | None = None

    def serve(self, config: str = CONFIG) -> Server:
        self.server = self._start(config, environ={"PYTHONPATH": f"{self._directory}:{ROOT / 'src'}:{ROOT}"})
        return self.server

    def __call__(
        self, *command: str, name: str = "one.localhost", by: str = "http"
    ) -> subprocess.CompletedProcess[str]:
        assert self.server is not None
        challenge = [f"--{by}", f"--{by}.port", f"127.0.0.1:{self._ports[by]}"]
        directory = f"{self.server.url('https').replace('127.0.0.1', 'localhost')}/acme/directory"
        return subprocess.run(
            ["lego", "--accept-tos", "-s", directory, "-m", "a@b.example", "-d", name, "--path", self.path, *challenge, *command],
            env={**os.environ, "LEGO_CA_CERTIFICATES": str(self._directory / "ca" / "root.pem")},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def certificate(self, name: str = "one.localhost") -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.path / "certificates" / f"{name}.crt").read_bytes())


@pytest.fixture
def lego(start: Start, tmp_path: Path) -> Lego:
    return Lego(start, tmp_path)


def revoked(lego: Lego, directory: Path) -> list[int]:
    assert lego.server is not None
    url = f"{lego.server.url('https').replace('127.0.0.1', 'localhost')}/acme/revoked.crl"
    told = subprocess.run(
        ["curl", "-s", "--cacert", "ca/root.pem", url], cwd=directory, capture_output=True, check=True
    )
    return [one.serial_number for one in x509.load_der_x509_crl(told.stdout)]


def test_a_certificate_is_had_renewed_after_a_reload_and_revoked(lego: Lego, tmp_path: Path) -> None:
    server = lego.serve()
    done = lego("run")
    assert done.returncode == 0, done.stdout
    first = lego.certificate()
    assert first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value[0].value == "one.localhost"
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", "ca/root.pem", "-untrusted", "ca/intermediate.pem", FIRST],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    server.signal(SIGHUP)
    server.wait_for("generation 2 serves")
    done = lego("renew", "--days", "90", "--no-random-sleep")
    assert done.returncode == 0, done.stdout
    second = lego.certificate()
    assert second.serial_number != first.serial_number
    assert revoked(lego, tmp_path) == []
    done = lego("revoke", "--keep")
    assert done.returncode == 0, done.stdout
    assert revoked(lego, tmp_path) == [second.serial_number]


def test_by_tls(lego: Lego) -> None:
    lego.serve()
    done = lego("run", by="tls")
    assert done.returncode == 0, done.stdout
    assert lego.certificate().issuer.rfc4514_string().startswith("CN=Enfilade intermediate")


def test_what_is_refused_says_why(lego: Lego) -> None:
    server = lego.serve(CONFIG.replace('networks = ["127.0.0.1"]', ""))
    for name, says in REFUSED.items():
        refused = lego("run", name=name)
        assert refused.returncode == 1 and says in refused.stdout, refused.stdout
    assert "Traceback" not in server.output
