"""Whose certificates clients accept that trust the root."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki.kit import DAY, NOW, leaf_of, refusal

from enfilade.pki.authority import BACKDATED, INTERMEDIATE_LIFETIME, Authority, new_root, self_signed

ROOT = new_root("here", NOW)


@pytest.mark.parametrize(
    "name", ["a.example", "x.w.example", "10.1.2.3", "localhost", "127.0.0.1", "::1", "api.beneath.a.example"]
)
def test_a_client_that_trusts_the_root_accepts_what_the_intermediate_may_sign(name: str) -> None:
    signer = ROOT.intermediate(["a.example", "*.w.example", "10.1.2.3"], NOW)
    assert refusal(ROOT.certificate, leaf_of(signer, name), name) == ""


@pytest.mark.parametrize("name", ["b.example", "example", "xa.example", "10.1.2.4", "192.0.2.1", "2001:db8::1"])
def test_but_nothing_else_whatever_it_signs(name: str) -> None:
    signer = ROOT.intermediate(["a.example"], NOW)
    assert refusal(ROOT.certificate, leaf_of(signer, name), name) == "permitted subtree violation"


def test_a_wildcard_is_for_one_label() -> None:
    leaf = ROOT.intermediate(["*.w.example"], NOW).leaf(["*.w.example"], NOW, DAY)
    assert refusal(ROOT.certificate, leaf, "a.w.example") == ""
    assert "mismatch" in refusal(ROOT.certificate, leaf, "a.b.w.example")


def test_nobody_else_s_root_is_good_for_it() -> None:
    leaf = leaf_of(ROOT.intermediate(["example"], NOW), "a.example")
    assert refusal(new_root("here", NOW).certificate, leaf, "a.example") != ""


def test_the_intermediate_signs_no_authority() -> None:
    """Its path length is 0 (RFC 5280 section 4.2.1.9)."""
    signer = ROOT.intermediate(["example"], NOW)
    other = new_root("another", NOW)
    made = x509.CertificateBuilder(
        signer.certificate.subject, other.certificate.subject, other.key.public_key(), 1, NOW - DAY, NOW + DAY,
        list(other.certificate.extensions),
    ).add_extension(signer._identifier, critical=False)  # fmt: skip
    below = Authority(made.sign(signer.key, SHA256()), other.key, signer.certificate)
    leaf = leaf_of(below, "a.example")
    leaf = leaf._replace(chain=leaf.chain + signer.certificate.public_bytes(Encoding.PEM))
    assert "path length" in refusal(ROOT.certificate, leaf, "a.example")


def test_the_limits_of_an_intermediate_are_in_its_certificate_and_hold_for_who_does_not_know_them() -> None:
    """Critical: RFC 5280 section 4.2.1.10. Beneath it there is no other authority: section 4.2.1.9."""
    made = new_root("test", NOW).intermediate(["a.example"], NOW).certificate.extensions
    constraints, basic = (made.get_extension_for_class(one) for one in (x509.NameConstraints, x509.BasicConstraints))
    assert constraints.critical and basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)


def test_nothing_outlives_who_signed_it() -> None:
    late = NOW + INTERMEDIATE_LIFETIME - DAY
    signer = ROOT.intermediate(["example"], NOW)
    leaf = x509.load_pem_x509_certificate(signer.leaf(["a.example"], late, 30 * DAY).chain)
    assert leaf.not_valid_after_utc == signer.certificate.not_valid_after_utc
    old = ROOT.intermediate(["example"], NOW + timedelta(days=3000))
    assert old.certificate.not_valid_after_utc == ROOT.certificate.not_valid_after_utc


def test_a_leaf_is_a_server_s_and_no_client_s() -> None:
    signer = ROOT.intermediate(["example"], NOW)
    for key in (signer.key.public_key(), rsa.generate_private_key(65537, 2048).public_key()):
        leaf = signer.sign(key, ["a.example"], NOW, DAY)
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH]
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.key_encipherment is isinstance(key, rsa.RSAPublicKey)
        assert not usage.key_cert_sign


def test_a_long_name_is_cut_in_the_subject_alone() -> None:
    name = f"{'a' * 60}.{'b' * 60}.example"
    leaf = ROOT.intermediate(["example"], NOW).leaf([name], NOW, DAY)
    assert refusal(ROOT.certificate, leaf, name) == ""


def test_what_nobody_vouches_for_vouches_for_itself() -> None:
    made = self_signed(["a.internal", "127.0.0.1"], NOW, timedelta(days=9))
    certificate = x509.load_pem_x509_certificate(made.chain)
    certificate.verify_directly_issued_by(certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["a.internal", IPv4Address("127.0.0.1")]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_before_utc == (NOW - BACKDATED).replace(microsecond=0)
    assert certificate.not_valid_after_utc == (NOW + timedelta(days=9)).replace(microsecond=0)
