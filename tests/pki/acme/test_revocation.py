"""Certificates that are revoked (RFC 8555 section 7.6), and the list of them (RFC 5280 section 5)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey
from tests.pki.acme.client import AUTHORITY, BASE, KEYS, Client, Desk, Said, a_client
from tests.pki.kit import DAY, NOW

from enfilade.pki.acme.signed import encode
from enfilade.pki.acme.words import Asked


def said(certificate: x509.Certificate, **more: Any) -> dict[str, Any]:
    return {"certificate": encode(certificate.public_bytes(Encoding.DER)), **more}


def listed(desk: Desk) -> dict[int, x509.RevokedCertificate]:
    found = x509.load_der_x509_crl(desk.ask(Asked("GET", BASE, "/revoked.crl")).body)
    assert found.is_signature_valid(AUTHORITY.key.public_key())
    assert found.issuer == AUTHORITY.certificate.subject
    return {one.serial_number: one for one in found}


def revoke(client: Client, certificate: x509.Certificate, **more: Any) -> Said:
    return client.post("/revoke-certificate", said(certificate, **more))


def test_who_has_it_revokes_it() -> None:
    client = a_client()
    first, second = client.have("a.internal"), client.have("a.internal")
    points = first.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name == [x509.UniformResourceIdentifier(f"{BASE}/revoked.crl")]
    assert not listed(client.desk)
    assert revoke(client, first, reason=1).status == 200
    (one,) = listed(client.desk).values()
    assert one.serial_number == first.serial_number != second.serial_number
    assert one.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert revoke(client, first).problem == (400, "alreadyRevoked")
    assert revoke(client, second).status == 200
    assert len(listed(client.desk)) == 2


def test_who_has_its_key_revokes_it() -> None:
    client = a_client()
    key = ECKey.generate_key("P-256")
    certificate = client.have("a.internal", key=key.private_key)
    stranger = Client(client.desk, KEYS["ES256"])
    assert revoke(stranger, certificate).problem == (403, "unauthorized")
    assert revoke(Client(client.desk, key), certificate).status == 200


def test_who_could_have_it_revokes_it_and_no_other_account() -> None:
    client = a_client()
    certificate = client.have("a.internal", "b.internal")
    other = a_client(client.desk)
    other.have("a.internal")
    assert revoke(other, certificate).problem == (403, "unauthorized"), "it could have a part of it"
    other.have("b.internal")
    assert revoke(other, certificate).status == 200


@pytest.mark.parametrize("reason", [2, 6, 99, -1, "keyCompromise", None, True, 1.0])
def test_reasons(reason: Any) -> None:
    client = a_client()
    assert revoke(client, client.have("a.internal"), reason=reason).problem == (400, "badRevocationReason")


def test_what_is_none_of_ours_is_not_revoked() -> None:
    client = a_client()
    client.have("a.internal")
    theirs = AUTHORITY.sign(AUTHORITY.key.public_key(), ["a.internal"], NOW, DAY)
    assert revoke(client, theirs).problem == (404, "malformed")
    assert client.post("/revoke-certificate", {"certificate": "AAAA"}).problem == (400, "malformed")
    assert client.post("/revoke-certificate", {}).problem == (400, "malformed")


def test_what_has_expired_is_on_no_list() -> None:
    client = a_client()
    certificate = client.have("a.internal")
    revoke(client, certificate)
    client.desk.now = certificate.not_valid_after_utc.timestamp()
    assert not listed(client.desk)
