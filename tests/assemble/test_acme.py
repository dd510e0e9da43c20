"""Certificates by ACME as the configuration has them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tests.assemble.kit import config_of, presented
from tests.certificates import self_signed

from enfilade.acme.disk import Disk
from enfilade.acme.dns import Dns01
from enfilade.acme.dns_update import UpdatedZone
from enfilade.assemble.acme import AcmeWorker, fetcher_of, prepare_acme, solver_of
from enfilade.assemble.certificates import Certificates
from enfilade.assemble.sites import secure_address
from enfilade.config import Config, ConfigError
from enfilade.config.acme_checks import answerable
from enfilade.observe.metrics import CertificateMeter, CertificateRows
from enfilade.process.board import Board

CONFIG = """
[acme]
storage = "certificates"
terms_agreed = true
[sites."a.example.com"]
"/*" = { respond = 200 }
[sites."b.example.com"]
"/*" = { respond = 200 }
[sites."localhost"]
"/*" = { respond = 200 }
"""


def counted() -> CertificateMeter:
    return CertificateMeter(memoryview(bytearray(16)).cast("q"), CertificateRows(0, 1))


def prepared(folder: Path, text: str = CONFIG) -> tuple[Config, Certificates, AcmeWorker]:
    config = config_of(text, folder)
    ordering = prepare_acme(config, Board(rows=64, columns=2), None)
    certificates = Certificates(config)
    return config, certificates, AcmeWorker(config, certificates, ordering, counted())


def shown(certificates: Certificates, name: str) -> list[str]:
    assert certificates.listener is not None
    return presented(certificates.listener.now(), name)


def test_public_names_have_certificates_without_being_asked(tmp_path: Path) -> None:
    config = config_of(CONFIG, tmp_path)
    assert {name: site.tls for name, site in config.sites.items()} == {
        "a.example.com": "acme", "b.example.com": "acme", "localhost": None,
    }  # fmt: skip
    assert (config.server.http, config.server.https) == (":80", ":443")
    assert config.sites["a.example.com"].redirects
    assert secure_address(config) == "https://{host}{path}?{query}"


def test_where_http_is_somewhere_else_https_is_where_it_is_looked_for(tmp_path: Path) -> None:
    config = config_of('[server]\nhttp = ":8080"\n' + CONFIG, tmp_path)
    assert (config.server.http, config.server.https) == (":8080", ":443")


def test_nothing_is_ordered_without_agreement(tmp_path: Path) -> None:
    for text in (CONFIG.replace("true", "false"), CONFIG.replace("terms_agreed = true\n", "")):
        with pytest.raises(ConfigError, match="nothing is ordered unless you agree"):
            config_of(text, tmp_path)


def test_who_has_none_yet_shows_one_for_its_own_name(tmp_path: Path) -> None:
    _, certificates, worker = prepared(tmp_path)
    asyncio.run(worker.start())
    assert shown(certificates, "a.example.com") == ["a.example.com"]
    assert shown(certificates, "b.example.com") == ["b.example.com"]


def test_what_is_stored_is_shown_before_anybody_is_listened_to(tmp_path: Path) -> None:
    _, certificates, worker = prepared(tmp_path)
    stored = self_signed(["a.example.com", "other.example.com"])
    asyncio.run(Disk(str(tmp_path / "certificates")).put("certificates", "a.example.com", stored.key + stored.chain))
    asyncio.run(worker.start())
    assert shown(certificates, "a.example.com") == ["a.example.com", "other.example.com"]
    assert shown(certificates, "b.example.com") == ["b.example.com"]
    a, b = worker.status()
    assert a["until"] > 0 and b["until"] == 0
    assert [labels for _, labels, _ in worker.samples()] == [(("name", "a.example.com"),)]


def test_a_stored_one_that_nobody_can_use_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, certificates, worker = prepared(tmp_path)
    one, other = self_signed(["a.example.com"]), self_signed(["a.example.com"])
    asyncio.run(Disk(str(tmp_path / "certificates")).put("certificates", "a.example.com", one.key + other.chain))
    with caplog.at_level(logging.ERROR):
        asyncio.run(worker.start())
    assert (
        "certificates of a.example.com in the storage cannot be used: the certificate is not for this key"
        in caplog.text
    )
    assert shown(certificates, "a.example.com") == ["a.example.com"]


def test_an_authority_whose_voucher_is_no_certificate_is_found_by_check(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    text = CONFIG.replace("[sites", 'authority = "ca.pem"\n[sites', 1)
    with pytest.raises(ConfigError, match=r"5:13: acme.authority: cannot be used"):
        config_of(text, tmp_path)


def test_only_an_authority_of_ones_own_may_have_a_private_address(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(self_signed(["ca"]).chain)
    strange = config_of(CONFIG, tmp_path).acme
    own = config_of(CONFIG.replace("[sites", 'authority = "ca.pem"\n[sites', 1), tmp_path).acme
    assert strange is not None and own is not None
    assert "10.0.0.1" in fetcher_of(own)._reachable and "::1" in fetcher_of(own)._reachable
    assert "10.0.0.1" not in fetcher_of(strange)._reachable


def test_how_a_record_is_made(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("c2VjcmV0")
    dns = 'dns = { server = "[::1]:5353", key = "k", secret = "secret", algorithm = "hmac-sha512" }\ndns_wait = "1m"\n'
    config = config_of(CONFIG.replace("[sites", f"{dns}[sites", 1), tmp_path)
    assert config.acme is not None and answerable(config) == ["http-01", "tls-alpn-01", "dns-01"]
    solver = solver_of("dns-01", config.acme, Disk(str(tmp_path)))
    assert solver.settle == 60.0 and isinstance(solver, Dns01) and isinstance(solver._zone, UpdatedZone)
    (key,) = solver._zone._keys.values()
    assert (str(key.name), key.secret, str(key.algorithm)) == ("k.", b"secret", "hmac-sha512.")
    assert solver._zone._address == ("::1", 5353)


def test_what_only_the_supervisor_may_read_is_read_before_the_fork(tmp_path: Path) -> None:
    """Workers may be somebody else by then."""
    secrets = {"ca.pem": self_signed(["ca"]).chain, "hmac": b"A" * 43, "secret": b"c2VjcmV0"}
    for name, text in secrets.items():
        (tmp_path / name).write_bytes(text)
    lines = 'authority = "ca.pem"\naccount_key_id = "k"\naccount_hmac = "hmac"\n'
    lines += 'dns = { server = "::1", key = "k", secret = "secret" }\n'
    _, _, worker = prepared(tmp_path, CONFIG.replace("[sites", f"{lines}[sites", 1))
    for name in secrets:
        (tmp_path / name).unlink()

    async def live() -> None:
        await worker.start()
        worker.manage()
        await worker.stop()
        await worker.close()

    asyncio.run(live())
